import numpy as np
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from tensorflow_probability import distributions as tfd

from dreamer_idm import upstream
from dreamer_idm.agent.extension import Extension
from dreamer_idm.idm import decoding_constraint as r2s2


def test_kl_equals_the_library_s():
  random = np.random.RandomState(0)
  shapes = {'image': (2, 3, 8, 8, 3), 'position': (2, 3, 4)}
  clean = {k: random.normal(size=s).astype('f') for k, s in shapes.items()}
  noisy = {k: random.normal(size=s).astype('f') for k, s in shapes.items()}
  expected = 0
  for key, shape in shapes.items():
    one, other = [
        tfd.Independent(tfd.Normal(x[key], 1.0), len(shape) - 2)
        for x in (clean, noisy)]
    expected += tfd.kl_divergence(one, other).numpy()
  value = r2s2.decoding_kl(clean, noisy)
  np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_kl_is_float32_whatever_the_precision():
  clean = {'image': tf.zeros((1, 1, 64, 64, 3), tf.float16)}
  noisy = {'image': tf.fill((1, 1, 64, 64, 3), tf.constant(9.0, tf.float16))}
  value = r2s2.decoding_kl(clean, noisy)
  assert value.dtype == tf.float32
  # 497,664 is beyond float16's largest number, 65,504.
  np.testing.assert_allclose(value, [[0.5 * 81 * 64 * 64 * 3]], rtol=1e-6)


def test_hinge_counts_only_what_exceeds_the_margin():
  kl = tf.Variable([[0.5, 2.0], [3.0, 0.1]])
  with tf.GradientTape() as tape:
    loss, active = r2s2.hinge(kl, 1.0)
  np.testing.assert_allclose(loss, (1.0 + 2.0) / 4)
  np.testing.assert_allclose(active, 0.5)
  np.testing.assert_allclose(
      tape.gradient(loss, kl), [[0, 0.25], [0.25, 0]])


def test_perturb_adds_noise_of_the_given_size():
  stoch, deter = tf.ones((100, 1000)), tf.ones((100, 1000), tf.float16)
  noisy_stoch, noisy_deter = r2s2.perturb(stoch, deter, 0.5, 0.1)
  assert abs(np.std(noisy_stoch.numpy() - 1) - 0.5) < 0.01
  assert noisy_deter.dtype == tf.float16
  noise = noisy_deter.numpy().astype(np.float32) - 1
  assert abs(np.std(noise) - 0.1) < 0.005


def prepared(*flags, **kwargs):
  agent = make_agent(small_config(*flags, **kwargs))
  data = {k: tf.constant(v) for k, v in chunk().items()}
  agent.wm.loss(data)  # Creates the variables.
  return agent, data


def constraint(agent, post):
  decoded = agent.wm.heads['decoder'](agent.wm.rssm.get_feat(post))
  return part(agent, r2s2.DecodingConstraint).model_loss(
      agent.wm, None, {'post': post, 'heads': {'decoder': decoded}})


def test_constraint_vanishes_without_noise(eager):
  agent, data = prepared('--idm.sigma_h', 0, '--idm.sigma_s', 0)
  metrics = agent.wm.loss(data)[-1]
  assert float(metrics['idm_kl']) == 0
  assert float(metrics['idm_cst_loss']) == 0


def test_constraint_equals_a_second_decode(eager):
  agent, data = prepared()
  wm = agent.wm
  tf.random.set_seed(1)
  post = wm.loss(data)[2]['post']
  tf.random.set_seed(2)
  loss, metrics = constraint(agent, post)
  tf.random.set_seed(2)
  stoch, deter = r2s2.perturb(post['stoch'], post['deter'], 0.1, 0.1)
  decode = lambda s, h: wm.heads['decoder'](
      tf.concat([s, h], -1))['image'].mean().numpy()
  error = decode(stoch, deter) - decode(post['stoch'], post['deter'])
  kl = 0.5 * (error.astype(np.float64) ** 2).sum((2, 3, 4))
  np.testing.assert_allclose(loss, kl.mean(), rtol=1e-4)
  np.testing.assert_allclose(metrics['idm_kl'], kl.mean(), rtol=1e-4)


def test_loss_is_upstream_s_plus_the_scaled_constraint(eager):
  agent, data = prepared('--idm.cst_scale', 300, '--idm.sigma_h', 0.5)
  loss, _, _, metrics = agent.wm.loss(data)
  assert float(metrics['idm_cst_loss']) > 1e-3
  expected = (
      2 * metrics['kl_loss'] + metrics['image_loss'] + metrics['reward_loss']
      + 300 * metrics['idm_cst_loss'])
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_each_sigma_goes_to_its_own_part(eager, monkeypatch):
  agent, data = prepared('--idm.sigma_h', 0.3, '--idm.sigma_s', 0.7)
  post = agent.wm.loss(data)[2]['post']
  noise = {}
  original = r2s2.perturb

  def perturb(stoch, deter, *sigmas):
    result = original(tf.repeat(stoch, 500, 0), tf.repeat(deter, 500, 0),
                      *sigmas)
    noise['s'] = np.std(result[0].numpy() - np.repeat(stoch, 500, 0))
    noise['h'] = np.std(result[1].numpy() - np.repeat(deter, 500, 0))
    return original(stoch, deter, *sigmas)

  monkeypatch.setattr(r2s2, 'perturb', perturb)
  constraint(agent, post)
  np.testing.assert_allclose(noise['h'], 0.3, rtol=0.02)
  np.testing.assert_allclose(noise['s'], 0.7, rtol=0.02)


def test_gradient_is_the_sum_of_both_branches(eager, monkeypatch):
  agent, data = prepared()
  wm = agent.wm
  post = {k: tf.constant(v) for k, v in wm.loss(data)[2]['post'].items()}
  stop = lambda means: {k: tf.stop_gradient(v) for k, v in means.items()}
  same = lambda means: means
  original = r2s2.decoding_kl
  grads = {}
  for name, clean, noisy in [
      ('both', same, same), ('noisy', stop, same), ('clean', same, stop)]:
    monkeypatch.setattr(
        r2s2, 'decoding_kl',
        lambda x, y, f=clean, g=noisy: original(f(x), g(y)))
    tf.random.set_seed(3)
    with tf.GradientTape() as tape:
      tape.watch(post['deter'])
      loss, _ = constraint(agent, post)
    grads[name] = tape.gradient(loss, post['deter']).numpy()
  size = np.abs(grads['both']).max()
  # Each branch is far larger than the tolerance, so that neither may miss.
  assert np.abs(grads['noisy']).max() > 0.1 * size > 0
  assert np.abs(grads['clean']).max() > 0.1 * size
  np.testing.assert_allclose(
      grads['both'], grads['noisy'] + grads['clean'], rtol=0,
      atol=1e-3 * size)


def test_gradients_run_through_both_branches_to_every_part(eager):
  agent, data = prepared('--idm.cst_scale', 1000)
  wm = agent.wm
  with tf.GradientTape() as tape:
    post = wm.loss(data)[2]['post']
    loss, _ = constraint(agent, post)
  tape_vars = [
      wm.encoder.trainable_variables[0], wm.rssm.trainable_variables[0],
      wm.heads['decoder'].trainable_variables[0]]
  # A tape serves one gradient call, so all three in one.
  for grad in tape.gradient(loss, tape_vars):
    assert np.abs(grad).max() > 0


def test_no_gradient_below_the_margin(eager):
  agent, data = prepared('--idm.cst_delta', 1e6)
  wm = agent.wm
  with tf.GradientTape() as tape:
    post = wm.loss(data)[2]['post']
    loss, metrics = constraint(agent, post)
  assert float(loss) == 0 and float(metrics['idm_kl_active']) == 0
  grad = tape.gradient(loss, wm.heads['decoder'].trainable_variables[0])
  assert np.abs(grad).max() == 0


def test_clean_states_are_decoded_once(eager, monkeypatch):
  agent, data = prepared()
  calls = []
  original = upstream.common.Decoder.__call__
  monkeypatch.setattr(
      upstream.common.Decoder, '__call__',
      lambda self, x: calls.append(x) or original(self, x))
  agent.wm.loss(data)
  assert len(calls) == 2  # One clean, one perturbed.


class Decodes(Extension):
  """Another part that calls the decoder, on states of its own."""

  def model_loss(self, model, data, outs):
    model.heads['decoder'](tf.ones_like(outs['feat']))
    return None, {}


def test_other_calls_of_the_decoder_change_nothing(eager):
  agent, data = prepared()
  parts, losses = agent.wm.extensions, []
  other = Decodes(agent.config)
  for extensions in (parts, [other, *parts], [*parts, other]):
    agent.wm.extensions = extensions
    tf.random.set_seed(1)
    losses.append(agent.wm.loss(data))
  for loss, _, outs, metrics in losses:
    np.testing.assert_array_equal(loss, losses[0][0])
    np.testing.assert_array_equal(
        metrics['idm_kl'], losses[0][3]['idm_kl'])
    assert outs['heads'].keys() == {'decoder', 'reward'}
  # The model's own heads are back in their place.
  assert isinstance(agent.wm.heads['decoder'], upstream.common.Decoder)


def test_vector_observations_are_constrained_too(eager):
  agent, data = prepared(
      '--rssm.discrete', 0, presets=('dmc_proprio', 'idm'))
  assert not agent.wm.heads['decoder'].cnn_keys
  assert agent.wm.heads['decoder'].mlp_keys == ['position', 'speed']
  assert float(agent.wm.loss(data)[-1]['idm_kl']) > 0


def test_subset_is_distinct_and_covers_all_in_time():
  draws = [r2s2.subset(10, 0.35).numpy() for _ in range(60)]
  assert all(len(set(x)) == 4 for x in draws)
  assert set(np.concatenate(draws)) == set(range(10))
  assert len(r2s2.subset(5, 0.01)) == 1


def test_halves_of_the_states_average_to_the_whole(eager, monkeypatch):
  """Unbiased: every state has the same chance, and counts as in the whole."""
  monkeypatch.setattr(
      r2s2, 'perturb', lambda s, h, *sigmas: (s + 0.3, h - 0.2))
  agent, data = prepared()
  post = agent.wm.loss(data)[2]['post']
  count = post['deter'].shape[0] * post['deter'].shape[1]
  order = np.random.RandomState(0).permutation(count).astype(np.int32)

  def one(fraction, states):
    monkeypatch.setattr(r2s2, 'subset', lambda *args: tf.constant(states))
    part(agent, r2s2.DecodingConstraint).config = agent.config.update(
        {'idm.cst_fraction': fraction})
    return float(constraint(agent, post)[0])

  whole = one(1.0, order)
  cut = count // 3
  parts = [
      one(0.5, x) for x in (order[:cut], order[cut:])]
  assert abs(parts[0] - parts[1]) > 1e-3 * whole
  np.testing.assert_allclose(
      (cut * parts[0] + (count - cut) * parts[1]) / count, whole, rtol=1e-5)
