import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from conftest import trained
from reference import imagined

from dreamer_idm.agent import registry
from dreamer_idm.methods.bird import extensions as bird
from dreamer_idm.methods.soft_bird import extensions as soft_bird


def config(*flags, dist='trunc_normal', preset='soft_bird'):
  return small_config(
      '--actor.dist', dist, *flags, presets=('dmc', preset))


@pytest.fixture
def agent(eager):
  return make_agent(config('--soft_bird.entropy_reward', 0.4))


def test_reward_of_a_state_gets_the_entropy_of_the_policy_in_it(agent):
  seq, behavior = imagined(agent), agent._task_behavior
  plain = seq.pop('reward')
  found = agent.wm.extensions[-1].reward(behavior, seq, plain)
  assert found.dtype == tf.float32 and found.shape == plain.shape
  for t in range(len(plain)):
    policy = behavior.actor(seq['feat'][t])  # Chooses action[t + 1].
    # The entropy as an integral over a grid of actions.
    grid = np.linspace(-1, 1, 4001).astype('f')
    log_prob = policy.distribution.log_prob(grid[:, None, None]).numpy()
    density = np.exp(log_prob)
    entropy = np.trapezoid(
        np.where(density > 0, -density * log_prob, 0), grid, axis=0).sum(-1)
    np.testing.assert_allclose(
        found[t], plain[t] + 0.4 * entropy, rtol=1e-3, atol=1e-3)


def test_returns_of_both_losses_have_the_entropy(agent):
  behavior, seen = agent._task_behavior, {}
  data = {k: tf.constant(v) for k, v in chunk().items()}
  post = agent.wm.loss(data)[2]['post']
  losses = {
      name: getattr(behavior, name) for name in ('actor_loss', 'critic_loss')}

  def watch(name):
    def loss(seq, target):
      seen[name] = seq, target
      return losses[name](seq, target)
    return loss

  for name in losses:
    object.__setattr__(behavior, name, watch(name))
  plain = lambda seq: agent.wm.heads['reward'](seq['feat']).mode()
  rewards = []

  def reward(seq):
    rewards.append(plain(seq))
    rewards.append(behavior.actor(seq['feat']).entropy())
    return rewards[0]

  behavior.train(agent.wm, post, data['is_terminal'], reward)
  seq, target = seen['actor_loss']
  assert seen['critic_loss'][1] is target
  np.testing.assert_allclose(
      seq['reward'], rewards[0] + 0.4 * rewards[1], rtol=1e-4, atol=1e-5)
  assert np.abs(rewards[1]).min() > 1e-3


def test_gradient_reaches_the_actor_and_not_the_states(agent):
  behavior, part = agent._task_behavior, agent.wm.extensions[-1]
  with tf.GradientTape(persistent=True) as tape:
    seq = imagined(agent)
    tape.watch(seq['feat'])
    bonus = part.reward(behavior, seq, tf.zeros(seq['feat'].shape[:-1]))
  assert tape.gradient(bonus, seq['feat']) is None
  gradients = tape.gradient(bonus, behavior.actor.variables)
  assert max(np.abs(x).max() for x in gradients) > 1e-3
  assert all(
      x is None for x in tape.gradient(bonus, agent.wm.rssm.variables))


def test_with_bird_the_gradient_goes_through_the_states(eager):
  agent = make_agent(config(
      '--soft_bird.entropy_reward', 0.4, preset='bird_soft'))
  behavior, part = agent._task_behavior, agent.wm.extensions[-1]
  with tf.GradientTape(persistent=True) as tape:
    seq = imagined(agent)
    tape.watch(seq['feat'])
    bonus = part.reward(behavior, seq, tf.zeros(seq['feat'].shape[:-1]))
    fixed = part.reward(
        behavior, {'feat': tf.stop_gradient(seq['feat'])}, tf.zeros_like(bonus))
  assert np.abs(tape.gradient(bonus, seq['feat'])).max() > 1e-4
  variables = behavior.actor.variables
  whole, direct = [
      np.concatenate([x.numpy().ravel() for x in tape.gradient(y, variables)])
      for y in (bonus, fixed)]
  assert np.abs(direct).max() > 1e-3
  assert np.abs(whole - direct).max() > 1e-6  # By the actions before.


def test_reward_head_and_world_model_learn_without_it(eager):
  agents = []
  for upstreams in (False, True):
    agents.append(make_agent(
        config('--soft_bird.entropy_reward', 3), upstreams))
    tf.random.set_seed(1)
    agents[-1].train(chunk())
  bonus, plain = agents
  for x, y in zip(bonus.wm.variables, plain.wm.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)
  differ = [
      np.abs(x - y).max() for x, y in zip(
          bonus._task_behavior.critic.variables,
          plain._task_behavior.critic.variables, strict=True)]
  assert max(differ) > 0


def test_switched_off_it_is_upstream_bit_for_bit(eager):
  off = config('--soft_bird.entropy_reward', 0, dist='tanh_normal')
  assert soft_bird.extensions(off) == []
  assert_equals_upstream(off)


def test_it_has_nothing_else_of_bird():
  found = registry.extensions(config())
  assert [type(x) for x in found] == [soft_bird.EntropyReward]
  assert config().actor_ent == 0
  plain = small_config(presets=('dmc',))
  assert config().replay.capacity == plain.replay.capacity


def test_with_bird_it_has_all_of_bird():
  kinds = [bird.LikelihoodWeights, bird.ReplayEntropy]
  both = lambda *flags: config(*flags, preset='bird_soft')
  found = registry.extensions(both('--soft_bird.entropy_reward', 0))
  assert [type(x) for x in found] == kinds
  found = registry.extensions(both())
  assert [type(x) for x in found] == [*kinds, soft_bird.EntropyReward]
  assert both().actor_ent == 0 and both().replay.capacity == 5e4


@pytest.mark.parametrize('preset', ['soft_bird', 'bird_soft'])
def test_in_a_graph_it_is_finite_and_raises_the_entropy(preset):
  # Of the whole loss, hardly anything but the entropy counts.
  _, history = trained(config(
      '--soft_bird.entropy_reward', 100, '--actor_opt.lr', 1e-2,
      dist='tanh_normal', preset=preset), steps=20)
  for metrics in history:
    for key, value in metrics.items():
      assert np.isfinite(value), key
  assert ('bird_weight_std' in history[-1]) == (preset == 'bird_soft')
  entropy = [float(x['actor_ent']) for x in history]
  assert np.mean(entropy[-5:]) > np.mean(entropy[:5]) + 1
