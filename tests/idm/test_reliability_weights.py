import numpy as np
import pytest
import tensorflow as tf
from conftest import make_agent
from conftest import part
from conftest import small_config
from reference import imagined
from reference import numpy_losses

from dreamer_idm import upstream
from dreamer_idm.agent.extended_agent import ExtendedActorCritic
from dreamer_idm.idm import reliability_weights as wac
from dreamer_idm.idm.trajectory_evaluator import TrajectoryEvaluator

H, N = 5, 7


def test_weights_have_mean_one_and_ignore_the_scale():
  prob = np.random.RandomState(0).uniform(0.1, 0.4, (H, N)).astype('f')
  weight = wac.normalised_weights(tf.constant(prob))
  np.testing.assert_allclose(weight, prob / prob.mean(), rtol=1e-6)
  scaled = wac.normalised_weights(tf.constant(2 * prob))
  np.testing.assert_array_equal(weight, scaled)


def test_power_and_clip():
  prob = np.random.RandomState(0).uniform(0.01, 1, (H, N)).astype('f')
  squared = wac.normalised_weights(tf.constant(prob), power=2.0)
  np.testing.assert_allclose(
      squared, prob ** 2 / (prob ** 2).mean(), rtol=1e-5)
  plain = prob / prob.mean()
  clipped = np.minimum(plain, 1.2)
  weight = wac.normalised_weights(tf.constant(prob), clip=1.2)
  assert plain.max() > 1.2
  np.testing.assert_allclose(weight, clipped / clipped.mean(), rtol=1e-5)


def test_no_reliability_anywhere_means_equal_weights():
  np.testing.assert_array_equal(
      wac.normalised_weights(tf.zeros((H, N))), np.ones((H, N)))


def test_effective_sample_size():
  np.testing.assert_allclose(
      wac.effective_sample_size(tf.ones((H, N))), 1.0)
  one = np.zeros((H, N), 'f')
  one[2, 3] = 35.0
  np.testing.assert_allclose(
      wac.effective_sample_size(tf.constant(one)), 1 / (H * N), rtol=1e-6)


def made(*flags):
  # actor_ent > 0 and a closed-form entropy, so that it counts in the losses.
  agent = make_agent(small_config(
      '--actor_ent', 0.05, '--idm.copies', 0, *flags))
  behavior = agent._task_behavior
  behavior.target(imagined(agent))  # Creates the critic and the evaluator.
  return agent


@pytest.fixture
def agent(eager):
  return made('--actor.dist', 'trunc_normal')


def test_imagination_s_alignment(agent):
  seq = imagined(agent)
  rssm = agent.wm.rssm
  assert np.abs(seq['action'][0]).max() == 0
  for t in range(H):
    state = {k: seq[k][t] for k in ('stoch', 'deter', 'mean', 'std')}
    following = rssm.img_step(state, seq['action'][t + 1])
    np.testing.assert_array_equal(following['deter'], seq['deter'][t + 1])


def test_lambda_return_equals_a_double_loop():
  random = np.random.RandomState(0)
  reward, value = random.normal(size=(2, H, N)).astype('f')
  disc = random.uniform(0.5, 1, (H, N)).astype('f')
  last = random.normal(size=N).astype('f')
  result = upstream.common.lambda_return(
      *[tf.constant(x) for x in (reward, value, disc, last)], 0.95, 0)
  values = np.concatenate([value, last[None]]).astype(np.float64)
  # Eq. 5-6: the lambda-weighted mean of the k-step returns.
  for n in range(N):
    for t in range(H):
      total, product, rewards = 0.0, 1.0, 0.0
      for k in range(1, H - t + 1):
        rewards += product * reward[t + k - 1, n]
        product *= disc[t + k - 1, n]
        k_step = rewards + product * values[t + k, n]
        mix = 0.05 * 0.95 ** (k - 1) if k < H - t else 0.95 ** (k - 1)
        total += mix * k_step
      np.testing.assert_allclose(result[t, n], total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('flags', [
    ['trunc_normal'], ['onehot', '--actor_grad', 'dynamics'],
    ['onehot', '--actor_grad', 'reinforce'],
    ['onehot', '--actor_grad', 'both', '--actor_grad_mix', 0.3]])
def test_losses_equal_a_numpy_computation(eager, flags):
  agent = made('--actor.dist', *flags)
  seq, behavior = imagined(agent), agent._task_behavior
  target, metrics = behavior.target(seq)
  evaluator = part(agent, TrajectoryEvaluator)
  logits = evaluator.logit(seq['feat'], seq['action']).numpy()
  prob = 1 / (1 + np.exp(-logits.astype(np.float64)))
  weight = prob / prob.mean()
  assert weight.std() > 1e-3
  actor, critic = numpy_losses(agent, seq, target, weight)
  np.testing.assert_allclose(
      behavior.actor_loss(seq, target)[0], actor, rtol=1e-4)
  np.testing.assert_allclose(
      behavior.critic_loss(seq, target)[0], critic, rtol=1e-4)
  np.testing.assert_allclose(metrics['idm_weight_std'], weight.std(), rtol=.01)
  # Upstream's own discount weights are still there for whoever reads next.
  assert np.abs(seq['weight'].numpy()[0] - 1).max() > 0


def test_constant_evaluator_changes_no_loss_and_no_gradient(agent):
  behavior = agent._task_behavior
  out = part(agent, TrajectoryEvaluator)._head._modules['out']
  for variable in out.variables:
    variable.assign(tf.zeros_like(variable))

  def losses(cls):
    tf.random.set_seed(5)
    with tf.GradientTape(persistent=True) as tape:
      seq = imagined(agent)
      target, _ = cls.target(behavior, seq)
      actor = cls.actor_loss(behavior, seq, target)[0]
      critic = cls.critic_loss(behavior, seq, target)[0]
    return actor, critic, [
        *tape.gradient(actor, behavior.actor.variables),
        *tape.gradient(critic, behavior.critic.variables)]

  ours = losses(ExtendedActorCritic)
  theirs = losses(upstream.agent.ActorCritic)
  np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
  np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)
  for x, y in zip(ours[2], theirs[2], strict=True):
    np.testing.assert_allclose(x, y, rtol=0, atol=1e-6)
  for grads in (theirs[2][:2], theirs[2][-2:]):  # The actor's, the critic's.
    assert max(np.abs(x).max() for x in grads) > 1e-4


@pytest.mark.parametrize('flag, value', [
    ('weight_power', 3.0), ('weight_clip', 1.01)])
def test_power_and_clip_reach_the_losses(eager, flag, value):
  agent = make_agent(small_config('--idm.copies', 0, f'--idm.{flag}', value))
  seq = imagined(agent)
  agent._task_behavior.target(seq)
  evaluator = part(agent, TrajectoryEvaluator)
  logits = evaluator.logit(seq['feat'], seq['action'])
  plain = wac.normalised_weights(tf.nn.sigmoid(logits))
  name = flag.removeprefix('weight_')
  expected = wac.normalised_weights(tf.nn.sigmoid(logits), **{name: value})
  assert np.abs(expected - plain).max() > 1e-4
  np.testing.assert_allclose(seq['actor_weight'], expected, rtol=1e-5)


def test_metrics_tell_originals_from_derived():
  weight = np.concatenate([np.full((H, 4), 2.0), np.full((H, 8), 0.5)], 1)
  metrics = wac.describe(tf.constant(weight, tf.float32), 2)
  assert float(metrics['idm_weight_original']) == 2.0
  assert float(metrics['idm_weight_derived']) == 0.5
  np.testing.assert_allclose(metrics['idm_weight_mean'], 1.0)
  assert float(metrics['idm_weight_max']) == 2.0


def test_reliability_acts_like_a_constant_in_the_gradient(agent):
  behavior = agent._task_behavior

  def gradient(constant=None):
    tf.random.set_seed(5)
    with tf.GradientTape() as tape:
      seq = imagined(agent)
      target, _ = behavior.target(seq)
      if constant is not None:
        seq['actor_weight'] = tf.constant(constant)
      loss = behavior.actor_loss(seq, target)[0]
    return tape.gradient(loss, behavior.actor.variables), seq['actor_weight']

  live, weight = gradient()
  frozen, _ = gradient(weight.numpy())
  for x, y in zip(live, frozen, strict=True):
    np.testing.assert_array_equal(x, y)
  other, _ = gradient(np.roll(weight.numpy(), 1, 1))
  assert any(
      np.abs(x - y).max() > 0 for x, y in zip(live, other, strict=True))
