"""Environments that fail, in this process and in processes of their own."""

import itertools
import os
import signal
import sys

import numpy as np
import pytest
from conftest import ROOT

from dreamer_idm import upstream
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import gymnasium_env
from dreamer_idm.errors import TrainingError
from dreamer_idm.training import replay as replay_lib
from dreamer_idm.training import restarts

sys.path.insert(0, str(ROOT))
from bench import ledger  # noqa: E402

common = upstream.common


@pytest.fixture
def replay(tmp_path):
  return replay_lib.SeededReplay(tmp_path, 0, minlen=8, maxlen=8)


@pytest.fixture
def start(monkeypatch):
  """Starts environments with a fault, which are ended after the test."""
  started = []

  def begin(fault, parallel='none', count=1):
    monkeypatch.setenv('LEDGER_FAULT', fault)
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    ledger.Ledger.steps = itertools.count(1)
    config = config_lib.load([
        '--configs', 'cpu_proprio', '--task', 'gym_bench.ledger:Ledger-v0',
        '--action_repeat', '1', '--envs_parallel', parallel])
    notes = []
    started.extend(restarts.make_envs(config, 'train', count, 0, notes.append))
    return started, notes
  yield begin
  for env in started:
    env.close()


def drive(envs, replay, steps):
  """As the training does it; returns the steps that were counted."""
  driver, counted = common.Driver(envs), []

  def on_step(transition, worker):
    if envs[worker].broken:
      replay.forget_unfinished(worker)
    else:
      counted.append(worker)
      replay.add_step(transition, worker)

  driver.on_step(on_step)
  driver.on_reset(replay.add_step)
  driver(common.RandomAgent(envs[0].act_space), steps=steps)
  replay.forget_unfinished()
  return counted


def check(replay, episodes):
  """Whole episodes, each of one instance, from its first step to its last."""
  found = list(replay._complete_eps.values())
  assert len(found) == episodes
  for episode in found:
    vector = episode['vector']
    np.testing.assert_array_equal(vector[:, 2], np.arange(ledger.LENGTH + 1))
    assert len(np.unique(vector[:, :2], axis=0)) == 1
    assert episode['is_first'].tolist() == [True] + [False] * ledger.LENGTH
  first = [tuple(x['vector'][0, :2]) for x in found]
  assert len(set(first)) == len(first)


@pytest.mark.parametrize('parallel', ['none', 'thread', 'process'])
def test_what_raises_is_started_again(start, replay, parallel):
  envs, notes = start('raise:100', parallel)
  counted = drive(envs, replay, 220)
  # Two whole episodes, 19 steps and a failure, then three whole ones; in a
  # process of its own the steps count anew, and it fails once more.
  again = parallel == 'process'
  assert len(counted) == 220 - 1 - again
  check(replay, 4 if again else 5)
  assert envs[0].restarts == len(notes) == 1 + again
  assert notes[0] == (
      'environment 0 (train) of gym_bench.ledger:Ledger-v0 failed '
      '(RuntimeError: the ledger was told to fail): its episode is dropped, '
      'and it is started again (1 of 3).').replace(
          'RuntimeError: ', '' if parallel == 'none' else 'RuntimeError: ')


def test_a_process_that_exits_harms_its_own_episode_alone(start, replay):
  envs, notes = start('exit:100', 'process', count=2)
  # The first one begins a few steps earlier, lest both fail at once.
  envs[0].reset()
  for _ in range(30):
    envs[0].step({'action': np.zeros(1)})()
  counted = drive(envs, replay, 198)
  assert [x.restarts for x in envs] == [1, 0]
  assert counted.count(0) == 98 and counted.count(1) == 99
  assert 'ended unasked, exit code 3' in notes[0]
  check(replay, 1 + 2)


def test_a_process_that_is_killed_or_hangs_is_started_again(
    start, replay, monkeypatch):
  envs, notes = start('hang:50', 'process')
  envs[0]._env.timeout = 4
  drive(envs, replay, 60)
  assert 'did not answer for 4 s and was ended' in notes[0]
  os.kill(envs[0]._env._process.pid, signal.SIGKILL)
  monkeypatch.setenv('LEDGER_FAULT', '')
  drive(envs, replay, 90)
  assert 'exit code -9' in notes[1] and len(notes) == 2
  check(replay, 3)


def test_it_is_given_up_after_a_few_times_in_a_row(start, replay):
  envs, notes = start('exit:20', 'process')
  with pytest.raises(
      TrainingError, match='failed 4 times without a whole episode between'):
    drive(envs, replay, 1000)
  assert len(notes) == restarts.LIMIT and not replay._complete_eps


def test_failing_to_start_counts_as_well(start, replay):
  envs, notes = start('raise:50')
  make = envs[0]._make
  envs[0]._make = lambda starts: make(starts) if starts == 3 else 1 / 0
  drive(envs, replay, 150)
  assert len(notes) == 3 and 'division by zero' in notes[2]
  check(replay, 3)


def test_an_environment_that_is_made_again_is_another_one(start):
  envs, _ = start('')
  seeds = set()
  for env in (envs[0]._env, envs[0]._make(1), envs[0]._make(2)):
    while not isinstance(env, gymnasium_env.OldInterface):
      env = env._env
    seeds.add(env._seed)
  assert len(seeds) == 3


@pytest.mark.parametrize('value', ['nan', 'inf', '1e300'])
def test_values_that_are_not_finite_are_named(start, replay, value):
  envs, _ = start(f'{value}:90')
  with pytest.raises(TrainingError, match=(
      'the reward of environment 0 .* is not finite: mend the environment')):
    drive(envs, replay, 1000)
  check(replay, 2)
  envs[0]._env.reset = lambda: {'vector': np.array([1.0, -np.inf])}
  with pytest.raises(TrainingError, match='the observation vector of'):
    envs[0].reset()
