"""What a comparison plans to run, and what it refuses."""

import argparse
import json
import re
import shutil
import sys

import pytest
from ab_runs import save_step
from ab_runs import write_metrics

from dreamer_idm import ab
from dreamer_idm.ab import plan as plan_lib
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.errors import UsageError
from dreamer_idm.report import runs

TASKS = ['dmc_cheetah_run', 'dmc_walker_walk']


def plan(folder, *words, program=('train',)):
  parser = argparse.ArgumentParser()
  ab.add_arguments(parser)
  return plan_lib.plan(
      parser.parse_args(['--logdir', str(folder), *words]), list(program))


def test_plan(tmp_path):
  trials = plan(
      tmp_path, '--configs', 'cpu', '--tasks', *TASKS, '--methods', 'dreamer',
      'wo_eva', '--seeds', '3', '1', '3', '--', '--steps', '100',
      '--idm.sigma_h', '0.2')
  assert [(x.seed, x.task, x.method) for x in trials] == [
      (s, t, m) for s in (3, 1) for t in TASKS for m in ('dreamer', 'wo_eva')]
  assert all(
      x.logdir == tmp_path / x.task / x.method / str(x.seed) for x in trials)
  assert {x.target for x in trials} == {400}
  assert trials[1].command == [
      'train', '--configs', 'cpu', 'wo_eva', '--task', TASKS[0], '--seed', '3',
      '--logdir', str(trials[1].logdir), '--threads', '1', '--steps', '100',
      '--idm.sigma_h', '0.2']
  for trial in trials:
    config = config_lib.load(trial.command[1:])
    assert config_lib.logdir(config) == trial.logdir
    assert (config.task, config.method, config.seed) == (
        trial.task, trial.method, trial.seed)


def test_folders_are_those_that_run_py_would_choose(tmp_path, monkeypatch):
  monkeypatch.setattr(environments, 'check_task', lambda task: None)
  task = 'gym_a/b:C-v0'
  trial, = plan(
      tmp_path / 'logdir', '--tasks', task, '--methods', 'idm', '--seeds', '3')
  own = config_lib.load(
      ['--configs', 'dmc', 'idm', '--task', task, '--seed', '3'])
  assert trial.logdir == tmp_path / config_lib.logdir(own)


@pytest.mark.parametrize('words, message', [
    (['--tasks', TASKS[0], 'dmc_cheetah_rum'], 'Closest: dmc_cheetah_run'),
    (['--methods', 'dreamer', 'idn'], 'did you mean idm'),
    (['--methods', 'cpu'], '--methods cpu: .* the method is dreamer'),
    (['--configs', 'cpu', 'idm'], '--methods dreamer: .* method is idm'),
    (['--', '--method', 'mine'], 'after -- must not set method: .*--methods'),
    (['--', '--seed', '0'], 'after -- must not set seed: .* --seeds'),
    (['--', '--task', TASKS[1]], 'after -- must not set task: .* --tasks'),
    (['--', '--logdir', 'here'], 'after -- must not set logdir'),
    (['--', '--configs', 'debug'], '--configs is given twice'),
    (['--grid', 'discount'], "--grid expects key=value,value, .*'discount'"),
    (['--grid', 'discount=0.9,'], '--grid expects key=value,value'),
    (['--grid', '=0.9'], '--grid expects key=value,value'),
    (['--grid', 'seed=1,2'], '--grid must not set seed: use --seeds'),
    (['--grid', 'method=a'], '--grid must not set method: use --methods'),
    (['--grid', 'see.*=3'], 'must not set seed'),
    (['--grid', 'discout=0.9'], 'did you mean --discount'),
    (['--grid', 'discount=0.9,2'], '--discount must be 0 to 1, but is 2'),
    (['--grid', 'discount=0.9,x'], '--discount expects'),
    (['--', '--threads', '8'], 'after -- must not set threads'),
    (['--', '--threads=8'], 'after -- must not set threads'),
    (['--', '--see.*', '8'], 'after -- must not set seed'),
    (['--seeds', '0', '-1'], '--seed must be 0 to 2147483647, but is -1'),
    (['--', '--stesp', '7'], 'did you mean --steps'),
    (['--', '--steps', 'many'], '--steps expects'),
    (['--', '--eval_eps', '0'], 'evaluates nothing'),
])
def test_mistakes_are_found_before_anything_starts(tmp_path, words, message):
  words = [*([] if '--tasks' in words else ['--tasks', TASKS[0]]), *words]
  with pytest.raises(UsageError, match=message):
    plan(tmp_path, *words)
  assert not list(tmp_path.iterdir())


def complete(folder, *flags, drop=''):
  # A trial that was run with these flags, by code without some of the keys.
  trial, = plan(
      folder, '--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'dreamer',
      '--seeds', '0', '--', '--steps', '250', *flags)
  write_metrics(trial, {'step': 1000, 'eval_return': 5.0})
  save_step(trial, 250)
  config = config_lib.load(trial.command[1:]).flat
  (trial.logdir / 'config.yaml').write_text(json.dumps(
      {k: v for k, v in config.items() if not drop or not re.match(drop, k)}))
  return trial


@pytest.mark.parametrize('flags, message', [
    (['--model_opt.lr', '0.1'], r'model_opt.lr 0.002 \(now 0.1\)'),
    (['--eval_eps', '9'], r'eval_eps 3 \(now 9\)'),
    (['--dataset.batch', '7'], 'dataset.batch 8'),
    (['--rssm.deter', '9'], 'rssm.deter 128'),
    (['--discount', '0.5', '--actor_ent', '0.2'], 'actor_ent.*, discount')])
def test_a_trial_with_other_settings_is_not_taken_for_the_one_asked_for(
    tmp_path, flags, message):
  complete(tmp_path)
  words = [
      '--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'dreamer',
      '--seeds', '0', '--', '--steps', '250']
  with pytest.raises(UsageError, match=f'other settings than .*{message}'):
    plan(tmp_path, *words, *flags)
  # Of no effect on what a vanilla run learns, or how it is scored.
  trial, = plan(
      tmp_path, *words, '--idm.sigma_h', '0.5', '--log_every', '9',
      '--eval_every', '250', '--checkpoints', '1', '--fast', 'False')
  assert trial.state == 'complete'
  trial, = plan(tmp_path, *words[:-1], '500')
  assert (trial.state, trial.target) == ('waiting', 2000)


def test_settings_are_checked_without_a_checkpoint_as_well(tmp_path):
  trial = complete(tmp_path)
  shutil.rmtree(trial.logdir / 'checkpoints')
  (trial.logdir / 'metrics.jsonl').unlink()
  words = [
      '--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'dreamer',
      '--seeds', '0', '--', '--steps', '250']
  with pytest.raises(UsageError, match=r'discount 0.98 \(now 0.5\)'):
    plan(tmp_path, *words, '--discount', '0.5')
  changed = [*words, '--discount', '0.5', '--resume_changed', 'True']
  trial, = plan(tmp_path, *changed)
  assert trial.state == 'waiting'
  complete(tmp_path)
  with pytest.raises(UsageError, match=r'discount 0.98 \(now 0.5\)'):
    plan(tmp_path, *changed)  # It is complete, and with 0.98.


def test_trials_from_before_a_key_are_known_by_its_default(tmp_path):
  method = r'(idm|clion|bird|soft_bird|planet|contrastive)\.|slow_target_frac'
  assert complete(tmp_path / 'a', drop=method).logdir.exists()
  words = [
      '--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'dreamer',
      '--seeds', '0', '--', '--steps', '250']
  trial, = plan(tmp_path / 'a', *words)
  assert trial.state == 'complete'
  complete(tmp_path / 'b', drop='shadows')
  with pytest.raises(UsageError, match=r'shadows True \(now False\)'):
    plan(tmp_path / 'b', *words)


def test_the_logdir_is_no_file(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(UsageError, match='--logdir is a file, not a folder'):
    plan(tmp_path / 'file', '--tasks', TASKS[0])


def test_trials_are_trainings_of_this_package():
  assert plan_lib.PROGRAM == [
      sys.executable, '-m', 'dreamer_idm', 'train']


def test_a_trial_with_other_settings_is_not_skipped(tmp_path):
  words = ['--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'idm',
           '--seeds', '0']
  trial, = plan(tmp_path, *words)
  config = config_lib.load(trial.command[1:])
  config_lib.save(config, trial.logdir / 'config.yaml')
  write_metrics(trial, {'step': trial.target, 'eval_return': 5.0})
  trial, = plan(tmp_path, *words)
  assert trial.state == 'complete' and trial.score == 5
  with pytest.raises(UsageError, match=r'idm.sigma_h 0.1 \(now 0.2\)'):
    plan(tmp_path, *words, '--', '--idm.sigma_h', '0.2')
  trial, = plan(tmp_path, *words, '--', '--steps', '30000')
  assert trial.state == 'waiting' and trial.steps == 100_000


GRID = ['idm.sigma_h=0.1,0.2', 'discount=0.9, 0.99']


def test_a_grid_makes_arms_of_all_its_points(tmp_path):
  trials = plan(
      tmp_path, '--configs', 'cpu', '--tasks', TASKS[0], '--methods',
      'dreamer', 'idm', '--seeds', '0', '1', '--grid', *GRID, '--', '--steps',
      '100')
  # The noise of derived memory has no effect on Dreamer.
  names = ['dreamer+discount-0.9', 'dreamer+discount-0.99'] + [
      f'idm+idm.sigma_h-{x}+discount-{y}' for x in ('0.1', '0.2')
      for y in ('0.9', '0.99')]
  assert [(x.seed, x.method) for x in trials] == [
      (s, x) for s in (0, 1) for x in names]
  for trial in trials:
    assert trial.logdir == tmp_path / TASKS[0] / trial.method / str(trial.seed)
    config = config_lib.load(trial.command[1:])
    assert config.method == trial.method and config.seed == trial.seed
    assert config_lib.logdir(config) == trial.logdir
    assert f'discount-{config.discount}' in trial.method
    if config.agent == 'idm':
      assert f'idm.sigma_h-{config.idm.sigma_h}+' in trial.method
    assert config.steps == 100


def test_a_grid_of_lists_and_patterns(tmp_path):
  trials = plan(
      tmp_path, '--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'dreamer',
      '--seeds', '0', '--grid', 'grad_heads=decoder reward,reward',
      r'(actor|critic)_opt\.lr=1e-3')
  assert [x.logdir.parent.name for x in trials] == [
      'dreamer+grad_heads-decoder-reward+-actor-critic-_opt-.lr-1e-3',
      'dreamer+grad_heads-reward+-actor-critic-_opt-.lr-1e-3']
  first, second = (config_lib.load(x.command[1:]) for x in trials)
  assert first.grad_heads == ('decoder', 'reward')
  assert second.grad_heads == ('reward',)
  assert first.actor_opt.lr == first.critic_opt.lr == 1e-3


def test_the_report_tells_the_arms_of_a_grid_apart(tmp_path):
  words = ['--tasks', TASKS[0], '--methods', 'dreamer', '--seeds', '0']
  for trial in plan(
      tmp_path, *words, '--grid', 'discount=0.9,0.99', '--', '--steps', '250'):
    config = config_lib.load(trial.command[1:])
    config_lib.save(config, trial.logdir / 'config.yaml')
    write_metrics(trial, {'step': trial.target, 'eval_return': 5.0})
  found = runs.find(tmp_path)
  assert [(x.method, x.seed, x.state) for x in found] == [
      ('dreamer+discount-0.9', 0, 'complete'),
      ('dreamer+discount-0.99', 0, 'complete')]
