"""The command: real trials that are killed and resumed, and its own end."""

import os
import signal
import subprocess
import sys

import ab_runs
import pytest
from ab_runs import TASK
from conftest import ROOT

from dreamer_idm.errors import UsageError

ENVIRON = {**os.environ, 'PYTHONPATH': str(ROOT)}
linux = pytest.mark.skipif(
    sys.platform != 'linux', reason='elsewhere trials outlive a killed parent')


def start_quick(folder, *words, what='wait'):
  """Starts a comparison of trials that wait, in a session of its own."""
  return subprocess.Popen(
      [sys.executable, '-c', ab_runs.MAIN, *ab_runs.QUICK, what, '--configs',
       'cpu_proprio', 'debug', '--tasks', TASK, '--logdir', str(folder),
       *words],
      text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      start_new_session=True, env=ENVIRON)


@linux
@pytest.mark.parametrize('number, words', [
    ('SIGTERM', ['--jobs', '2']),
    ('SIGINT', ['--jobs', '2']),
    ('SIGKILL', ['--jobs', '2']),
    pytest.param('SIGINT', ['--engine', 'ray'], marks=pytest.mark.slow),
    pytest.param('SIGKILL', ['--engine', 'ray'], marks=pytest.mark.slow),
])
def test_trials_save_and_end_when_this_does(tmp_path, number, words):
  process = start_quick(tmp_path, '--seeds', '0', '1', *words)
  folders = [tmp_path / TASK / x / '0' for x in ('dreamer', 'idm')]
  try:
    ab_runs.wait_for(lambda: all(
        (x / 'metrics.jsonl').exists() and ab_runs.steps(x) for x in folders))
    assert all(len(ab_runs.processes(x)) == 1 for x in folders)
    if number == 'SIGKILL':
      process.kill()
    else:  # To the whole group, as a terminal does it.
      os.killpg(process.pid, getattr(signal, number))
    out, err = process.communicate(timeout=900)
  finally:
    process.kill()
  ab_runs.wait_for(lambda: not any(map(ab_runs.processes, folders)))
  for folder in folders:
    assert 0 < len(ab_runs.steps(folder)) < 20
    # A Ray without its driver kills what runs below its workers.
    if number != 'SIGKILL' or 'ray' not in words:
      assert len((folder / 'saved').read_text().split()) == 1
  assert err == ''
  if number == 'SIGKILL':
    return
  assert process.returncode == 130
  assert out.splitlines()[-2] == '4 stopped'
  assert 'the same command resumes' in out.splitlines()[-1]


@linux
def test_a_second_interrupt_kills_what_does_not_end(tmp_path):
  process = start_quick(tmp_path, '--methods', 'idm', '--seeds', '0',
                        what='stubborn')
  folder = tmp_path / TASK / 'idm' / '0'
  try:
    for name in ('metrics.jsonl', 'asked'):
      ab_runs.wait_for((folder / name).exists)
      os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=900)
  finally:
    process.kill()
  assert process.returncode == 130 and err == ''
  assert out.splitlines()[-2] == '1 stopped'
  ab_runs.wait_for(lambda: not ab_runs.processes(folder))


@linux
def test_trials_save_when_whoever_reads_is_gone(tmp_path):
  """As in `ab | tee`: Ctrl-C ends tee before anything more is written."""
  process = start_quick(tmp_path, '--methods', 'idm', '--seeds', '0')
  folder = tmp_path / TASK / 'idm' / '0'
  try:
    ab_runs.wait_for((folder / 'metrics.jsonl').exists)
    process.stdout.close()
    os.killpg(process.pid, signal.SIGINT)
    err = process.stderr.read()
    assert process.wait(900) == 130
  finally:
    process.kill()
  assert err == ''
  assert len((folder / 'saved').read_text().split()) == 1
  ab_runs.wait_for(lambda: not ab_runs.processes(folder))


def test_an_error_in_a_users_environment_is_shown(tmp_path):
  """Its type, where it was raised, and the log, whatever else is said."""
  ab_runs.write_environment(tmp_path, fault="raise KeyError('wrist')")
  done = ab_runs.run_real(tmp_path, '--methods', 'dreamer', '--retries', '0')
  assert done.returncode == 1 and done.stderr == ''
  folder = tmp_path / 'out' / ab_runs.FOLDER / 'dreamer' / '0'
  assert ab_runs.attempts(folder) == 1
  out = done.stdout
  shown = out[out.index('File "'):]
  assert shown.splitlines()[0].endswith('in step')
  assert str(tmp_path / 'fragile.py') in shown.splitlines()[0]
  assert "KeyError: 'wrist'" in shown
  assert f'more in {folder}/ab.log' in shown
  assert out.splitlines()[-2] == '1 failed'


@pytest.mark.slow
def test_a_killed_run_is_resumed(tmp_path):
  """Two real trials of a user's environment, which kills one of them.

  The environment is found in the working directory alone.
  """
  ab_runs.write_environment(tmp_path, victim='dreamer')
  done = ab_runs.run_real(tmp_path, '--methods', 'dreamer', 'idm')
  assert done.returncode == 0, done.stdout + done.stderr
  folders = [
      tmp_path / 'out' / ab_runs.FOLDER / x / '0' for x in ('dreamer', 'idm')]
  ab_runs.check_resumed(folders[0])
  assert 'dreamer seed 0: killed by signal 9 ' in done.stdout
  assert ab_runs.attempts(folders[1]) == 1
  done = ab_runs.run_real(tmp_path, '--methods', 'dreamer', 'idm')
  assert done.returncode == 0
  assert 'All 2 trials are complete' in done.stdout


@pytest.mark.parametrize('words', [
    ['--threads', '0'], ['--retries', '-1'], ['--memory', 'nan'],
    ['--memory', 'inf'], ['--per-gpu', '0'], ['--cpus', '-0.5']])
def test_numbers_that_cannot_be(tmp_path, words):
  with pytest.raises(UsageError, match=f'{words[0]} must be at least'):
    ab_runs.run_quick('train', tmp_path, *words)


@pytest.mark.parametrize('words', [['--jobs', 'x'], ['--seeds', '1.5']])
def test_what_is_no_number(tmp_path, words, capsys):
  with pytest.raises(SystemExit):
    ab_runs.arguments(tmp_path, *words)
  assert words[0] in capsys.readouterr().err
