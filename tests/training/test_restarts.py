"""Environments that fail, in this process and in processes of their own."""

import os
import signal

import gymnasium
import numpy as np
import pytest
import tiny

from bench import ledger
from dreamer_idm import upstream
from dreamer_idm.envs import gymnasium_env
from dreamer_idm.errors import TrainingError
from dreamer_idm.errors import UsageError
from dreamer_idm.training import restarts


@pytest.fixture
def start(monkeypatch, tmp_path):
  """Collects from environments with a fault, which end with the test."""
  opened = []

  def begin(fault, parallel='none', count=1):
    monkeypatch.setenv('LEDGER_FAULT', fault)
    notes = []
    opened.append(tiny.make_collector(
        tmp_path, '--envs', str(count), '--envs_parallel', parallel,
        '--replay.minlen', '8', '--replay.maxlen', '8', note=notes.append))
    notes.clear()  # Of what it observes.
    return opened[-1], notes
  yield begin
  for each in opened:
    each.close()


def drive(collector, steps):
  """Acts at random for some steps; returns how many steps counted."""
  before = int(collector.step)
  collector.collect(upstream.common.RandomAgent(collector.act_space), steps)
  collector.driver.reset()
  collector.replay.forget_unfinished()
  return int(collector.step) - before


def check(collector, episodes):
  """Whole episodes, each of one instance, from its first step to its last."""
  found = list(collector.replay._complete_eps.values())
  assert len(found) == episodes
  for episode in found:
    vector = episode['vector']
    np.testing.assert_array_equal(vector[:, 2], np.arange(ledger.LENGTH + 1))
    assert len(np.unique(vector[:, :2], axis=0)) == 1
    assert episode['is_first'].tolist() == [True] + [False] * ledger.LENGTH
  first = [tuple(x['vector'][0, :2]) for x in found]
  assert len(set(first)) == len(first)


@pytest.mark.parametrize('parallel', ['none', 'thread', 'process'])
def test_what_raises_is_started_again(start, parallel):
  collector, notes = start('raise:100', parallel)
  counted = drive(collector, 220)
  # Two whole episodes, 19 steps and a failure, then three whole ones; in a
  # process of its own the steps count anew, and it fails once more.
  again = parallel == 'process'
  assert counted == 220 - 1 - again
  check(collector, 4 if again else 5)
  assert collector.envs[0].restarts == 1 + again
  # The traceback is told once, down to the line, then a line each time.
  first = notes.index(
      'environment 0 (train) of gym_bench.ledger:Ledger-v0 failed '
      '(RuntimeError: the ledger was told to fail): its episode is dropped, '
      'and it is restarted (1 of 3).')
  assert len(notes[first:]) == 1 + again
  assert notes[0].startswith('Traceback')
  assert notes[first - 1] == 'RuntimeError: the ledger was told to fail'
  assert "raise RuntimeError('the ledger was told to fail')" in notes[first - 2]
  if parallel == 'none':
    assert len([x for x in notes if 'File "' in x]) == 1


def test_a_process_that_exits_harms_its_own_episode_alone(start):
  collector, notes = start('exit:100', 'process', count=2)
  # The first one begins a few steps earlier, so that not both fail at once.
  collector.envs[0].reset()
  for _ in range(30):
    collector.envs[0].step({'action': np.zeros(1)})()
  counted = drive(collector, 198)
  assert [x.restarts for x in collector.envs] == [1, 0]
  assert counted == 98 + 99
  assert 'ended unexpectedly, exit code 3' in notes[0]
  check(collector, 1 + 2)


def test_a_process_that_is_killed_or_hangs_is_started_again(start, monkeypatch):
  collector, notes = start('hang:50', 'process')
  def on_step():
    if int(collector.step) == 49:  # Whatever it took until then.
      collector.envs[0]._env.timeout = 0.1
  collector.on_step = on_step
  drive(collector, 60)
  assert 'did not answer for 0.1 s and was ended' in notes[0]
  os.kill(collector.envs[0]._env._process.pid, signal.SIGKILL)
  monkeypatch.setenv('LEDGER_FAULT', '')
  drive(collector, 90)
  assert 'exit code -9' in notes[1] and len(notes) == 2
  check(collector, 3)


def test_it_is_given_up_after_a_few_times_in_a_row(start):
  collector, notes = start('exit:20', 'process')
  with pytest.raises(
      TrainingError, match='failed 4 times without a whole episode between'):
    drive(collector, 1000)
  assert len(notes) == restarts.LIMIT and not collector.replay._complete_eps


def test_failing_to_start_counts_as_well(start):
  collector, notes = start('raise:50')
  env, = collector.envs
  make = env._make
  env._make = lambda starts: make(starts) if starts == 3 else 1 / 0
  drive(collector, 150)
  assert 'ZeroDivisionError: division by zero' in notes[-1]
  assert len([x for x in notes if 'it is restarted' in x]) == 3
  check(collector, 3)


def test_an_environment_that_is_made_again_is_another_one(start):
  collector, _ = start('')
  first, = collector.envs
  seeds = set()
  for env in (first._env, first._make(1), first._make(2)):
    while not isinstance(env, gymnasium_env.GymnasiumEnv):
      env = env._env
    seeds.add(env._seed)
  assert len(seeds) == 3


@pytest.mark.parametrize('value', ['nan', 'inf', '1e300'])
def test_values_that_are_not_finite_are_named(start, value):
  collector, _ = start(f'{value}:90')
  with pytest.raises(TrainingError, match=(
      'the reward of environment 0 .* is not finite: correct the environment')):
    drive(collector, 1000)
  check(collector, 2)
  collector.envs[0]._env.reset = lambda: {'vector': np.array([1.0, -np.inf])}
  with pytest.raises(TrainingError, match='the observation vector of'):
    collector.envs[0].reset()


# Mistakes in somebody's own environment, and episodes without an end.


class Own(gymnasium.Env):
  """Does at a call what the test says: reset is call 0."""

  observation_space = gymnasium.spaces.Box(-9, 9, (1,), np.float32)
  action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
  calls: dict = {}  # Number of the call -> what is done.
  ends: int | None = None

  def reset(self, seed=None, options=None):
    self.now = 0
    return self._obs(), {}

  def step(self, action):
    self.now += 1
    return self._obs(), 1.0, self.now == self.ends, False, {}

  def _obs(self):
    return self.calls.get(self.now, lambda: np.zeros(1, np.float32))()


gymnasium.register('Own-v0', Own)
gymnasium.register('OwnLimited-v0', Own, max_episode_steps=50)


@pytest.fixture
def own(tmp_path, monkeypatch):
  """Collects from `Own`."""
  monkeypatch.setattr(Own, 'calls', {})
  monkeypatch.setattr(Own, 'ends', None)
  notes = []

  def begin(*flags, task='gym_Own-v0', saved=None):
    return tiny.make_collector(
        tmp_path, '--task', task, '--prefill', '10', '--steps', '70', *flags,
        saved=saved, note=notes.append), notes
  return begin


@pytest.mark.parametrize('call, name', [(0, 'reset'), (1, 'step')])
def test_a_mistake_at_the_very_first_call_is_not_tried_again(own, call, name):
  collector, notes = own()
  Own.calls = {call: lambda: {}['joint']}
  with pytest.raises(
      UsageError, match=f"failed at its first {name}: KeyError: 'joint'"):
    drive(collector, 30)
  assert collector.restarts == 0
  trace = '\n'.join(notes)
  assert trace.count('Traceback') == 1 and "{}['joint']" in trace


class Buggy(Own):
  """As somebody's own environment with a mistake in its third step."""

  def step(self, action):
    if self.now == 2:
      {}['joint']
    return super().step(action)


gymnasium.register('Buggy-v0', Buggy, max_episode_steps=20)


@pytest.mark.parametrize('resumed', [False, True])
def test_a_mistake_in_the_first_episode_is_tried_again_in_a_resumed_run_alone(
    own, resumed):
  saved = {'episodes': [], 'loaded': []} if resumed else None
  collector, notes = own(task='gym_Buggy-v0', saved=saved)
  with pytest.raises(TrainingError if resumed else UsageError, match=(
      "failed 4 times .*KeyError: 'joint'" if resumed else
      "failed at step 3 of its first episode: KeyError: 'joint'")):
    drive(collector, 30)
  assert collector.restarts == (restarts.LIMIT if resumed else 0)
  trace = '\n'.join(notes)
  assert trace.count('Traceback') == 1 and "{}['joint']" in trace


def test_a_shape_that_changes_later_ends_the_training_and_says_so(own):
  collector, _ = own()
  Own.calls = {5: lambda: np.zeros(2)}
  with pytest.raises(TrainingError, match=r'vector of step has shape \(2,\)'):
    drive(collector, 30)
  assert collector.restarts == 0


def test_an_episode_without_an_end_is_named_and_ends_the_prefill(own):
  collector, notes = own()
  with pytest.raises(TrainingError, match='not ended after 70 .*--time_limit'):
    collector.prefill(10)
  assert int(collector.step) <= 70, 'a run never goes past its steps'
  told = [x for x in notes if 'declares no time limit' in x]
  assert len(told) == 1 and 'after 20 agent steps' in told[0]


@pytest.mark.parametrize('flags, task', [
    (['--time_limit', '40'], 'gym_Own-v0'), ([], 'gym_OwnLimited-v0')])
def test_an_episode_with_a_limit_may_be_long(own, flags, task):
  collector, notes = own(*flags, task=task)
  collector.prefill(10)
  assert not [x for x in notes if 'time limit' in x]
  assert len(collector.replay.loaded) == 1


@pytest.mark.parametrize('predicted', [True, False])
def test_terminal_states_that_nothing_predicts_are_reported_once(
    own, monkeypatch, predicted):
  monkeypatch.setattr(Own, 'ends', 12)
  flags = [] if predicted else ['--pred_discount', 'False']
  collector, notes = own(*flags)
  drive(collector, 40)
  told = [x for x in notes if 'has terminal states' in x]
  assert len(told) == (not predicted)
  # The evaluations of the same training do not tell it again.
  env, = restarts.make_envs(collector._config, 'eval', 1, 0, notes.append)
  env.reset()
  while not env.step({'action': np.zeros(1)})['is_last']:
    pass
  env.close()
  assert [x for x in notes if 'has terminal states' in x] == told
