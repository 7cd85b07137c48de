"""One attempt at a trial: what it says, takes and leaves."""

import os
import re
import signal
import subprocess
import sys
import threading

import ab_runs
import psutil
import pytest
from conftest import ROOT

from dreamer_idm.ab import trial_process

QUIET: dict = {'environ': {}, 'memory': 0.0}


def test_a_trial_that_takes_too_much_memory_is_killed(tmp_path, capsys):
  code, (folder,) = ab_runs.run_quick(
      'hog', tmp_path, '--memory', '0.2', '--retries', '0')
  assert code == 1
  ab_runs.wait_for(lambda: not ab_runs.processes(folder))
  assert re.search(
      r'used 0\.[23] GB, more than --memory 0\.2', capsys.readouterr().out)


def start(folder, text, **kwargs):
  """Runs Python in an attempt; returns its thread, signals and results."""
  asked, results = [], []
  command = [sys.executable, '-c', text, str(folder)]
  def run():
    results.append(trial_process.attempt(
        command, folder, asked=asked, **{**QUIET, **kwargs}))
  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  return thread, asked, results


# Starts a child in its process group and ends, or waits to be ended.
PARENT = """
import pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(999)',
                          str(folder)])
(folder / 'child').write_text(str(child.pid))
"""


@pytest.mark.parametrize('rest, number, code', [
    ('', None, 0), ('sys.exit(3)', None, 3),
    ('time.sleep(999)', signal.SIGTERM, -signal.SIGTERM),
    ('time.sleep(999)', signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_that_a_trial_started_outlasts_it(
    tmp_path, rest, number, code):
  thread, asked, results = start(tmp_path, PARENT + rest)
  ab_runs.wait_for((tmp_path / 'child').exists)
  if number:
    asked.append(number)
  thread.join(900)
  assert results == [(code, '')]
  ab_runs.wait_for(lambda: not ab_runs.processes(tmp_path))


def test_a_group_is_signalled_before_its_leader_is_reaped(
    tmp_path, monkeypatch):
  """Afterwards its number may be another's."""
  states = []
  killpg = os.killpg
  def look(group, number):
    states.append(psutil.Process(group).status())
    killpg(group, number)
  monkeypatch.setattr(os, 'killpg', look)
  thread, _, results = start(tmp_path, 'pass')
  thread.join(900)
  assert results == [(0, '')] and states == [psutil.STATUS_ZOMBIE]


def test_a_log_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError):
    trial_process.attempt(
        [sys.executable, '-c', ''], tmp_path / 'file', asked=[], **QUIET)


def test_trials_find_what_this_process_finds(tmp_path, monkeypatch):
  """As when `ab` is called by a script that stands elsewhere."""
  folder = tmp_path / 'mine'
  folder.mkdir()
  (folder / 'my_robot_of_this_test.py').touch()
  monkeypatch.syspath_prepend(folder)
  path = trial_process.python_path()
  assert str(ROOT) in path.split(os.pathsep)
  assert not [x for x in path.split(os.pathsep) if 'python3' in x]
  for name in ('my_robot_of_this_test', 'dreamer_idm'):
    done = subprocess.run(
        [sys.executable, '-c', f'import {name}'], cwd=tmp_path, check=False,
        env={**os.environ, 'PYTHONPATH': path}, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr


def test_last_output(tmp_path):
  def words():
    return trial_process.last_output(tmp_path)
  assert words() == ('no output', [])
  log = tmp_path / trial_process.LOG
  log.write_text('== first attempt\nTraceback\n\nError: x\n\n')
  assert words() == ('Error: x', [])
  log.write_bytes(b'\xff' * 9000 + b'\nend of it\r\n')
  assert words() == ('end of it', [])
  log.write_text('Error: x\n== second attempt\n')
  assert words() == ('no output', [])


# As Python writes it, with what the training says of it.
TRACEBACK = '''
== first attempt
Begun.
Traceback (most recent call last):
  File "loop.py", line 1, in run
    env.step()
  File "my_robot.py", line 12, in step
    return self.sensors['wrist']
           ~~~~~~~~~~~~^^^^^^^^^
KeyError: 'wrist'
'''


def test_the_end_of_a_traceback_is_found(tmp_path):
  log = tmp_path / trial_process.LOG
  log.write_text(TRACEBACK)
  line, shown = trial_process.last_output(tmp_path)
  assert line == "KeyError: 'wrist'"
  assert shown == TRACEBACK.splitlines()[-4:-1]
  log.write_text(f'{TRACEBACK}error: the environment failed\n')
  line, shown = trial_process.last_output(tmp_path)
  assert line == 'error: the environment failed'
  assert shown == TRACEBACK.splitlines()[-4:]
  # One that was survived long ago says nothing about the end.
  log.write_text(TRACEBACK + 'env step\n' * 50)
  assert trial_process.last_output(tmp_path) == ('env step', [])
  log.write_text(f'{TRACEBACK}== second attempt\nerror: disk full\n')
  assert trial_process.last_output(tmp_path) == ('error: disk full', [])
