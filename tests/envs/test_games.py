"""Atari and Crafter: upstream's wrappers and presets, with their extras."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.envs import games
from dreamer_idm.errors import UsageError
from dreamer_idm.runs import metrics_file
from dreamer_idm.upstream import envs as upstream_envs


def needs(family):
  missing = [
      x for x in games.NEEDS[family] if importlib.util.find_spec(x) is None]
  return pytest.mark.skipif(
      bool(missing), reason=f'the extra {family} is not installed ({missing})')


BOTH = [
    pytest.param('atari', 'atari_pong', marks=needs('atari')),
    pytest.param('crafter', 'crafter_reward', marks=needs('crafter'))]


def load(*flags):
  return config_lib.load(['--configs', *flags])


def make(family, task, seed=0, *flags):
  env = environments.make_env(load(family, '--task', task, *flags), seed)
  return env, env.act_space['action'].n


def episode(env, actions):
  found = [env.reset()]
  count = env.act_space['action'].n
  for action in actions:
    found.append(env.step({'action': np.eye(count, dtype='f')[action]}))
  env.close()
  return found


@pytest.mark.parametrize('family, task', BOTH)
def test_upstream_s_environment_with_seeds(family, task):
  env, count = make(family, task)
  assert isinstance(env, upstream_envs.TimeLimit)
  assert env._duration == {'atari': 27000, 'crafter': 0}[family]
  actions = np.random.default_rng(0).integers(count, size=12)
  first, again, other = [
      episode(make(family, task, seed)[0], actions) for seed in (0, 0, 1)]
  # Crafter balances its creatures every ten steps, by sets in any order.
  same = {'atari': 13, 'crafter': 10}[family]
  for x, y in zip(first[:same], again[:same], strict=True):
    assert x.keys() == y.keys()
    for key in x:
      np.testing.assert_array_equal(x[key], y[key], key)
  assert any((x['image'] != y['image']).any() for x, y in zip(first, other))
  shape = (64, 64, 1 if family == 'atari' else 3)
  assert env.obs_space['image'].shape == shape
  for obs in first:
    assert obs['image'].shape == shape and obs['image'].dtype == np.uint8
  assert (first[0]['image'] != first[-1]['image']).any()


@needs('atari')
def test_atari_is_the_one_of_the_paper():
  env, count = make('atari', 'atari_pong')
  inner = env._env._env._env._env  # Limit, one-hot, Game, upstream's.
  assert count == 6 and inner.frame_skip == 4 and inner.noop_max == 30
  assert inner.env.ale.getFloat('repeat_action_probability') == 0.25
  assert len(env.reset()['ram']) == 128
  env.close()
  env, _ = make('atari', 'atari_james_bond', 0, '--atari_grayscale', 'False')
  assert env.obs_space['image'].shape == (64, 64, 3)
  env.close()


@needs('crafter')
def test_evaluation_in_crafter_is_always_rewarded(tmp_path):
  config = load(
      'crafter', '--task', 'crafter_noreward', '--logdir', str(tmp_path))
  rewards = {}
  for mode in ('train', 'eval'):
    env = environments.make_env(config, 0, mode=mode)
    space = env.act_space['action'].n
    actions = np.random.default_rng(0).integers(space, size=100)
    found = episode(env, actions)
    rewards[mode] = sum(x['reward'] for x in found)
    assert max(x['log_reward'] for x in found) > 0
    assert 'log_achievement_wake_up' in env.log_names
  assert rewards['train'] == 0 < rewards['eval']
  assert (tmp_path / 'crafter' / 'stats.jsonl').exists()


@pytest.mark.parametrize('task, message', [
    pytest.param('atari_pon', 'Closest: atari_pong', marks=needs('atari')),
    pytest.param('crafter_walk', 'crafter_noreward', marks=needs('crafter'))])
def test_unknown_games_are_named(task, message):
  with pytest.raises(UsageError, match=message) as told:
    environments.check_task(task)
  assert '\n' not in str(told.value)


@pytest.mark.parametrize('task', ['atari_pong', 'crafter_reward'])
def test_a_missing_extra_is_named(task, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  extra = task.split('_')[0]
  with pytest.raises(UsageError, match=rf'dreamer-idm\[{extra}\]'):
    environments.check_task(task)


@pytest.mark.parametrize('flags, message', [
    ('crafter --action_repeat 2', 'takes --action_repeat 1'),
    ('cpu --task atari_pong --render_size 32 48', 'square')])
def test_what_upstream_s_wrappers_cannot_do(flags, message):
  with pytest.raises(UsageError, match=message):
    load(*flags.split())


def test_terminal_states_are_predicted_behind_other_presets():
  config = load('cpu', 'discrete', '--task', 'crafter_reward')
  assert config.pred_discount and 'discount' in config.grad_heads
  assert (config.action_repeat, config.replay.minlen) == (1, 32)
  assert load('cpu', 'discrete', '--task', 'atari_qbert').action_repeat == 4
  assert load('atari', '--task', 'atari_qbert').replay.minlen == 50


@pytest.mark.slow
@pytest.mark.parametrize('family, task', BOTH)
def test_starts_with_one_command_and_makes_updates(family, task, tmp_path):
  done = subprocess.run(
      [sys.executable, 'run.py', '--configs', family, 'debug', 'idm', '--task',
       task, '--steps', '120', '--eval_every', '120', '--threads', '1',
       '--logdir', str(tmp_path)], cwd=ROOT,
      capture_output=True, text=True, timeout=600, check=False)
  assert done.returncode == 0, done.stdout + done.stderr
  names = json.dumps(metrics_file.read(tmp_path))
  for name in ('idm_weight_std', 'actor_loss', 'eval_rotated_return'):
    assert name in names
