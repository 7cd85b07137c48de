"""Noise of other kinds than Gaussian for derived memory; ours, not the paper's.

All have the standard deviation that is asked for, so that sigma means the
same, and differ in how far out they reach:

  kind         kurtosis   reaches
  uniform      1.8        sqrt(3) sigma, never further
  gaussian     3          everywhere
  laplace      6          further, more often
  student_t    9          further still; 5 degrees of freedom
  interpolate  the data's between two states of the batch, never off them
"""

import math

import tensorflow as tf

FREEDOM = 5.0  # Student's t: degrees of freedom; the variance is 5 / 3.


def _uniform(shape):
  return tf.random.uniform(shape, -math.sqrt(3), math.sqrt(3))


def _laplace(shape):
  # The difference of two exponentials; unlike the logarithm of a uniform
  # number it is never infinite. Its variance is 2.
  first, second = tf.random.gamma(shape, 1.0), tf.random.gamma(shape, 1.0)
  return (first - second) / math.sqrt(2)


def _student_t(shape):
  chi2 = 2 * tf.random.gamma(shape, FREEDOM / 2)
  return tf.random.normal(shape) * tf.sqrt((FREEDOM - 2) / chi2)


DRAWS = {
    'gaussian': lambda shape: tf.random.normal(shape), 'uniform': _uniform,
    'laplace': _laplace, 'student_t': _student_t}


def draw(kind, shape):
  """Draws independent numbers of mean 0 and variance 1.

  Args:
    kind: str, a key of `DRAWS`.
    shape: int32 tensor.

  Returns:
    float32 tensor of that shape.

  Raises:
    ValueError: for an unknown kind.
  """
  if kind not in DRAWS:
    raise ValueError(
        f'noise is one of {(*DRAWS, "interpolate")}, not {kind!r}.')
  return DRAWS[kind](shape)


def towards_others(values, sigmas):
  """Points from each state to another one of the batch (interpolate).

    sigma eps = lam (x_other - x)      lam = min(1, sigma / rms(x_other - x))

  The others are a random permutation of the states, the same for all parts;
  lam is one number for each part.

  Args:
    values: dict of float32 [B, L, ...], the parts of a latent state.
    sigmas: dict of float >= 0, the root mean square of sigma * eps over all
      states and dimensions, as far as lam <= 1 allows it.

  Returns:
    dict of float32 [B, L, ...], eps.
  """
  batch, length = next(iter(values.values())).shape[:2]
  order = tf.random.shuffle(tf.range(batch * length))
  eps = {}
  for key, value in values.items():
    flat = tf.reshape(value, [batch * length, *value.shape[2:]])
    step = tf.reshape(tf.gather(flat, order), value.shape) - value
    rms = tf.sqrt(tf.reduce_mean(tf.square(step)))
    eps[key] = tf.math.divide_no_nan(step, tf.maximum(rms, sigmas[key]))
  return eps
