"""Comparisons as the tests run them, and what they leave behind."""

import argparse
import json
import os
import subprocess
import sys
import time

import psutil
from conftest import ROOT

from dreamer_idm import ab
from dreamer_idm.ab import plan
from dreamer_idm.ab import trials as trials_lib
from dreamer_idm.config import load as config_lib

QUICK = [sys.executable, str(ROOT / 'tests' / 'ab' / 'quick_trial.py')]
TASK = 'dmc_cheetah_run'
# A program of its own: QUICK and what it does, then ab's arguments.
MAIN = """
import argparse, sys
from dreamer_idm import ab
parser = argparse.ArgumentParser()
ab.add_arguments(parser)
code = ab.run(parser.parse_args(sys.argv[4:]), sys.argv[1:4])
sys.exit('TensorFlow!' if 'tensorflow' in sys.modules else code)
"""


def arguments(folder, *words, tasks=(TASK,), methods=('dreamer',), seeds=(0,)):
  """Parses ab's arguments; `words` come behind those that are named."""
  parser = argparse.ArgumentParser()
  ab.add_arguments(parser)
  return parser.parse_args([
      '--configs', 'cpu_proprio', 'debug', '--tasks', *tasks, '--methods',
      *methods, '--seeds', *map(str, seeds), '--logdir', str(folder), *words])


def make_trial(folder, **kwargs):
  """Makes a trial of nothing in particular."""
  values = dict(
      task='t', method='m', seed=0, logdir=folder, command=[], target=1000,
      repeat=4)
  return trials_lib.Trial(**{**values, **kwargs})


def run_quick(what, *args, **kwargs):
  """Runs a comparison of pretended trials.

  Returns:
    int exit code and list of the trials' folders, in order.
  """
  args = arguments(*args, **kwargs)
  program = [*QUICK, what]
  trials = plan.plan(args, program)
  for trial in trials:
    config = config_lib.load(trial.command[len(program):])
    config_lib.save(config, trial.logdir / 'config.yaml')
  return ab.run(args, program), [x.logdir for x in trials]


def steps(logdir):
  """Lists the environment steps that a trial logged."""
  lines = (logdir / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(x)['step'] for x in lines]


def attempts(logdir):
  """Counts the attempts at a trial."""
  path = logdir / 'ab.log'
  return path.read_text().count('== ') if path.exists() else 0


def processes(logdir):
  """Lists the trainings that are at work in a folder, as psutil's."""
  found = []
  for process in psutil.process_iter():
    try:
      if str(logdir) in process.cmdline() and (
          process.status() != psutil.STATUS_ZOMBIE):
        found.append(process)
    except psutil.Error:
      pass  # It ended meanwhile.
  return found


def wait_for(condition, seconds=900):
  """Waits until something has happened; `seconds` are for what never does."""
  until = time.time() + seconds
  while not condition():
    assert time.time() < until, 'waited in vain'
    time.sleep(0.05)


def write_metrics(trial, *rows, end='\n'):
  """Writes a trial's metrics.jsonl."""
  trial.logdir.mkdir(parents=True, exist_ok=True)
  text = '\n'.join(json.dumps(x) for x in rows) + end
  (trial.logdir / 'metrics.jsonl').write_text(text)


def save_step(trial, step):
  """Makes what tells that a trial has a checkpoint of an agent step."""
  for kept in (0, step):
    folder = trial.logdir / 'checkpoints' / str(kept)
    folder.mkdir(parents=True, exist_ok=True)


# An environment of a user's, and a module of its own in the working directory.
FOLDER = 'gym_fragile-Env-v0'
ENVIRONMENT = '''
import os, pathlib, signal
import gymnasium
import numpy as np
import psutil

from dreamer_idm.runs.saved_step import saved_step

def training():
  """The training that this belongs to, as psutil's Process."""
  me = psutil.Process()
  return next(x for x in (me, *me.parents()) if 'train' in x.cmdline())

def kill_once(victim, parent):
  words = training().cmdline()
  logdir = pathlib.Path(words[words.index('--logdir') + 1])
  marker = logdir.parent / 'killed'
  if (victim == logdir.parent.name and saved_step(logdir) is not None
      and not marker.exists()):
    marker.touch()
    process = training()
    os.kill(process.ppid() if parent else process.pid, signal.SIGKILL)

class Env(gymnasium.Env):
  observation_space = gymnasium.spaces.Box(-10, 10, (3,), np.float32)
  action_space = gymnasium.spaces.Box(-2, 5, (2,), np.float32)
  def reset(self, seed=None, options=None):
    super().reset(seed=seed)
    return np.zeros(3, np.float32), {}
  def step(self, action):
    FAULT
    return np.ones(3, np.float32), 1.0, False, False, {}

gymnasium.register('Env-v0', Env, max_episode_steps=20)
'''


def write_environment(folder, fault=None, victim='', parent=False):
  """Writes a user's environment, `gym_fragile:Env-v0`.

  Args:
    folder: pathlib.Path, where `run_real` runs.
    fault: str, what it does in every step; None: it kills its training once,
      in the first step after the first checkpoint.
    victim: str, the method whose training that is.
    parent: bool, whether to kill the training's parent instead.
  """
  fault = fault or f'kill_once({victim!r}, {parent})'
  (folder / 'fragile.py').write_text(ENVIRONMENT.replace('FAULT', fault))


def run_real(folder, *words):
  """Runs real trials of `write_environment`'s, of tiny networks.

  Few updates, since tracing them takes longest; the first checkpoint comes
  after 80 of 100 steps.

  Returns:
    subprocess.CompletedProcess; the trials' folders are below `out`.
  """
  return subprocess.run(
      [sys.executable, '-m', 'dreamer_idm', 'ab', '--configs', 'cpu_proprio',
       'debug', '--tasks', 'gym_fragile:Env-v0', '--seeds', '0', '--logdir',
       'out', *words, '--', '--steps', '100', '--prefill', '80', '--pretrain',
       '1', '--action_repeat', '1', '--dataset.length', '6',
       '--replay.minlen', '6', '--replay.maxlen', '6', '--imag_horizon', '2',
       '--jit', 'False'],
      cwd=folder, text=True, capture_output=True, check=False, timeout=900,
      env={**os.environ, 'PYTHONPATH': str(ROOT)})


def check_resumed(logdir):
  """Checks that a trial of `run_real` was killed once and ended well."""
  assert attempts(logdir) == 2
  log = (logdir / 'ab.log').read_text()
  assert log.count('Resumed at env step') == 1
  assert log.count('Done. Results are in') == 1
  assert steps(logdir)[-1] == 100
  assert steps(logdir) == sorted(steps(logdir))
