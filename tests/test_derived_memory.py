import numpy as np
import pytest
import tensorflow as tf

from dreamer_idm import derived_memory


def posterior(batch=2, length=3, stoch=4, deter=5, std=0.3, dtype='float32'):
  random = np.random.RandomState(0)
  draw = lambda size: random.normal(size=(batch, length, size)).astype(dtype)
  return {
      'stoch': draw(stoch), 'mean': draw(stoch), 'deter': draw(deter),
      'std': np.full((batch, length, stoch), std, dtype)}


def tensors(post):
  return {k: tf.constant(v) for k, v in post.items()}


def test_widen_adds_the_standard_deviations_not_the_variances():
  post = posterior(10, 100, 100, 2)
  derived = derived_memory.derive(tensors(post), 1, 0.1, 0.5, 'widen')
  noise = derived['stoch'].numpy() - post['mean']
  assert noise.size == 100_000
  assert abs(noise.std() - 0.8) < 0.01  # sqrt(0.3^2 + 0.5^2) would be 0.583
  np.testing.assert_allclose(derived['std'], 0.8, rtol=1e-6)
  np.testing.assert_array_equal(derived['mean'], post['mean'])


@pytest.mark.parametrize('mode, std, center', [
    ('add', 0.5, 'stoch'), ('resample', 0.3, 'mean')])
def test_other_modes_draw_around_the_right_center(mode, std, center):
  post = posterior(10, 100, 100, 2)
  derived = derived_memory.derive(tensors(post), 1, 0.1, 0.5, mode)
  noise = derived['stoch'].numpy() - post[center]
  assert abs(noise.std() - std) < 0.01
  assert abs(noise.mean()) < 0.01
  np.testing.assert_array_equal(derived['std'], post['std'])


def test_deter_gets_noise_of_sigma_h():
  post = posterior(10, 100, 2, 100)
  derived = derived_memory.derive(tensors(post), 1, 0.2, 0.5)
  noise = derived['deter'].numpy() - post['deter']
  assert abs(noise.std() - 0.2) < 0.005


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_no_noise_added_equals_the_originals_bitwise(dtype):
  post = posterior(dtype=dtype)
  derived = derived_memory.derive(tensors(post), 2, 0.0, 0.0, 'add')
  for key, value in post.items():
    assert derived[key].dtype == dtype
    np.testing.assert_array_equal(derived[key], np.concatenate([value] * 2))


def test_copies_differ_from_each_other():
  derived = derived_memory.derive(tensors(posterior()), 2, 0.1, 0.1)
  for key in ('stoch', 'deter'):
    first, second = np.split(derived[key].numpy(), 2)
    assert np.abs(first - second).min() > 0


def test_unknown_mode():
  with pytest.raises(ValueError, match='widen'):
    derived_memory.derive(tensors(posterior()), 1, 0.1, 0.1, 'wide')


class Settings:
  copies, sigma_h, sigma_s, stoch_mode = 2, 0.1, 0.1, 'widen'


def test_extend_puts_originals_first_and_tiles_is_terminal():
  post = posterior()
  terminal = np.array([[0, 0, 1], [0, 1, 0]], bool)
  start, tiled = derived_memory.extend(
      tensors(post), tf.constant(terminal), Settings)
  for key, value in post.items():
    assert start[key].shape == (6, *value.shape[1:])
    np.testing.assert_array_equal(start[key][:2], value)
  np.testing.assert_array_equal(tiled, np.concatenate([terminal] * 3))
  # A derived row belongs to the original of the same flags.
  np.testing.assert_array_equal(start['mean'][2:4], post['mean'])


def test_extend_hands_on_its_settings():
  post = posterior(20, 50, 50, 50)
  settings = type('S', (), dict(
      copies=1, sigma_h=0.2, sigma_s=0.7, stoch_mode='add'))
  start, _ = derived_memory.extend(
      tensors(post), tf.zeros((20, 50), tf.bool), settings)
  for key, sigma in [('deter', 0.2), ('stoch', 0.7)]:
    noise = start[key].numpy()[20:] - post[key]
    np.testing.assert_allclose(noise.std(), sigma, rtol=0.03)
