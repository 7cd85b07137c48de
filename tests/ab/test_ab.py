"""Comparisons: what runs when, by a trial that only pretends (quick_trial),
and both engines for real, with what is killed and goes on."""

import _thread
import argparse
import fcntl
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT

from dreamer_idm import ab
from dreamer_idm.ab import comparison
from dreamer_idm.ab import engine_local
from dreamer_idm.ab import engine_ray
from dreamer_idm.ab import trials as trials_lib
from dreamer_idm.config import load as config_lib
from dreamer_idm.errors import UsageError

QUICK = [sys.executable, str(ROOT / 'tests' / 'ab' / 'quick_trial.py')]
TASK = 'dmc_cheetah_run'
# Vectors, tiny networks, and so few updates that tracing them would take
# longest; the first checkpoint after 80 of 100 steps.
REAL = [
    '--configs', 'cpu_proprio', 'debug', '--tasks', TASK, '--', '--steps',
    '100', '--prefill', '80', '--pretrain', '1', '--time_limit', '20',
    '--dataset.length', '6', '--replay.minlen', '6', '--replay.maxlen', '6',
    '--imag_horizon', '2', '--jit', 'False']
# A program of its own: QUICK and what it does, then ab's arguments.
MAIN = """
import argparse, sys
from dreamer_idm import ab
parser = argparse.ArgumentParser()
ab.add_arguments(parser)
code = ab.run(parser.parse_args(sys.argv[4:]), sys.argv[1:4])
sys.exit('TensorFlow!' if 'tensorflow' in sys.modules else code)
"""
needs_proc = pytest.mark.skipif(sys.platform != 'linux', reason='needs /proc')


def arguments(folder, *words, tasks=(TASK,), methods=('dreamer',), seeds=(0,)):
  parser = argparse.ArgumentParser()
  ab.add_arguments(parser)
  return parser.parse_args([
      '--methods', *methods, '--seeds', *map(str, seeds), '--logdir',
      str(folder), *([] if '--tasks' in words else [
          '--configs', 'cpu_proprio', 'debug', '--tasks', *tasks]), *words])


def run_quick(what, *args, **kwargs):
  """Runs a comparison of pretended trials.

  Returns:
    int exit code and list of the trials' folders, in order.
  """
  args = arguments(*args, **kwargs)
  program = [*QUICK, what]
  trials = trials_lib.plan(args, program)
  for trial in trials:
    config = config_lib.load(trial.command[len(program):])
    config_lib.save(config, trial.logdir / 'config.yaml')
  return ab.run(args, program), [x.logdir for x in trials]


def steps(logdir):
  lines = (logdir / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(x)['step'] for x in lines]


def attempts(logdir):
  path = logdir / 'ab.log'
  return path.read_text().count('== ') if path.exists() else 0


def pids(logdir):
  """Finds the processes of a trial: list of (pid, parent's pid)."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      words = (path / 'cmdline').read_bytes().split(b'\0')
      stat = (path / 'stat').read_text().rpartition(')')[2].split()
    except OSError:
      continue
    trainer = any(x.endswith((b'run.py', b'quick_trial.py')) for x in words)
    if trainer and os.fsencode(logdir) in words and stat[0] != 'Z':
      found.append((int(path.name), int(stat[1])))
  return found


def wait_for(condition, seconds=180):
  until = time.time() + seconds
  while not condition():
    assert time.time() < until, 'waited in vain'
    time.sleep(0.05)


def test_trials_run_in_order_and_no_more_than_asked_for(tmp_path, capsys):
  code, folders = run_quick(
      'train', tmp_path, '--jobs', '1', methods=('dreamer', 'idm'),
      seeds=(1, 0))
  assert code == 0
  times = [
      [float(x) for x in (y / 'times').read_text().split()] for y in folders]
  assert [x for pair in times for x in pair] == sorted(
      x for pair in times for x in pair)
  assert [str(x.relative_to(tmp_path)) for x in folders] == [
      f'{TASK}/dreamer/1', f'{TASK}/idm/1', f'{TASK}/dreamer/0',
      f'{TASK}/idm/0']
  out = capsys.readouterr().out
  assert '4 trials, 0 of them complete; 1 at a time' in out
  assert f'{TASK} idm seed 1: complete, return 123' in out
  assert '1,600/1,600     123' in out


def test_complete_trials_are_skipped(tmp_path, capsys):
  run_quick('train', tmp_path, seeds=(0,))
  code, folders = run_quick('train', tmp_path, seeds=(0, 1))
  assert code == 0 and [attempts(x) for x in folders] == [1, 1]
  code, _ = run_quick('fail', tmp_path, seeds=(0, 1))
  assert code == 0 and [attempts(x) for x in folders] == [1, 1]
  assert 'All 2 trials are complete' in capsys.readouterr().out


def test_a_killed_trial_goes_on_where_it_was(tmp_path, capsys):
  code, (folder,) = run_quick('die', tmp_path)
  assert code == 0 and attempts(folder) == 2
  assert steps(folder) == list(range(80, 1601, 80))
  out = capsys.readouterr().out
  assert 'killed by signal 9 (Killed): Begun.; trying again, 1 of 2' in out
  assert 'running at env step 800, attempt 2' in out


def test_a_trial_that_fails_is_tried_so_often_and_the_others_go_on(
    tmp_path, capsys):
  code, folders = run_quick(
      'fail,train', tmp_path, '--retries', '1', seeds=(0, 1))
  assert code == 1 and [attempts(x) for x in folders] == [2, 1]
  lines = capsys.readouterr().out.splitlines()
  assert lines[-2] == '1 complete, 1 failed'
  assert lines[-1].endswith(
      f'{TASK} dreamer seed 0: failed, exit code 1: RuntimeError: no luck '
      f'(more in {folders[0]}/ab.log)')
  assert steps(folders[1])[-1] == 1600


def test_mistakes_of_the_users_are_not_tried_again(tmp_path, capsys):
  code, (folder,) = run_quick('usage', tmp_path)
  assert code == 1 and attempts(folder) == 1
  assert 'exit code 2: error: --x must be y' in capsys.readouterr().out


def test_folders_that_are_in_use_for_an_instant(tmp_path, capsys):
  code, folders = run_quick('late,busy', tmp_path, seeds=(0, 1))
  assert code == 1 and attempts(folders[0]) == 2
  assert steps(folders[0])[-1] == 1600
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1] == '1 complete, 1 in use'
  assert not any('failed' in x for x in lines)


def test_folders_that_cannot_be_made(tmp_path, capsys):
  args = arguments(tmp_path, '--retries', '1')
  (tmp_path / TASK).touch()
  assert ab.run(args, [*QUICK, 'train']) == 1
  assert 'failed, cannot be started, ' in capsys.readouterr().out


@needs_proc
def test_a_trial_that_takes_too_much_memory_is_killed(tmp_path, capsys):
  code, (folder,) = run_quick(
      'hog', tmp_path, '--memory', '0.2', '--retries', '1')
  assert code == 1 and attempts(folder) == 2 and not pids(folder)
  assert 'used 0.3 GB, more than --memory 0.2' in capsys.readouterr().out


def test_memory_and_cores_bound_the_trials(tmp_path, monkeypatch):
  monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)))
  sizes = {'SC_PHYS_PAGES': 20_000_000, 'SC_PAGE_SIZE': 1000}  # 20 GB.
  monkeypatch.setattr(os, 'sysconf', sizes.get)
  def slots(*words):
    return engine_local.LocalEngine(arguments(tmp_path, *words)).slots
  assert slots() == 8
  assert slots('--threads', '3') == 2
  assert slots('--threads', '9') == 1
  assert slots('--jobs', '3') == 3
  assert slots('--memory', '6') == 3
  assert slots('--memory', '6', '--jobs', '2') == 2
  with pytest.raises(UsageError, match='this machine has 20.0'):
    slots('--memory', '21')


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
  args = arguments(tmp_path, seeds=(0, 1, 2))
  trials = trials_lib.plan(args, [*QUICK, 'slow,slow,train'])
  locks = []
  for trial in trials[:2]:
    trial.logdir.mkdir(parents=True)
    locks.append((trial.logdir / 'lock').open('w'))
    fcntl.flock(locks[-1], fcntl.LOCK_EX)
  class Engine(engine_local.LocalEngine):
    def ended(self):
      found = super().ended()
      if found:
        locks[1].close()  # Whoever had it is done.
      return found
  running = comparison.Comparison(trials, Engine(args), 2, patience=0)
  code = running.run()
  locks[0].close()
  assert code == 1
  assert [x.state for x in trials] == ['in use', 'complete', 'complete']
  assert [x.attempts for x in trials] == [0, 1, 1]
  out = capsys.readouterr().out
  assert f'{TASK} dreamer seed 0: in use elsewhere' in out


@needs_proc
@pytest.mark.parametrize('number, words', [
    ('SIGTERM', ['--jobs', '2']),
    ('SIGINT', ['--jobs', '2']),
    ('SIGKILL', ['--jobs', '2']),
    ('SIGINT', ['--engine', 'ray']),
    ('SIGKILL', ['--engine', 'ray']),
])
def test_trials_save_and_end_when_this_does(tmp_path, number, words):
  process = subprocess.Popen(
      [sys.executable, '-c', MAIN, *QUICK, 'long', '--configs', 'cpu_proprio',
       'debug', '--tasks', TASK, '--seeds', '0', '1',
       '--logdir', str(tmp_path), *words],
      text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      start_new_session=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
  folders = [tmp_path / TASK / x / '0' for x in ('dreamer', 'idm')]
  try:
    wait_for(lambda: all((x / 'metrics.jsonl').exists() for x in folders))
    assert all(len(pids(x)) == 1 for x in folders)
    if number == 'SIGKILL':
      process.kill()
    else:  # To the whole group, as a terminal does it.
      os.killpg(process.pid, getattr(signal, number))
    out, err = process.communicate(timeout=60)
  finally:
    process.kill()
  wait_for(lambda: not any(map(pids, folders)))
  for folder in folders:
    assert 0 < len(steps(folder)) < 20
    # A Ray without its driver kills what runs below its workers.
    if number != 'SIGKILL' or 'ray' not in words:
      assert len((folder / 'saved').read_text().split()) == 1
  assert err == ''
  if number == 'SIGKILL':
    return
  assert process.returncode == 130
  assert out.splitlines()[-2] == '4 stopped'
  assert 'the same command goes on from there' in out.splitlines()[-1]


@needs_proc
def test_trials_save_when_whoever_reads_is_gone(tmp_path):
  """As in `ab | tee`: Ctrl-C ends tee before anything more is written."""
  process = subprocess.Popen(
      [sys.executable, '-c', MAIN, *QUICK, 'long', '--configs', 'cpu_proprio',
       'debug', '--tasks', TASK, '--methods', 'idm', '--seeds', '0',
       '--logdir', str(tmp_path)],
      text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      start_new_session=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
  folder = tmp_path / TASK / 'idm' / '0'
  try:
    wait_for(lambda: (folder / 'metrics.jsonl').exists())
    process.stdout.close()
    os.killpg(process.pid, signal.SIGINT)
    err = process.stderr.read()
    assert process.wait(60) == 130
  finally:
    process.kill()
  assert err == ''
  assert len((folder / 'saved').read_text().split()) == 1
  wait_for(lambda: not pids(folder))


def test_trials_save_when_the_comparison_itself_fails(
    tmp_path, capsys, monkeypatch):
  folder = tmp_path / TASK / 'dreamer' / '0'
  show = comparison.trial_table.Table.show
  def fail(self, now):
    show(self, now)
    if (folder / 'metrics.jsonl').exists():
      raise BrokenPipeError('whatever')
  monkeypatch.setattr(comparison.trial_table.Table, 'show', fail)
  code, _ = run_quick('long', tmp_path)
  assert code == 1
  assert len((folder / 'saved').read_text().split()) == 1
  out, err = capsys.readouterr()
  assert 'BrokenPipeError in ab itself: the trials save' in out
  assert out.splitlines()[-2] == '1 stopped'
  assert err.splitlines()[-1] == 'BrokenPipeError: whatever'


def kill_when_saved(logdir, choose):
  """Kills a process once, as soon as a trial has a checkpoint.

  Args:
    logdir: pathlib.Path of the trial.
    choose: function of (pid, parent's pid), returns the one to kill.
  """
  def kill():
    wait_for(lambda: trials_lib.saved_step(logdir), 180)
    (pair,) = pids(logdir)
    os.kill(choose(*pair), signal.SIGKILL)
  threading.Thread(target=kill, daemon=True).start()


def check_resumed(logdir):
  assert attempts(logdir) == 2
  log = (logdir / 'ab.log').read_text()
  assert log.count('Resumed at env step') == 1
  assert log.count('Done. Results are in') == 1
  assert steps(logdir)[-1] == 400
  assert steps(logdir) == sorted(steps(logdir))


@needs_proc
def test_a_killed_run_is_resumed(tmp_path, capsys):
  """Two real trials; one is killed after its first checkpoint."""
  folders = [tmp_path / TASK / x / '0' for x in ('dreamer', 'idm')]
  kill_when_saved(folders[0], lambda pid, parent: pid)
  args = arguments(tmp_path, *REAL, methods=('dreamer', 'idm'))
  code = ab.run(args)
  out = capsys.readouterr().out
  assert code == 0, out
  check_resumed(folders[0])
  assert f'{TASK} dreamer seed 0: killed by signal 9 ' in out
  assert attempts(folders[1]) == 1
  assert ab.run(args) == 0
  assert 'All 2 trials are complete' in capsys.readouterr().out


@needs_proc
def test_a_run_whose_ray_worker_is_killed_is_resumed(tmp_path, capfd):
  """A real trial, on a Ray that is started for it."""
  folder = tmp_path / TASK / 'dreamer' / '0'
  kill_when_saved(folder, lambda pid, parent: parent)
  code = ab.run(
      arguments(tmp_path, '--engine', 'ray', '--cpus', '0.5', *REAL))
  out, err = capfd.readouterr()
  assert code == 0, out
  check_resumed(folder)
  assert 'its Ray worker: WorkerCrashedError' in out
  assert err == ''


def test_a_trial_that_is_cancelled_as_it_starts_is_not_lost(
    tmp_path, monkeypatch):
  """Ray interrupts its worker before that knows of the process."""
  popen, started = subprocess.Popen, []
  def start(*args, **kwargs):
    started.append(popen(*args, **kwargs))
    _thread.interrupt_main()  # As ray.cancel does.
    return started[0]
  monkeypatch.setattr(subprocess, 'Popen', start)
  before = signal.getsignal(signal.SIGINT)
  try:
    code, why = engine_ray.work(
        [*QUICK, 'long', '--seed', '0', '--logdir', str(tmp_path)],
        str(tmp_path), 0.0, {})
    # It may not have come so far as to save anything.
    assert code in (130, -signal.SIGTERM) and why == ''
    assert started[0].poll() == code
  finally:
    started[0].kill()
  assert signal.getsignal(signal.SIGINT) == before


def test_trials_on_the_machines_of_a_ray_cluster(tmp_path, capfd):
  """Two nodes with room for one trial each; and what has no room at all."""
  from ray import cluster_utils
  cluster = cluster_utils.Cluster(
      initialize_head=True, head_node_args={'num_cpus': 1})
  try:
    cluster.add_node(num_cpus=1)
    words = ['--engine', 'ray', '--address', cluster.address]
    with pytest.raises(UsageError, match=r'\(CPU 2\): lower --cpus'):
      run_quick('train', tmp_path, *words, '--cpus', '2')
    code, folders = run_quick(
        'slow,fail,slow', tmp_path, *words, '--retries', '1', seeds=(0, 1, 2))
  finally:
    cluster.shutdown()
  out = capfd.readouterr().out
  assert code == 1, out
  assert '3 trials, 0 of them complete; 2 at a time, on 2 machines' in out
  assert [attempts(x) for x in folders] == [1, 2, 1]
  assert out.splitlines()[-2] == '2 complete, 1 failed'


@pytest.mark.parametrize('words, message', [
    (['--engine', 'ray', '--address', 'localhost:1'], 'nothing answers'),
    (['--engine', 'ray', '--address', 'here'], 'expects auto, or the HOST'),
    (['--engine', 'ray', '--jobs', '2'], '--jobs is for --engine local'),
    (['--engine', 'ray', '--cpus', '0'], '--cpus 0 needs --gpus'),
    (['--engine', 'ray', '--cpus', '0', '--gpus', '0', '--memory', '1'],
     '--cpus 0 needs --gpus'),
    (['--gpus', '1'], '--gpus is for --engine ray'),
])
def test_engines_say_what_they_do_not_take(tmp_path, words, message):
  with pytest.raises(UsageError, match=message):
    run_quick('train', tmp_path, *words)


def test_without_ray_there_is_a_line(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UsageError, match='pip install'):
    engine_ray.RayEngine(arguments(tmp_path, '--engine', 'ray'))
