"""Defaults by the kind of task, and what takes precedence over them."""

import pytest

from dreamer_idm.config import load as config_lib
from dreamer_idm.config import sources
from dreamer_idm.errors import UsageError

GYM = ['--task', 'gym_Pendulum-v1']


@pytest.mark.parametrize('presets', [
    ['dmc'], ['cpu', 'idm'], ['cpu_proprio'], ['dmc_vision'],
    ['cpu', 'reward_only'], ['cpu', 'contrastive'], ['dmc', 'planet']])
def test_gymnasium_is_not_repeated_and_its_ends_are_learned(presets):
  before = config_lib.load(['--configs', *presets])
  after = config_lib.load(['--configs', *presets, *GYM])
  assert after.action_repeat == 1 and after.pred_discount
  assert set(after.grad_heads) == {*before.grad_heads, 'discount'}
  changed = {k for k in after.flat if after.flat[k] != before.flat[k]}
  assert after.replay.minlen == 8 <= before.replay.minlen
  assert changed <= {
      'task', 'action_repeat', 'pred_discount', 'grad_heads', 'replay.minlen'}


def test_dm_control_has_what_the_preset_says():
  config = config_lib.load(['--configs', 'cpu', '--task', 'dmc_walker_walk'])
  assert config.action_repeat == 4 and not config.pred_discount


@pytest.mark.parametrize('flag', [
    '--action_repeat=2', '--action_rep.*=2', '--pred_discount=False',
    '--grad_heads=reward'])
def test_the_command_line_has_its_way(flag):
  config = config_lib.load(['--configs', 'cpu_proprio', *GYM, flag])
  name, value = flag[2:].split('=')
  assert config.action_repeat == (2 if name.startswith('action') else 1)
  assert config.pred_discount == (name != 'pred_discount')
  assert tuple(config.grad_heads) == {
      'pred_discount': ('decoder', 'reward'), 'grad_heads': ('reward',)}.get(
          name, ('decoder', 'reward', 'discount'))


def test_a_preset_for_this_very_task_has_its_way(tmp_path, monkeypatch):
  ours = tmp_path / 'configs.yaml'
  ours.write_text(sources.OURS.read_text('utf-8') + (
      '\nmine: {task: gym_Pendulum-v1, action_repeat: 3}\n'))
  monkeypatch.setattr(sources, 'OURS', ours)
  assert config_lib.load(['--configs', 'cpu', 'mine']).action_repeat == 3
  assert config_lib.load(['--configs', 'cpu', 'mine', *GYM]).action_repeat == 3
  other = ['--task', 'gym_Hopper-v5']
  assert config_lib.load(['--configs', 'mine', *other]).action_repeat == 1


def test_what_was_resolved_is_stored(tmp_path):
  config = config_lib.load(['--configs', 'cpu', *GYM])
  config_lib.save(config, tmp_path / 'config.yaml')
  assert config_lib.saved(tmp_path).flat == config.flat


def test_a_preset_has_its_values_for_a_task_and_later_ones_win():
  finger = ['--task', 'dmc_finger_spin']
  every, this, other = (
      config_lib.load(['--configs', 'cpu_proprio', *x]) for x in (
          [], finger, [*finger, '--action_repeat', '3']))
  assert (every.action_repeat, this.action_repeat) == (4, 2)
  assert this.steps * this.action_repeat == every.steps * every.action_repeat
  assert (other.action_repeat, other.steps) == (3, this.steps)
  debug = config_lib.load(['--configs', 'cpu_proprio', 'debug', *finger])
  assert (debug.action_repeat, debug.steps) == (2, 400)


@pytest.mark.parametrize('wrong, expected', [
    ('3', 'by_task must be a mapping of tasks'),
    ('{dmc_cup_catch: 4}', 'dmc_cup_catch: must be a mapping of keys'),
    ('{dmc_cup_catch: {action_reapet: 4}}', 'action_repeat')])
def test_wrong_values_for_a_task_are_named(
    wrong, expected, tmp_path, monkeypatch):
  ours = tmp_path / 'configs.yaml'
  ours.write_text(sources.OURS.read_text('utf-8') + (
      f'\nmine: {{task: dmc_cup_catch, by_task: {wrong}}}\n'))
  monkeypatch.setattr(sources, 'OURS', ours)
  with pytest.raises(UsageError, match=expected):
    config_lib.load(['--configs', 'cpu', 'mine'])
