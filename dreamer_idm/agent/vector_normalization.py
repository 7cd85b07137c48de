"""Vector observations in units of their own spread, for any method.

Joint velocities of size 30 beside angles of size 1 make a Gaussian likelihood
of unit variance spend the latent state on the velocities. Every number of a
vector observation is centred and scaled by running statistics of the replay,
and cut off at eight standard deviations:

  x -> clip((x - mean) / std, -8, 8)      std >= 0.01

Encoder and decoder both see these numbers, in training, acting and evaluation
alike. The statistics are saved with the agent. Images are left alone.

B batch, L chunk length, V size of a vector observation.
"""

import re

import tensorflow as tf

from .extension import Extension

LIMIT = 8.0  # Standard deviations.
SMALLEST = 0.01  # Standard deviation of a number that hardly changes.
RATE = 1e-3  # Of an update, once as many as its inverse have been seen.
NOT_OBSERVED = ('action', 'reward', 'discount')


def extensions(config):
  """Builds the normalisation if it is switched on."""
  return [VectorNormalization(config)] if config.normalize_vectors else []


def moments(mean, variance, value, rate):
  """Moves running statistics towards those of a batch.

  A mixture of the old distribution and the batch's has these moments:

    mean' = mean + rate (m - mean)
    var'  = (1 - rate) (var + rate (m - mean)^2) + rate v

  Args:
    mean: float32 [V].
    variance: float32 [V].
    value: float [B, L, V], with mean m and variance v over B and L.
    rate: float32 scalar in (0, 1], the batch's weight.

  Returns:
    float32 [V], mean' and float32 [V], var'.
  """
  value = tf.cast(value, tf.float32)
  batch_mean, batch_variance = tf.nn.moments(value, [0, 1])
  step = batch_mean - mean
  return mean + rate * step, (1 - rate) * (
      variance + rate * step ** 2) + rate * batch_variance


def normalized(value, mean, variance):
  """Centres, scales and cuts off vectors.

  Args:
    value: float [..., V].
    mean: float32 [V].
    variance: float32 [V].

  Returns:
    tensor [..., V] of the value's dtype.
  """
  std = tf.maximum(tf.sqrt(variance), SMALLEST)
  scaled = (tf.cast(value, tf.float32) - mean) / std
  return tf.cast(tf.clip_by_value(scaled, -LIMIT, LIMIT), value.dtype)


class VectorNormalization(Extension):
  """Running mean and variance of every number of the vector observations."""

  def __init__(self, config):
    """Starts without statistics."""
    super().__init__(config)
    self._count = tf.Variable(0.0, trainable=False, name='count')
    self._mean: dict = {}
    self._variance: dict = {}

  def batch(self, data):
    """See `Extension.batch`: learns from a batch, which stays as it is."""
    self._count.assign_add(1.0)
    rate = tf.maximum(1 / self._count, RATE)
    for key, value in data.items():
      if len(value.shape) == 3 and self._is_vector(key):
        if key not in self._mean:
          size = value.shape[-1]
          self._mean[key] = tf.Variable(tf.zeros(size), trainable=False)
          self._variance[key] = tf.Variable(tf.ones(size), trainable=False)
        mean, variance = moments(
            self._mean[key], self._variance[key], value, rate)
        self._mean[key].assign(mean)
        self._variance[key].assign(variance)
    return data

  def preprocess(self, obs):
    """See `Extension.preprocess`: normalises the vectors."""
    changed = {
        k: normalized(obs[k], mean, self._variance[k])
        for k, mean in self._mean.items()}
    return {**obs, **changed}

  def postprocess(self, decoded):
    """Outside of any tape: back to the environment's units.

    Args:
      decoded: dict of float32 tensors [..., ...].

    Returns:
      dict of tensors of the same shapes.
    """
    return {k: v if k not in self._mean else self._mean[k] + v * tf.maximum(
        tf.sqrt(self._variance[k]), SMALLEST) for k, v in decoded.items()}

  def _is_vector(self, key):
    """Whether a network reads or predicts an observation as a vector."""
    return key not in NOT_OBSERVED and not key.startswith('is_') and any(
        re.match(coder.mlp_keys, key)
        for coder in (self.config.encoder, self.config.decoder))
