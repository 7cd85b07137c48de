import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import make_agent
from conftest import small_config
from conftest import trained
from reference import imagined
from reference import numpy_losses

from dreamer_idm.methods.bird import extensions as bird

H, N, S = 5, 7, 3
OFF = ['--bird.weights', 'False', '--bird.entropy_scale', 0]
PRESETS = ('dmc', 'bird')


def config(*flags):
  # actor_ent > 0 and a closed-form entropy, so that it counts in the losses.
  return small_config(
      '--actor.dist', 'trunc_normal', '--actor_ent', 0.05, *flags,
      presets=PRESETS)


def gaussian(seed=0):
  random = np.random.RandomState(seed)
  return {
      'stoch': random.normal(size=(H + 1, N, S)).astype('f'),
      'mean': random.normal(size=(H + 1, N, S)).astype('f'),
      'std': random.uniform(0.1, 2, (H + 1, N, S)).astype('f')}


def test_likelihood_is_that_of_the_imagined_steps():
  seq = gaussian()
  expected = [sum(
      scipy.stats.norm.logpdf(
          seq['stoch'][t, n, s], seq['mean'][t, n, s], seq['std'][t, n, s])
      for t in range(1, H + 1) for s in range(S)) for n in range(N)]
  found = bird.log_likelihood({k: tf.constant(v) for k, v in seq.items()})
  assert found.dtype == tf.float32
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  seq['stoch'][0] += 5  # The start is the replay's.
  again = bird.log_likelihood({k: tf.constant(v) for k, v in seq.items()})
  np.testing.assert_array_equal(again, found)


def test_likelihood_in_half_precision_is_summed_in_full():
  seq = {k: tf.cast(v, tf.float16) for k, v in gaussian().items()}
  full = {k: tf.cast(v, tf.float32) for k, v in seq.items()}
  found = bird.log_likelihood(seq)
  assert found.dtype == tf.float32
  np.testing.assert_array_equal(found, bird.log_likelihood(full))


def test_likelihood_of_discrete_latents():
  random, classes = np.random.RandomState(0), 4
  index = random.randint(0, classes, (H + 1, N, S))
  logit = random.normal(size=(H + 1, N, S, classes)).astype('f')
  prob = np.exp(logit) / np.exp(logit).sum(-1, keepdims=True)
  expected = [sum(
      np.log(prob[t, n, s, index[t, n, s]])
      for t in range(1, H + 1) for s in range(S)) for n in range(N)]
  found = bird.log_likelihood({
      'stoch': tf.one_hot(index, classes), 'logit': tf.constant(logit)})
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_weights_are_standardised_and_clipped():
  log_prob = np.array([-50, 3, 4, 5, 6, 7, 60], 'f')
  expected = np.clip(
      (log_prob - log_prob.mean()) / (log_prob.std() + 1e-9) + 1, 0, 2)
  assert expected.min() == 0 and expected.max() == 2
  assert len(np.unique(expected)) == 7
  weight = bird.trajectory_weights(tf.constant(log_prob))
  np.testing.assert_allclose(weight, expected, rtol=1e-6)
  # Units and offsets of the likelihood do not matter.
  np.testing.assert_allclose(
      bird.trajectory_weights(tf.constant(3 * log_prob - 8)), expected,
      rtol=1e-5, atol=1e-6)


def test_weights_have_no_gradient():
  seq = {k: tf.Variable(v) for k, v in gaussian().items()}
  with tf.GradientTape() as tape:
    weight = bird.trajectory_weights(bird.log_likelihood(seq))
  assert tape.gradient(weight, list(seq.values())) == [None] * 3


def test_metrics_count_both_clips():
  metrics = bird.describe(
      tf.constant([1.0, 3.0]), tf.constant([0.0, 0.0, 2.0, 1.0]))
  assert float(metrics['bird_log_prob_mean']) == 2
  assert float(metrics['bird_log_prob_std']) == 1
  assert float(metrics['bird_weight_mean']) == 0.75
  assert float(metrics['bird_weight_low']) == 0.5
  assert float(metrics['bird_weight_high']) == 0.25


@pytest.mark.parametrize('critic', [False, True])
def test_losses_equal_a_numpy_computation(eager, critic):
  agent = make_agent(config(
      '--bird.weight_critic', critic, '--bird.entropy_scale', 0.3))
  seq, behavior = imagined(agent), agent._task_behavior
  target, _ = behavior.target(seq)
  gauss = scipy.stats.norm.logpdf(
      *[seq[k].numpy()[1:].astype(float) for k in ('stoch', 'mean', 'std')])
  log_prob = gauss.sum((0, 2))
  weight = np.clip((log_prob - log_prob.mean()) / log_prob.std() + 1, 0, 2)
  assert weight.std() > 0.1
  weight = np.stack([weight] * H)
  actor = numpy_losses(agent, seq, target, weight)[0]
  plain = numpy_losses(agent, seq, target, np.ones_like(weight))
  value = numpy_losses(agent, seq, target, weight)[1] if critic else plain[1]
  entropy = behavior.actor(seq['feat'][0]).entropy().numpy().mean()
  found, metrics = behavior.actor_loss(seq, target)
  np.testing.assert_allclose(found, actor - 0.3 * entropy, rtol=1e-4)
  np.testing.assert_allclose(metrics['bird_entropy'], entropy, rtol=1e-5)
  np.testing.assert_allclose(
      behavior.critic_loss(seq, target)[0], value, rtol=1e-4)
  assert abs(actor - plain[0]) > 1e-4


def test_entropy_bonus_is_the_actor_s_alone(eager):
  agent = make_agent(config('--bird.entropy_scale', 0.3))
  part = agent.wm.extensions[-1]
  with tf.GradientTape(persistent=True) as tape:
    seq = imagined(agent)
    tape.watch(seq['feat'])
    loss, _ = part.actor_loss(agent._task_behavior, seq)
  assert tape.gradient(loss, seq['feat']) is None
  actors = tape.gradient(loss, agent._task_behavior.actor.variables)
  assert max(np.abs(x).max() for x in actors if x is not None) > 1e-4
  assert all(
      x is None for x in tape.gradient(loss, agent.wm.rssm.variables))


def test_switched_off_it_is_upstream_bit_for_bit(eager):
  off = config(*OFF)
  assert bird.extensions(off) == []
  assert_equals_upstream(off)


@pytest.mark.parametrize('flags, kinds', [
    ([], [bird.LikelihoodWeights, bird.ReplayEntropy]),
    (OFF[:2], [bird.ReplayEntropy]), (OFF[2:], [bird.LikelihoodWeights])])
def test_parts_are_switched_one_by_one(flags, kinds):
  assert [type(x) for x in bird.extensions(config(*flags))] == kinds


@pytest.mark.parametrize('discrete', [0, 4])
def test_it_is_finite_and_complete(discrete, request):
  if not discrete:  # These are traced where Soft-BIRD is tested.
    request.getfixturevalue('eager')
  _, history = trained(small_config(
      '--rssm.discrete', discrete, presets=PRESETS))
  names = {f'bird_{x}' for x in (
      'log_prob_mean', 'log_prob_std', 'weight_mean', 'weight_std',
      'weight_low', 'weight_high', 'entropy')}
  assert names <= set(history[-1])
  for key, value in history[-1].items():
    assert np.isfinite(value), key
  assert 0.7 < history[-1]['bird_weight_mean'] < 1.3
  assert history[-1]['bird_weight_std'] > 0.1
