import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from conftest import trained
from reference import imagined

from dreamer_idm.methods.bird import extensions as bird
from dreamer_idm.methods.soft_bird import extensions as soft_bird

NO_BIRD = ['--bird.weights', 'False', '--bird.entropy_scale', 0]


def config(*flags, dist='trunc_normal'):
  return small_config(
      '--actor.dist', dist, *flags, presets=('dmc', 'soft_bird'))


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


def test_gradient_reaches_the_actor_and_goes_through_the_states(agent):
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
  # BIRD's own parts are left out: the entropy alone makes the difference.
  agents = []
  for upstreams in (False, True):
    agents.append(make_agent(
        config(*NO_BIRD, '--soft_bird.entropy_reward', 3), upstreams))
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


def test_switched_off_it_is_upstream_bit_for_bit():
  off = config(
      *NO_BIRD, '--soft_bird.entropy_reward', 0, dist='tanh_normal')
  assert soft_bird.extensions(off) == []
  assert_equals_upstream(off)


def test_without_the_entropy_it_is_bird():
  kinds = [bird.LikelihoodWeights, bird.ReplayEntropy]
  found = soft_bird.extensions(config('--soft_bird.entropy_reward', 0))
  assert [type(x) for x in found] == kinds
  found = soft_bird.extensions(config())
  assert [type(x) for x in found] == [*kinds, soft_bird.EntropyReward]
  assert config().actor_ent == 0


def test_in_a_graph_it_is_finite_and_raises_the_entropy():
  # Of the whole loss, hardly anything but the entropy counts.
  _, history = trained(config(
      '--soft_bird.entropy_reward', 100, '--actor_opt.lr', 1e-2,
      dist='tanh_normal'), steps=20)
  for metrics in history:
    for key, value in metrics.items():
      assert np.isfinite(value), key
  assert 'bird_weight_std' in history[-1]
  entropy = [float(x['bird_entropy']) for x in history]
  assert np.mean(entropy[-5:]) > np.mean(entropy[:5]) + 1
