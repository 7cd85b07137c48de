"""The plan of a comparison, what is read of its trials, and their table."""

import argparse
import fcntl
import io
import json
import os
import re
import shutil
import sys

import pytest

from dreamer_idm import ab
from dreamer_idm.ab import trial_process
from dreamer_idm.ab import trial_table
from dreamer_idm.ab import trials as trials_lib
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.errors import UsageError

TASKS = ['dmc_cheetah_run', 'dmc_walker_walk']


def plan(folder, *words, program=('train',)):
  parser = argparse.ArgumentParser()
  ab.add_arguments(parser)
  return trials_lib.plan(
      parser.parse_args(['--logdir', str(folder), *words]), list(program))


def make(folder, **kwargs):
  values = dict(
      task='t', method='m', seed=0, logdir=folder, command=[], target=1000,
      repeat=4)
  return trials_lib.Trial(**{**values, **kwargs})


def write(trial, *rows, end='\n'):
  trial.logdir.mkdir(parents=True, exist_ok=True)
  text = '\n'.join(json.dumps(x) for x in rows) + end
  (trial.logdir / 'metrics.jsonl').write_text(text)


def save_step(trial, step):
  folder = trial.logdir / 'checkpoints' / 'latest'
  folder.mkdir(parents=True, exist_ok=True)
  for kept in (0, step):
    (folder / f'ckpt-{kept}.index').write_text('')


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
    (['--', '--method', 'mine'], '--methods dreamer: .* method is mine'),
    (['--', '--seed', '0'], 'behind -- must not set seed: .* --seeds'),
    (['--', '--task', TASKS[1]], 'behind -- must not set task: .* --tasks'),
    (['--', '--logdir', 'here'], 'behind -- must not set logdir'),
    (['--', '--configs', 'debug'], 'behind -- must not set configs'),
    (['--', '--threads', '8'], 'behind -- must not set threads'),
    (['--', '--threads=8'], 'behind -- must not set threads'),
    (['--', '--see.*', '8'], 'behind -- must not set seed'),
    (['--seeds', '0', '-1'], '--seed must be 0 to 2147483647, but is -1'),
    (['--', '--stesp', '7'], 'did you mean --steps'),
    (['--', '--steps', 'many'], '--steps expects'),
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
  write(trial, {'step': 1000, 'eval_return': 5.0})
  save_step(trial, 250)
  config = config_lib.load(trial.command[1:]).flat
  (trial.logdir / 'config.yaml').write_text(json.dumps(
      {k: v for k, v in config.items() if not drop or not re.match(drop, k)}))
  return trial


@pytest.mark.parametrize('flags, message', [
    (['--model_opt.lr', '0.1'], r'model_opt.lr 0.001 \(now 0.1\)'),
    (['--eval_eps', '9'], r'eval_eps 3 \(now 9\)'),
    (['--dataset.batch', '7'], 'dataset.batch 16'),
    (['--rssm.deter', '9'], 'rssm.deter 128'),
    (['--discount', '0.5', '--actor_ent', '0.1'], 'actor_ent.*, discount')])
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


def test_damaged_steps_are_not_read(tmp_path):
  trial = make(tmp_path)
  write(trial, {'step': 20}, {'step': float('nan')}, {'step': 10 ** 400})
  trial.look(0)
  assert trial.steps == 20


@pytest.mark.parametrize('words', [
    ['--threads', '0'], ['--retries', '-1'], ['--jobs', 'x'],
    ['--memory', 'nan'], ['--seeds', '1.5']])
def test_numbers_that_cannot_be(tmp_path, words, capsys):
  with pytest.raises(SystemExit):
    plan(tmp_path, '--tasks', TASKS[0], *words)
  assert words[0] in capsys.readouterr().err


def test_a_trial_is_complete_with_an_evaluation_at_its_last_step(tmp_path):
  trial = make(tmp_path / 'run')
  assert not trial.complete()
  write(trial, {'step': 996, 'eval_return': 5.0}, {'step': 1000})
  (trial.logdir / 'config.yaml').touch()
  assert not trial.complete()
  write(trial, {'step': 1000, 'eval_return': 5.0}, end='')
  assert trial.complete()
  write(trial, {'step': 1000, 'eval_return': 5.0}, {'step': 1000}, end='{"st')
  assert trial.complete()
  save_step(trial, 200)  # Agent steps: this one has not been saved yet.
  assert not trial.complete()
  save_step(trial, 250)
  assert trial.complete()
  (trial.logdir / 'config.yaml').unlink()
  assert not trial.complete()


def test_a_trial_with_other_settings_is_not_skipped(tmp_path):
  words = ['--configs', 'cpu', '--tasks', TASKS[0], '--methods', 'idm',
           '--seeds', '0']
  trial, = plan(tmp_path, *words)
  config = config_lib.load(trial.command[1:])
  config_lib.save(config, trial.logdir / 'config.yaml')
  write(trial, {'step': trial.target, 'eval_return': 5.0})
  trial, = plan(tmp_path, *words)
  assert trial.state == 'complete' and trial.score == 5
  with pytest.raises(UsageError, match=r'idm.sigma_h 0.1 \(now 0.2\)'):
    plan(tmp_path, *words, '--', '--idm.sigma_h', '0.2')
  trial, = plan(tmp_path, *words, '--', '--steps', '20000')
  assert trial.state == 'waiting' and trial.steps == 50_000


def test_in_use(tmp_path):
  assert not trials_lib.in_use(tmp_path)
  with (tmp_path / 'lock').open('w') as file:
    assert not trials_lib.in_use(tmp_path)
    fcntl.flock(file, fcntl.LOCK_EX)
    assert trials_lib.in_use(tmp_path)
  assert not trials_lib.in_use(tmp_path)


def test_the_pace_is_that_of_training(tmp_path):
  trial = make(tmp_path)
  write(trial, {'step': 100, 'train_return': 1.0})
  trial.begin(0)
  assert trial.steps == 100 and trial.remaining(0) is None
  rows = [{'step': 200, 'updates': 1, 'eval_return': 7.0}]
  write(trial, *rows)
  trial.look(50)  # The random steps, and all that starting took.
  assert trial.pace is None and trial.score == 7
  rows.append({'step': 400, 'updates': 9})
  write(trial, *rows)
  trial.look(70)
  assert trial.pace == 10 and trial.steps == 400
  assert trial.remaining(70) == 60
  assert trial.remaining(80) == 50
  trial.begin(100)  # Again, from a checkpoint further back.
  write(trial, *rows[:1])
  trial.look(110)
  assert trial.pace == 10 and trial.remaining(110) == 80
  write(trial, *rows[:1], {'step': 300, 'updates': 5})
  trial.look(115)
  assert trial.pace == 20


def test_before_there_is_a_pace_it_is_the_logged_one(tmp_path):
  rows = [
      {'step': 100, 'fps': 90.0}, {'step': 200, 'updates': 1, 'fps': 20.0},
      {'step': 300, 'updates': 5, 'fps': 'fast'}, {'step': 300}]
  trial = make(tmp_path)
  write(trial, *rows[:1])
  trial.look(0)
  assert trial.pace is None  # The random steps.
  write(trial, *rows)
  trial.begin(0)
  assert trial.pace == 20 and trial.remaining(0) == 35
  waiting = make(tmp_path / 'waiting')
  assert trial_table.forecast([trial, waiting], 0, 1) == {0: 35, 1: 85}
  rows.append({'step': 400, 'updates': 9, 'fps': 50.0})
  write(trial, *rows)
  trial.look(10)
  rows.append({'step': 600, 'updates': 17, 'fps': 50.0})
  write(trial, *rows)
  trial.look(50)
  assert trial.pace == 5


def test_metrics_that_cannot_be_read_now(tmp_path, monkeypatch):
  trial = make(tmp_path)
  (trial.logdir / 'config.yaml').touch()
  write(trial, {'step': 1000, 'eval_return': 5.0})
  def fail(logdir):
    raise OSError
  with monkeypatch.context() as patch:
    patch.setattr(trials_lib.metrics_file, 'read', fail)
    trial.look(0)
    assert trial.steps == 0 and not trial.complete()
  trial.look(1)
  assert trial.steps == 1000 and trial.complete()


def test_forecast(tmp_path):
  def trial(state, method, steps=0, pace=None):
    return make(tmp_path, state=state, method=method, steps=steps, pace=pace)
  trials = [
      trial('complete', 'a', 1000, 20), trial('running', 'a', 500, 10),
      trial('running', 'b', 0, 10), trial('waiting', 'a'),
      trial('waiting', 'b', 800), trial('failed', 'b')]
  # Two at a time; a's mean pace is 15 env steps per second.
  assert trial_table.forecast(trials, 0, 2) == pytest.approx(
      {1: 50, 2: 100, 3: 50 + 1000 / 15, 4: 120})
  trials[3].method = 'c'
  assert trial_table.forecast(trials, 0, 2) == {1: 50, 2: 100}
  trials[2].pace = trials[2].method = None
  assert trial_table.forecast(trials, 0, 2) == {1: 50}


class Terminal(io.StringIO):

  def isatty(self):
    return True


def test_the_table_stays_in_place_and_fits(tmp_path, monkeypatch):
  monkeypatch.setattr(
      'shutil.get_terminal_size', lambda: os.terminal_size((40, 6)))
  states = ['complete', 'waiting', 'running', 'waiting']
  trials = [
      make(tmp_path, state=x, seed=i, steps=500) for i, x in enumerate(states)]
  stream = Terminal()
  table = trial_table.Table(trials, 1, stream=stream)
  table.show(0)
  table.show(0.5)
  first = stream.getvalue()
  lines = first.splitlines()
  # Who runs comes first where there is no room, in the order of the plan.
  assert [x.split()[2] for x in lines[1:-1]] == ['1', '2']
  assert max(map(len, lines)) < 40
  assert lines[-1] == '1 complete, 1 running, 2 waiting; ETA n/a'[:39]
  table.note('something')
  up, rest = stream.getvalue()[len(first):].split('\x1b[J')
  assert up == '\x1b[4F' and rest.endswith(' something\n')
  table.show(0.6)
  assert stream.getvalue().endswith(first)


def test_a_log_gets_what_moves_now_and_then(tmp_path, monkeypatch):
  monkeypatch.setattr('time.time', lambda: 0)
  trials = [
      make(tmp_path, state=x, score=12.6) for x in ('waiting', 'running')]
  stream = io.StringIO()
  table = trial_table.Table(trials, 1, interval=60, stream=stream)
  for now in range(0, 150, 10):
    table.show(now)
  assert '\x1b' not in stream.getvalue()
  assert stream.getvalue().splitlines() == 2 * [
      'task  method  seed  state    env steps  return  ETA',
      't     m          0  running    0/1,000      13  n/a',
      '1 running, 1 waiting; ETA n/a']


class Gone(Terminal):

  def flush(self):
    raise BrokenPipeError


def test_the_table_falls_silent_when_nobody_reads_it(tmp_path, monkeypatch):
  stream = Gone()
  monkeypatch.setattr('sys.stdout', stream)
  table = trial_table.Table([make(tmp_path)], 1)
  table.show(0)
  written = stream.getvalue()
  table.note('something')
  table.end(0)
  assert stream.getvalue() == written and sys.stdout is None
  closed = io.StringIO()
  table = trial_table.Table([make(tmp_path)], 1, stream=closed)
  closed.close()
  table.note('something')
  trial_table.Table([make(tmp_path)], 1).note('something')


def test_last_words(tmp_path):
  assert trial_process.last_words(tmp_path) == 'no output'
  log = tmp_path / trial_process.LOG
  log.write_text('== first attempt\nTraceback\n\nError: x\n\n')
  assert trial_process.last_words(tmp_path) == 'Error: x'
  log.write_bytes(b'\xff' * 9000 + b'\nend of it\r\n')
  assert trial_process.last_words(tmp_path) == 'end of it'
  log.write_text('Error: x\n== second attempt\n')
  assert trial_process.last_words(tmp_path) == 'no output'
