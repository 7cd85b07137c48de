"""Trials on Ray: on one that is started for them, and on a cluster."""

import _thread
import importlib.util
import signal
import subprocess

import ab_runs
import pytest
from ab_runs import attempts
from ab_runs import QUICK
from ab_runs import run_quick

from dreamer_idm.ab import comparison
from dreamer_idm.ab import engine_ray
from dreamer_idm.errors import UsageError


@pytest.mark.slow
def test_a_run_whose_ray_worker_is_killed_is_resumed(tmp_path):
  """A real trial, on a Ray that is started for it."""
  ab_runs.write_environment(tmp_path, victim='dreamer', parent=True)
  done = ab_runs.run_real(
      tmp_path, '--methods', 'dreamer', '--engine', 'ray', '--cpus', '0.5')
  assert done.returncode == 0, done.stdout + done.stderr
  ab_runs.check_resumed(
      tmp_path / 'out' / ab_runs.FOLDER / 'dreamer' / '0')
  assert 'cannot be run, WorkerCrashedError: ' in done.stdout
  assert done.stderr == ''


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
        [*QUICK, 'wait', '--seed', '0', '--logdir', str(tmp_path)], tmp_path,
        {}, 0.0, str(tmp_path))
    # It may not have come so far as to save anything.
    assert code in (130, -signal.SIGTERM) and why == ''
    assert started[0].poll() == code
  finally:
    started[0].kill()
  assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.slow
def test_trials_on_the_machines_of_a_ray_cluster(
    tmp_path, capfd, monkeypatch):
  """Two nodes with room for one trial each; and what has no room at all.

  They do not find the package where they were started.
  """
  from ray import cluster_utils
  monkeypatch.setattr(comparison, 'PAUSE', 0)
  monkeypatch.chdir(tmp_path)
  cluster = cluster_utils.Cluster(
      initialize_head=True, head_node_args={'num_cpus': 1})
  try:
    cluster.add_node(num_cpus=1)
    words = ['--engine', 'ray', '--address', cluster.address]
    with pytest.raises(UsageError, match=r'\(CPU 2\): lower --cpus'):
      run_quick('train', tmp_path, *words, '--cpus', '2')
    code, folders = run_quick(
        'train,fail,train', tmp_path, *words, '--retries', '1',
        seeds=(0, 1, 2))
  finally:
    cluster.shutdown()
  out = capfd.readouterr().out
  assert code == 1, out
  assert '3 trials, 0 of them complete; 2 at a time, on 2 machines' in out
  assert [attempts(x) for x in folders] == [1, 2, 1], out
  assert out.splitlines()[-2] == '1 failed, 2 complete'


@pytest.mark.parametrize('words, message', [
    (['--engine', 'ray', '--address', 'localhost:1'], 'nothing answers'),
    (['--engine', 'ray', '--address', 'here'], 'expects auto, or the HOST'),
    (['--engine', 'ray', '--jobs', '2'], '--jobs is not for --engine ray'),
    (['--engine', 'ray', '--per-gpu', '2'], 'per-gpu is not for --engine ray'),
    (['--engine', 'ray', '--cpus', '0'], '--cpus 0 needs --gpus'),
    (['--engine', 'ray', '--cpus', '0', '--gpus', '0', '--memory', '1'],
     '--cpus 0 needs --gpus'),
    (['--gpus', '1'], '--gpus is not for --engine local'),
])
def test_engines_say_what_they_do_not_take(tmp_path, words, message):
  with pytest.raises(UsageError, match=message):
    run_quick('train', tmp_path, *words)


def test_without_ray_there_is_a_line(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UsageError, match='pip install'):
    engine_ray.RayEngine(ab_runs.arguments(tmp_path, '--engine', 'ray'))
