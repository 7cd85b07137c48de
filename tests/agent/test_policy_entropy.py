import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conftest import make_agent
from conftest import small_config

from dreamer_idm.agent import policy_entropy as pe


def integrated(mean, std):
  """Entropy of tanh(x) by the density over a fine grid of x."""
  x = mean + std * np.linspace(-12, 12, 200001)
  density = scipy.stats.norm.pdf(x, mean, std)
  slope = np.log(4) - 2 * np.logaddexp(x, -x)
  log_prob = scipy.stats.norm.logpdf(x, mean, std) - slope
  return -np.trapezoid(density * log_prob, x)


@pytest.mark.parametrize('mean', [-4.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize('std', [1e-3, 0.5, 1.0, 5.0])
def test_tanh_normal_equals_the_integral(mean, std):
  noise = np.random.RandomState(0).normal(size=200000).astype('f')
  fill = lambda x: tf.fill(noise.shape, np.float32(x))
  found = pe.tanh_normal(fill(mean), fill(std), tf.constant(noise)).numpy()
  np.testing.assert_allclose(found.mean(), integrated(mean, std), atol=0.01)
  assert found.std() < 0.7  # Nats, of a single draw.


def test_gradient_is_that_of_the_integral():
  noise = np.random.RandomState(0).normal(size=200000).astype('f')
  for mean, std in ((0.3, 0.5), (-2.0, 5.0), (0.0, 1.0)):
    values = tf.Variable([mean, std])
    with tf.GradientTape() as tape:
      entropy = tf.reduce_mean(
          pe.tanh_normal(values[0], values[1], tf.constant(noise)))
    expected = [
        (integrated(mean + x, std + y) - integrated(mean - x, std - y)) / 2e-3
        for x, y in ((1e-3, 0), (0, 1e-3))]
    np.testing.assert_allclose(
        tape.gradient(entropy, values), expected, atol=0.02)


@pytest.mark.parametrize('std', [1e-4, 50.0])
def test_gradient_is_finite_at_the_edges(std):
  values = tf.Variable([[-5.0, 0.0, 5.0], [std] * 3])
  with tf.GradientTape() as tape:
    entropy = pe.tanh_normal(values[0], values[1], tf.zeros(3))
  assert np.isfinite(tape.gradient(entropy, values)).all()


def test_policies(eager):
  feat = tf.random.normal((4, 3, 17))
  actor = make_agent(small_config(presets=('dmc',)))._task_behavior.actor
  normal = actor(feat)._dist.distribution.distribution
  repeated = tf.tile(feat[None], [2000, 1, 1, 1])
  expected = np.array([
      integrated(*x) for x in zip(
          normal.loc.numpy().ravel(), normal.scale.numpy().ravel())])
  np.testing.assert_allclose(
      pe.policy_entropy(actor, repeated).numpy().mean(0),
      expected.reshape(4, 3, 2).sum(-1), atol=0.1)
  actor = make_agent(small_config(
      '--actor.dist', 'trunc_normal', presets=('dmc',)))._task_behavior.actor
  np.testing.assert_array_equal(
      pe.policy_entropy(actor, feat), actor(feat).entropy())
