import numpy as np
import pytest
import tensorflow as tf

from dreamer_idm.idm import derived_memory


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


@pytest.mark.parametrize('mode', derived_memory.MODES)
def test_gaussian_draws_in_the_order_it_always_had(mode):
  """Seeded runs give the same numbers as before there were other kinds."""
  post = posterior()
  tf.random.set_seed(3)
  derived = derived_memory.derive(tensors(post), 2, 0.2, 0.5, mode)
  tf.random.set_seed(3)
  noise = [tf.random.normal((4, 3, size)).numpy() for size in (4, 5)]
  twice = {k: np.concatenate([v, v]) for k, v in post.items()}
  std = twice['std'] + np.float32(0.5 if mode == 'widen' else 0)
  stoch = twice['mean'] + std * noise[0]
  if mode == 'add':
    stoch = twice['stoch'] + np.float32(0.5) * noise[0]
  np.testing.assert_array_equal(derived['stoch'], stoch)
  np.testing.assert_array_equal(
      derived['deter'], twice['deter'] + np.float32(0.2) * noise[1])
  assert set(derived) == set(post)


@pytest.mark.parametrize('kind, mode, kurtosis', [
    ('uniform', 'add', 1.8), ('uniform', 'widen', 1.8), ('laplace', 'add', 6),
    ('uniform', 'resample', 3)])
def test_other_kinds_of_noise_have_its_variance(kind, mode, kurtosis):
  tf.random.set_seed(0)
  post = posterior(10, 100, 100, 100)
  derived = derived_memory.derive(tensors(post), 1, 0.2, 0.5, mode, kind)
  std = {'add': 0.5, 'widen': 0.8, 'resample': 0.3}[mode]
  noise = derived['stoch'].numpy().astype('d') - post[
      'stoch' if mode == 'add' else 'mean']
  np.testing.assert_allclose(noise.std(), std, rtol=0.015)
  # A draw from the posterior itself stays Gaussian.
  np.testing.assert_allclose(
      (noise ** 4).mean() / noise.var() ** 2, kurtosis, rtol=0.1)
  noise = derived['deter'].numpy() - post['deter']
  np.testing.assert_allclose(noise.std(), 0.2, rtol=0.015)


def test_interpolation_moves_the_samples_in_every_mode():
  post = posterior(10, 100, 20, 30)
  for mode in derived_memory.MODES:
    tf.random.set_seed(5)
    derived = derived_memory.derive(
        tensors(post), 1, 0.2, 0.5, mode, 'interpolate')
    for key, sigma in [('deter', 0.2), ('stoch', 0.5)]:
      noise = derived[key].numpy() - post[key]
      np.testing.assert_allclose(np.sqrt((noise ** 2).mean()), sigma, rtol=1e-4)
    for key in ('mean', 'std'):
      np.testing.assert_array_equal(derived[key], post[key])


def discrete(batch=50, length=100, seed=0):
  """Latents of 2 dimensions and 3 classes, all with the same logits."""
  logit = np.broadcast_to(
      np.float32([[0.3, -1, 0.8], [2, 0, 0]]), (batch, length, 2, 3))
  random = np.random.RandomState(seed)
  classes = (logit + random.gumbel(size=logit.shape)).argmax(-1)
  deter = random.normal(size=(batch, length, 5)).astype('f')
  return {
      'logit': logit, 'stoch': np.eye(3, dtype='f')[classes], 'deter': deter}


def softmax(x):
  x = np.exp(x.astype(np.float64))
  return x / x.sum(-1, keepdims=True)


@pytest.mark.parametrize('kind', ['gaussian', 'student_t', 'interpolate'])
@pytest.mark.parametrize('mode', derived_memory.MODES)
def test_discrete_samples_are_one_hot_and_as_likely_as_their_logits_say(
    mode, kind):
  tf.random.set_seed(2)
  post = discrete(200)
  # Two kinds of states, or there were nothing to interpolate between.
  post['logit'] = post['logit'] * np.where(
      np.arange(200) % 2, -1, 1)[:, None, None, None].astype('f')
  post['stoch'] = np.eye(3, dtype='f')[(
      post['logit'] + np.random.RandomState(1).gumbel(
          size=post['logit'].shape)).argmax(-1)]
  derived = derived_memory.derive(tensors(post), 1, 0.2, 0.7, mode, kind)
  stoch, logit = derived['stoch'].numpy(), derived['logit'].numpy()
  assert stoch.shape == (200, 100, 2, 3)
  assert set(np.unique(stoch)) == {0, 1}
  np.testing.assert_array_equal(stoch.sum(-1), 1)
  noise = logit - post['logit']
  if mode == 'resample' and kind != 'interpolate':
    assert not noise.any()
  else:
    np.testing.assert_allclose(np.sqrt((noise ** 2).mean()), 0.7, rtol=0.02)
  for odd in (0, 1):
    # 10,000 states each: a standard error of 0.005.
    np.testing.assert_allclose(
        stoch[odd::2].mean((0, 1)), softmax(logit[odd::2]).mean((0, 1)),
        atol=0.015)


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_discrete_logits_stay_without_noise(dtype):
  post = discrete(4, 10)
  post = {
      k: v if k == 'stoch' else v.astype(dtype) for k, v in post.items()}
  for mode in derived_memory.MODES:
    derived = derived_memory.derive(tensors(post), 2, 0.0, 0.0, mode)
    for key, value in post.items():
      assert derived[key].dtype == value.dtype, key
      if key != 'stoch':
        np.testing.assert_array_equal(derived[key], np.concatenate([value] * 2))
  assert not (derived['stoch'].numpy()[:4] == post['stoch']).all()


def test_unknown_mode():
  with pytest.raises(ValueError, match='widen'):
    derived_memory.derive(tensors(posterior()), 1, 0.1, 0.1, 'wide')


class Settings:
  copies, sigma_h, sigma_s, stoch_mode = 2, 0.1, 0.1, 'widen'
  noise = 'gaussian'


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
      copies=1, sigma_h=0.2, sigma_s=0.7, stoch_mode='add', noise='uniform'))
  start, _ = derived_memory.extend(
      tensors(post), tf.zeros((20, 50), tf.bool), settings)
  for key, sigma in [('deter', 0.2), ('stoch', 0.7)]:
    noise = start[key].numpy()[20:] - post[key]
    np.testing.assert_allclose(noise.std(), sigma, rtol=0.03)
    assert np.abs(noise).max() <= np.sqrt(3) * sigma + 1e-6
