import numpy as np
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from conftest import trained
from reference import imagined

from dreamer_idm.methods.no_value import extensions as no_value
from dreamer_idm.runs import checkpoints

H, N = 5, 7


def config(*flags):
  return small_config(*flags, presets=('dmc', 'no_value'))


def test_reward_sums_equal_a_double_loop():
  random = np.random.RandomState(0)
  reward = random.normal(size=(H + 1, N)).astype('f')
  discount = random.uniform(0.5, 1, (H + 1, N)).astype('f')
  found = no_value.reward_sums(tf.constant(reward), tf.constant(discount))
  assert found.shape == (H, N)
  for n in range(N):
    for t in range(H):
      expected = sum(
          np.prod(discount[t:k, n], dtype=float) * reward[k, n]
          for k in range(t, H + 1))
      np.testing.assert_allclose(found[t, n], expected, rtol=1e-4, atol=1e-6)
  ones = no_value.reward_sums(tf.constant(reward), tf.ones((H + 1, N)))
  np.testing.assert_allclose(ones[0], reward.sum(0), rtol=1e-4, atol=1e-6)


def test_sums_are_lambda_returns_at_lambda_one_without_values(eager):
  from dreamer_idm import upstream
  random = np.random.RandomState(0)
  reward, discount = random.uniform(size=(2, H + 1, N)).astype('f')
  expected = upstream.common.lambda_return(
      tf.constant(reward[:-1]), tf.zeros((H, N)), tf.constant(discount[:-1]),
      bootstrap=tf.constant(reward[-1]), lambda_=1.0, axis=0)
  np.testing.assert_allclose(
      no_value.reward_sums(tf.constant(reward), tf.constant(discount)),
      expected, rtol=1e-6)


def test_actor_s_loss_is_minus_the_weighted_sums(eager):
  agent = make_agent(config())
  seq, behavior = imagined(agent), agent._task_behavior
  target, metrics = behavior.target(seq)
  expected = no_value.reward_sums(seq['reward'], seq['discount']).numpy()
  np.testing.assert_array_equal(target, expected)
  np.testing.assert_allclose(metrics['actor_target'], expected.mean())
  weight = seq['weight'].numpy()
  loss = -np.mean([
      weight[t - 1] * expected[t] for t in range(1, len(expected))])
  np.testing.assert_allclose(
      behavior.actor_loss(seq, target)[0], loss, rtol=1e-5)


def test_gradient_is_that_of_the_rewards(eager):
  agent = make_agent(config())
  behavior = agent._task_behavior
  random = np.random.RandomState(0)
  with tf.GradientTape(persistent=True) as tape:
    seq = imagined(agent)
    reward, weight = seq['reward'], seq['weight']
    discount = random.uniform(0.5, 1, reward.shape).astype('f')
    seq['discount'] = tf.constant(discount)
    target, _ = behavior.target(seq)
    loss, _ = behavior.actor_loss(seq, target)
    expected = -sum(
        tf.reduce_mean(weight[t - 1] * discount[t:k].prod(0) * reward[k])
        for t in range(1, H) for k in range(t, H + 1)) / (H - 1)
  assert behavior.critic_loss(seq, target) == (0.0, {})
  found, expected = (
      np.concatenate([x.numpy().ravel() for x in tape.gradient(
          y, behavior.actor.variables)]) for y in (loss, expected))
  largest = np.abs(expected).max()
  assert largest > 1e-6
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * largest)


def test_world_model_s_step_is_upstream_s_bit_for_bit(eager):
  found = []
  for upstreams in (False, True):
    agent = make_agent(config(), upstreams)
    tf.random.set_seed(1)
    _, metrics = agent.train(chunk())
    found.append((
        metrics['model_loss'], agent.wm.variables,
        agent.wm.model_opt.variables))
  assert found[0][0] == found[1][0]
  for mine, yours in zip(found[0][1:], found[1][1:], strict=True):
    assert mine
    for x, y in zip(mine, yours, strict=True):
      np.testing.assert_array_equal(x, y, x.name)


def test_there_is_no_critic_and_nothing_of_it_is_logged(tmp_path):
  agent, history = trained(config('--slow_target', 'True'), steps=3)
  behavior = agent._task_behavior
  assert not behavior.critic.variables
  assert not behavior._target_critic.variables
  assert not [x for x in history[-1] if 'critic' in x]
  for key, value in history[-1].items():
    assert np.isfinite(value), key
  assert {'actor_target', 'actor_loss', 'actor_ent'} <= set(history[-1])
  # And it is saved and loaded without one.
  before = [x.numpy() for x in agent.variables]
  checkpoints.Checkpoints(tmp_path, agent).save(3, {'step': 3})
  other = make_agent(config('--slow_target', 'True'), seed=1)
  checkpoints.Checkpoints(tmp_path, other).restore()
  for x, y in zip(before, other.variables, strict=True):
    np.testing.assert_array_equal(x, y)


def test_report_and_policy_do_without_a_critic(eager):
  agent = make_agent(config())
  data = chunk()
  assert agent.report(data)['openl_image'].shape[0] == 9
  obs = {k: v[0, :1] for k, v in data.items() if k != 'action'}
  outputs, _ = agent.policy(obs, None, 'eval')
  assert np.isfinite(outputs['action']).all()
