"""The evaluator by itself: when it evaluates, and what of it counts."""

import itertools

import gymnasium
import numpy as np
import pytest
import tiny

from bench import ledger
from dreamer_idm import upstream
from dreamer_idm.agent import build
from dreamer_idm.training import evaluator

SPACE = {'vector': gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)}


@pytest.fixture
def opened():
  """Opens evaluators, which are closed after the test."""
  found = []

  def begin(*flags, **kwargs):
    found.append(evaluator.Evaluator(tiny.config(*flags), SPACE, 0, **kwargs))
    return found[-1]
  yield begin
  for each in found:
    each.close()


@pytest.mark.parametrize('evaluated, step, due', [
    (None, 100, True),  # Behind the prefill.
    (100, 100, False), (100, 199, False), (100, 200, True),
    (100, 201, True),  # Two environments stepped over it.
    (200, 399, False), (201, 399, False), (201, 400, True),
    (400, 450, True), (450, 450, False)])  # The end.
def test_when_it_is_due(opened, evaluated, step, due):
  found = opened('--steps', '450', evaluated=evaluated)
  assert found.due(step) == due


def test_vectors_are_not_rotated(opened):
  assert list(opened().envs) == ['eval']


def test_without_evaluations_there_is_no_environment(opened, monkeypatch):
  monkeypatch.setattr(
      ledger.Ledger, '__init__', lambda self: pytest.fail('it was made'))
  found = opened('--eval_eps', '0', '--task', 'gym_bench.ledger:Ledger-v0')
  assert found.envs == {} and found.evaluate(None) == {}
  assert found.restarts == 0 and found.due(100)


def test_a_broken_episode_does_not_count(opened, monkeypatch):
  monkeypatch.setenv('LEDGER_FAULT', f'raise:{ledger.LENGTH + 10}')
  monkeypatch.setattr(ledger.Ledger, 'steps', itertools.count(1))
  notes, ticks = [], []
  found = opened('--eval_eps', '2', note=notes.append)
  env = found.envs['eval']
  agent = build.build_agent(
      tiny.config(), env.obs_space, env.act_space, upstream.common.Counter(0))
  result = found.evaluate(agent, ticks.append)['eval']
  # The first attempt ended in its second episode, and another one followed.
  assert found.restarts == len([x for x in notes if 'restarted' in x]) == 1
  assert len(result.returns) == 2
  assert len(result.episode['reward']) == ledger.LENGTH + 1
  assert set(ticks) == {'eval'}
  assert len(ticks) == 3 * ledger.LENGTH + 10
