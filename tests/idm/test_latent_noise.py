import numpy as np
import pytest
import tensorflow as tf

from dreamer_idm.idm import latent_noise

KURTOSIS = {'uniform': (1.8, 0.02), 'gaussian': (3, 0.1), 'laplace': (6, 0.6),
            'student_t': (9, 3)}


@pytest.mark.parametrize('kind', latent_noise.DRAWS)
def test_kinds_share_mean_and_variance_and_differ_in_kurtosis(kind):
  tf.random.set_seed(1)
  values = latent_noise.draw(kind, tf.constant([100, 1000])).numpy()
  assert values.dtype == np.float32
  assert values.shape == (100, 1000)
  assert abs(values.mean()) < 0.015
  assert abs(values.var() - 1) < 0.025
  values = values.astype(np.float64)
  expected, tolerance = KURTOSIS[kind]
  assert abs((values ** 4).mean() / values.var() ** 2 - expected) < tolerance


def test_uniform_reaches_its_bound_and_not_further():
  values = latent_noise.draw('uniform', tf.constant([100_000])).numpy()
  assert np.abs(values).max() <= np.sqrt(3)
  assert values.max() > 1.73 and values.min() < -1.73


def test_student_t_has_five_degrees_of_freedom():
  """Quantiles of t(5), scaled by sqrt(3 / 5), from a table."""
  values = latent_noise.draw('student_t', tf.constant([100_000])).numpy()
  for fraction, quantile in [(0.95, 2.015), (0.99, 3.365)]:
    np.testing.assert_allclose(
        np.quantile(values, fraction), quantile * np.sqrt(0.6), rtol=0.04)


def test_unknown_kind():
  with pytest.raises(ValueError, match='student_t.*interpolate.*cauchy'):
    latent_noise.draw('cauchy', tf.constant([1]))


def states():
  random = np.random.RandomState(0)
  draw = lambda *shape: random.normal(size=shape).astype('f')
  return {'stoch': draw(20, 50, 100), 'deter': 3 * draw(20, 50, 100) + 1}


def test_interpolation_has_the_mean_and_variance_asked_for():
  values, sigmas = states(), {'stoch': 0.2, 'deter': 0.5}
  eps = latent_noise.towards_others(
      {k: tf.constant(v) for k, v in values.items()}, sigmas)
  for key in values:
    move = sigmas[key] * eps[key].numpy().astype(np.float64)
    assert move.size == 100_000
    np.testing.assert_allclose((move ** 2).mean(), sigmas[key] ** 2, rtol=1e-5)
    assert abs(move.mean()) < 1e-6  # A permutation: every state is once left.


@pytest.mark.parametrize('sigma', [0.2, 1e6])
def test_interpolated_states_lie_between_two_of_the_batch(sigma):
  values = {k: v[:4] for k, v in states().items()}
  eps = latent_noise.towards_others(
      {k: tf.constant(v) for k, v in values.items()},
      dict.fromkeys(values, sigma))
  others = {}
  for key, value in values.items():
    flat = value.reshape(200, 100).astype('d')
    step = sigma * eps[key].numpy().reshape(200, 100).astype('d')
    # The other is the state in whose direction the step goes.
    ends = flat[None] - flat[:, None]
    along = np.einsum('id,ijd->ij', step, ends) / np.maximum(
        np.sqrt((ends ** 2).sum(-1)), 1e-9)
    moved = np.abs(step).max(1) > 0
    assert moved.sum() > 190
    others[key] = np.where(moved, along.argmax(1), np.arange(200))
    assert sorted(others[key]) == list(range(200))
    # One fraction for all states and dimensions, and at most all of the way.
    ends = flat[others[key]] - flat
    fraction = (step * ends).sum() / (ends ** 2).sum()
    np.testing.assert_allclose(step, fraction * ends, atol=1e-5)
    np.testing.assert_allclose(
        fraction, min(1, sigma / np.sqrt((ends ** 2).mean())), rtol=1e-5)
  # Both parts are mixed with the same other state.
  np.testing.assert_array_equal(others['stoch'], others['deter'])


def test_equal_states_stay_where_they_are():
  eps = latent_noise.towards_others(
      {'deter': tf.ones((2, 3, 4))}, {'deter': 0.0})
  np.testing.assert_array_equal(eps['deter'], np.zeros((2, 3, 4)))
