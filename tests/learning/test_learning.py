"""Agents that train here must reach what chance misses by far.

  make test-learning

Minutes, so not part of `make test`. The bars are set between what the policy
gets before it has learned anything, which is measured in the same run, and what
seeds that work reach.
"""

import os
import pathlib
import subprocess
import sys

import pytest
from conftest import ROOT

from dreamer_idm.runs import metrics_file

pytestmark = pytest.mark.learning


def returns(logdir, task, method, *flags):
  """Trains, and reads the evaluations.

  Args:
    logdir: pathlib.Path of the run.
    task: str.
    method: list of str, presets behind `cpu_proprio`.
    *flags: str, of run.py.

  Returns:
    float, the return before training, and float, the mean of the last two
    evaluations.
  """
  done = subprocess.run(
      [sys.executable, 'run.py', '--configs', 'cpu_proprio', *method,
       '--task', task, '--logdir', str(logdir), '--eval_eps', '5',
       '--threads', '1', *flags],
      cwd=ROOT, capture_output=True, text=True, check=False,
      env={**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parent)})
  assert done.returncode == 0, done.stdout + done.stderr
  _, found = metrics_file.series(metrics_file.read(logdir), 'eval_return')
  return found[0], found[-2:].mean()


@pytest.mark.parametrize('method', [[], ['idm']], ids=['dreamer', 'idm'])
def test_a_line(tmp_path, method):
  # Of 50; staying where it is gets 5 on average, as does moving at random.
  before, after = returns(
      tmp_path, 'gym_line:Line-v0', method,
      '--action_repeat', '1', '--steps', '3000', '--prefill', '500',
      '--pretrain', '1', '--eval_every', '1250')
  assert before < 15
  assert after > 35


def test_discrete_actions(tmp_path):
  # 500 is the most that there is; random actions get 20.
  before, after = returns(tmp_path, 'gym_CartPole-v1', ['discrete'])
  assert before < 200
  assert after > 400


@pytest.mark.parametrize('method', [[], ['idm']], ids=['dreamer', 'idm'])
def test_cheetah_run_from_vectors(tmp_path, method):
  before, after = returns(
      tmp_path, 'dmc_cheetah_run', method, '--action_repeat', '4', '--steps',
      '3750', '--eval_every', '625')
  assert before < 20
  assert after > 100
