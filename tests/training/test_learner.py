"""The learner by itself, on a real replay."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tiny

from dreamer_idm.agent import tf_setup
from dreamer_idm.errors import TrainingError
from dreamer_idm.training import learner
from dreamer_idm.training import sanity_checks


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """A learner and the notes that it has taken, before its first update."""
  tf_setup.configure('32')
  tf_setup.seed(0)
  collector = tiny.make_collector(tmp_path_factory.mktemp('episodes'))
  collector.prefill(tiny.STEPS)
  collector.close()
  notes = []
  yield learner.Learner(
      tiny.config('--steps', '1000', '--expl_until', str(tiny.STEPS + 5)),
      collector.replay, collector.obs_space, collector.act_space,
      collector.step, note=notes.append), notes


def test_updates_are_counted_and_change_the_agent(made):
  found, _ = made
  before = [x.numpy() for x in found.agent.variables]
  assert not found.sound  # There is nothing to save yet.
  metrics = found.trace()
  assert found.updates == 1 and found.sound
  assert np.isfinite(float(metrics['model_loss']))
  changed = [
      (x.numpy() != y).any() for x, y in zip(found.agent.variables, before)]
  assert np.mean(changed) > 0.9


def test_its_state_settles_the_batches_that_follow(made):
  found, _ = made
  found.to_pretrain = 2
  state = json.loads(json.dumps(found.state()))
  assert sanity_checks.problem(
      {**state, 'step': 0, 'episodes': [], 'loaded': []}) == ''
  expected = [next(found.batches) for _ in range(3)]
  found.updates, found.to_pretrain = 7, 0
  found.restored(state)
  assert (found.updates, found.to_pretrain) == (state['updates'], 2)
  for batch in expected:
    again = next(found.batches)
    for key in batch:
      np.testing.assert_array_equal(batch[key], again[key])


def test_it_explores_until_expl_until(made, monkeypatch):
  found, _ = made
  modes, act = [], found.agent.policy

  def policy(obs, state, mode):
    modes.append(mode)
    return act(obs, state, mode)
  monkeypatch.setattr(found.agent, 'policy', policy)
  step, state = type(found._step)(tiny.STEPS), None
  monkeypatch.setattr(found, '_step', step)
  obs = {
      k: np.zeros((1, *v.shape), v.dtype)
      for k, v in found.agent.obs_space.items()}
  acts = found.policy()
  for _ in range(10):
    action, state = acts(obs, state)
    step.increment()
  assert modes == 5 * ['explore'] + 5 * ['train']
  assert np.isfinite(action['action']).all()


def test_the_length_of_the_training_is_forecast_once(made):
  found, notes = made
  for _ in range(2 * learner.TIMED):
    found.update()
  assert len(notes) == 1 and notes[0].startswith('An update takes')
  assert 'the 46 updates of this run' in notes[0]  # 920 steps, every 20th.


def test_what_is_not_finite_is_named_and_not_sound(made):
  found, _ = made
  variable = found.agent.wm.model_opt.variables[-1]
  kept = variable.numpy()
  found.check()
  variable.assign(tf.fill(variable.shape, np.float32(np.nan)))
  with pytest.raises(TrainingError, match='is not finite after update'):
    found.check()
  assert not found.sound
  variable.assign(kept)
  # Actions are drawn from what is not finite before any loss is.
  count = found.updates
  weights = found.agent._task_behavior.actor.variables[-1]
  kept = weights.numpy()
  weights.assign(tf.fill(weights.shape, np.float32(np.nan)))
  with pytest.raises(TrainingError, match=(
      f'distribution of actions is not finite in update {count + 1}: lower')):
    found.update()
  weights.assign(kept)
  assert found.updates == count and not found.sound
  # A reward whose square no float32 can hold. It comes last, since such an
  # update may step the parameters before it fails.
  episodes = list(found._replay._complete_eps.values())
  for episode in episodes:
    episode['reward'][:] = 1e30
  # The loss's check and the actor's draw run side by side: either is first.
  with pytest.raises(TrainingError, match=(
      f'(model_loss|distribution of actions) is not finite in update '
      f'{count + 1}: lower')):
    found.update()
  assert found.updates == count and not found.sound
