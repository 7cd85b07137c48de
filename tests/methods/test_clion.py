import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from conftest import trained

from dreamer_idm import upstream
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import distortions
from dreamer_idm.errors import UsageError
from dreamer_idm.idm import derived_memory
from dreamer_idm.idm import reliability_weights
from dreamer_idm.idm import trajectory_evaluator
from dreamer_idm.methods.clion import extensions as clion

OFF = [
    '--idm.copies', 0, '--idm.cst_scale', 0, '--idm.evaluator', 'False',
    '--clion.rotation_scale', 0]


def clion_config(*flags, presets=('dmc', 'clion')):
  return small_config(*flags, presets=presets)


def prepared(*flags, **kwargs):
  agent = make_agent(clion_config(*flags, **kwargs))
  return agent, {k: tf.constant(v) for k, v in chunk().items()}


@pytest.mark.parametrize('flags, kinds', [
    ([], [clion.NormConstraint, derived_memory.DerivedMemory,
          trajectory_evaluator.TrajectoryEvaluator,
          reliability_weights.ReliabilityWeights,
          clion.RotationInvariance]),
    (['--idm.cst_scale', 0, '--idm.evaluator', 'False'],
     [derived_memory.DerivedMemory, clion.RotationInvariance]),
    (['--idm.copies', 0, '--idm.evaluator', 'False',
      '--clion.rotation_degrees', 0], [clion.NormConstraint]),
    (OFF, [])])
def test_parts_are_those_that_are_switched_on(flags, kinds):
  assert [type(x) for x in clion.extensions(clion_config(*flags))] == kinds


def test_preset_draws_s_again_and_is_linear():
  config = clion_config()
  assert config.method == config.agent == 'clion'
  assert config.idm.stoch_mode == 'resample'
  assert config.idm.eva_loss == 'linear'
  assert config.clion.rotation_scale == 0.01
  assert config.clion.rotation_degrees == 5


def test_every_switch_off_equals_upstream_bit_for_bit(eager):
  assert_equals_upstream(clion_config(*OFF))


def test_training_in_a_graph_is_finite_and_complete():
  agent, history = trained(clion_config())
  names = {
      'idm_kl', 'idm_cst_loss', 'clion_rotation_loss', 'idm_eva_accuracy',
      'idm_weight_derived', 'evaluator_loss'}
  assert names <= set(history[-1])
  for key, value in history[-1].items():
    assert np.isfinite(value), key
  assert -1 < history[-1]['evaluator_loss'] < 1  # Linear, not 2 ln 2.


# The constraint.


@pytest.mark.parametrize('compiled', [False, True])
def test_norm_is_the_root_with_a_finite_gradient_at_zero(compiled):
  # TensorFlow's own kernel of the root's gradient makes 0 of 0 / 0, XLA's NaN.
  @tf.function(jit_compile=compiled)
  def both(square):
    with tf.GradientTape() as tape:
      tape.watch(square)
      value = clion.norm(square)
    return value, tape.gradient(value, square)

  value, grad = both(tf.constant([0.0, 1e-12, 4.0]))
  np.testing.assert_allclose(value, [0, 1e-6, 2], rtol=1e-6)
  np.testing.assert_allclose(grad, [0, 0.5e6, 0.25], rtol=1e-5)


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_penalty_equals_numpy_over_all_that_is_decoded(dtype):
  random = np.random.RandomState(0)
  shapes = {'image': (2, 3, 64, 64, 3), 'position': (2, 3, 4)}
  clean, noisy = [
      {k: random.normal(size=s).astype(dtype) for k, s in shapes.items()}
      for _ in range(2)]
  config = clion_config('--idm.cst_delta', 0)
  loss, metrics = clion.NormConstraint(config).penalty(clean, noisy)
  square = 0.0
  for key in shapes:
    error = noisy[key].astype(np.float64) - clean[key]
    square += (error.reshape(2, 3, -1) ** 2).sum(-1)
  assert loss.dtype == tf.float32
  np.testing.assert_allclose(loss, 0.5 * np.sqrt(square).mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics['idm_kl'], square.mean() / 2, rtol=1e-5)


@pytest.mark.parametrize('fraction', [1.0, 0.4])
def test_constraint_equals_a_second_decode_of_h_with_noise(eager, fraction):
  agent, data = prepared('--idm.cst_scale', 3, '--idm.cst_fraction', fraction)
  wm, constraint = agent.wm, part(agent, clion.NormConstraint)
  post = wm.loss(data)[2]['post']
  decode = lambda state: wm.heads['decoder'](
      wm.rssm.get_feat(state))['image'].mean().numpy().astype(np.float64)
  clean = decode(post)
  seen = []
  constraint.perturbed = lambda state: seen.append((
      state, clion.NormConstraint.perturbed(constraint, state))) or seen[0][1]
  decoded = wm.heads['decoder'](wm.rssm.get_feat(post))
  loss, metrics = constraint.model_loss(
      wm, None, {'post': post, 'heads': {'decoder': decoded}})
  (before, after), = seen
  if fraction < 1:
    assert before['deter'].shape == (1, 11, 12)
    clean = decode(before)
  error = decode(after) - clean
  distance = 0.5 * np.sqrt((error ** 2).sum((2, 3, 4)))
  np.testing.assert_allclose(
      metrics['idm_cst_loss'], distance.mean(), rtol=1e-4)
  np.testing.assert_allclose(loss, 3 * distance.mean(), rtol=1e-4)


def test_noise_is_on_h_alone():
  config = clion_config('--idm.sigma_h', 0.3, '--idm.sigma_s', 50)
  post = {
      'stoch': tf.random.normal((20, 50, 10)), 'deter': tf.ones((20, 50, 100))}
  noisy = clion.NormConstraint(config).perturbed(post)
  np.testing.assert_array_equal(noisy['stoch'], post['stoch'])
  np.testing.assert_allclose(np.std(noisy['deter'].numpy() - 1), 0.3, rtol=0.02)


def test_gradient_is_finite_without_noise(eager):
  agent, data = prepared('--idm.sigma_h', 0, '--idm.cst_scale', 1000)
  wm = agent.wm
  with tf.GradientTape() as tape:
    loss, _, _, metrics = wm.loss(data)
  assert float(metrics['idm_cst_loss']) == 0
  for grad in tape.gradient(loss, wm.heads['decoder'].trainable_variables):
    assert np.isfinite(grad).all()


def test_clean_states_and_images_are_decoded_and_encoded_once(
    eager, monkeypatch):
  agent, data = prepared()
  calls = {'Encoder': 0, 'Decoder': 0}
  for name, cls in [
      ('Encoder', upstream.common.Encoder),
      ('Decoder', upstream.common.Decoder)]:
    original = cls.__call__

    def count(self, x, name=name, original=original):
      calls[name] += 1
      return original(self, x)

    monkeypatch.setattr(cls, '__call__', count)
  agent.wm.loss(data)
  assert calls == {'Encoder': 2, 'Decoder': 2}  # As they are, and changed.


def test_a_margin_is_refused():
  with pytest.raises(UsageError, match='--idm.cst_delta 0'):
    clion_config('--idm.cst_delta', 0.5)
  with pytest.raises(UsageError, match='--idm.cst_scale 0'):
    clion_config('--decoder.cnn_keys', '$^')


# The rotations.


def images(height=24, width=24, count=4):
  random = np.random.RandomState(0)
  coarse = random.uniform(0, 1, (count, height // 4, width // 4, 3))
  smooth = scipy.ndimage.zoom(coarse, (1, 4, 4, 1), order=1)
  return smooth.astype(np.float32) - 0.5


@pytest.mark.parametrize('height, width', [(24, 24), (23, 24), (20, 36)])
def test_no_degrees_is_the_identity(height, width):
  values = np.random.RandomState(0).uniform(
      -0.5, 0.5, (2, height, width, 3)).astype('f')
  np.testing.assert_array_equal(clion.rotate(values, tf.zeros(2)), values)


@pytest.mark.parametrize('turns', [1, 2, 3, -1])
@pytest.mark.parametrize('size', [8, 9])
def test_right_angles_equal_numpy(turns, size):
  values = images(36, 36)[:, :size, :size]
  turned = clion.rotate(values, tf.fill([4], 90.0 * turns))
  np.testing.assert_allclose(
      turned, np.rot90(values, turns, (1, 2)), atol=1e-5)


def test_each_image_turns_by_its_own_angle_and_back_again():
  values, degrees = images(), [0.0, 5.0, -5.0, 180.0]
  turned = clion.rotate(values, tf.constant(degrees)).numpy()
  for index, angle in enumerate(degrees):
    alone = clion.rotate(values[index:index + 1], tf.constant([angle]))
    np.testing.assert_array_equal(turned[index], alone[0])
  back = clion.rotate(turned, -tf.constant(degrees)).numpy()
  inside = np.s_[:, 4:-4, 4:-4]
  assert np.abs(back - values)[inside].max() < 0.1
  assert np.abs(turned - values)[1][4:-4, 4:-4].max() > 0.1


@pytest.mark.parametrize('angle', [0.7, 5.0, -3.3, 31.0])
def test_agrees_with_the_rotation_at_test_time(angle):
  image = np.rint(255 * (images(48, 48)[0] + 0.5)).astype(np.uint8)
  seen = distortions.rotate(image, angle).astype(np.float64)
  values = (image / 255 - 0.5)[None]
  turned = 255 * (clion.rotate(values, tf.constant([angle]))[0].numpy() + 0.5)
  # Up to bytes and up to the border, which is blended with black here.
  y, x = np.indices((48, 48)) - 23.5
  disc = np.hypot(x, y) < 22.5
  assert np.abs(turned - seen)[disc].max() < 1
  assert np.abs(seen - image)[disc].max() > 5


def test_corners_become_black():
  turned = clion.rotate(np.full((1, 24, 24, 3), 0.5, 'f'), tf.constant([45.0]))
  np.testing.assert_allclose(turned[0, 0, 0], -0.5)
  np.testing.assert_allclose(turned[0, 12, 12], 0.5)


def test_loss_is_the_distance_between_embeddings(eager, monkeypatch):
  angles = np.random.RandomState(0).uniform(-5, 5, 27).astype('f')
  agent, data = prepared('--clion.rotation_scale', 7)
  wm, term = agent.wm, part(agent, clion.RotationInvariance)
  embed = wm.encoder(wm.preprocess(data))
  drawn = []
  monkeypatch.setattr(
      tf.random, 'uniform', lambda *args: drawn.append(args) or angles)
  loss, metrics = term.model_loss(wm, data, {'embed': embed})
  assert drawn == [([27], -5.0, 5.0)]
  turned = np.stack([
      clion.rotate(x[None], tf.constant([angle]))[0] for x, angle in zip(
          wm.preprocess(data)['image'].numpy().reshape(27, 32, 32, 3), angles)])
  other = wm.encoder({
      **wm.preprocess(data), 'image': turned.reshape(3, 9, 32, 32, 3)})
  error = other.numpy().astype(np.float64) - embed.numpy()
  distance = np.sqrt((error ** 2).sum(-1)).mean()
  assert distance > 1e-3
  np.testing.assert_allclose(
      metrics['clion_rotation_loss'], distance, rtol=1e-4)
  np.testing.assert_allclose(loss, 7 * distance, rtol=1e-4)


def test_loss_is_upstream_s_plus_both_scaled_terms(eager):
  agent, data = prepared(
      '--idm.cst_scale', 300, '--clion.rotation_scale', 200)
  loss, _, _, metrics = agent.wm.loss(data)
  expected = (
      2 * metrics['kl_loss'] + metrics['image_loss'] + metrics['reward_loss']
      + 300 * metrics['idm_cst_loss'] + 200 * metrics['clion_rotation_loss'])
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_gradient_runs_through_both_embeddings(eager):
  agent, data = prepared()
  wm, term = agent.wm, part(agent, clion.RotationInvariance)
  grads = []
  for stop in (tf.identity, tf.stop_gradient):
    tf.random.set_seed(1)
    with tf.GradientTape() as tape:
      embed = stop(wm.encoder(wm.preprocess(data)))
      loss, _ = term.model_loss(wm, data, {'embed': embed})
    grads.append(tape.gradient(
        loss, wm.encoder.trainable_variables[0]).numpy())
  assert np.isfinite(grads[0]).all()
  size = np.abs(grads[1]).max()
  assert size > 0
  assert np.abs(grads[0] - grads[1]).max() > 1e-2 * size


def test_vectors_alone_have_no_rotation(eager):
  agent, history = trained(clion_config(
      '--rssm.discrete', 0, presets=('dmc_proprio', 'clion')), steps=1)
  assert not agent.wm.encoder.cnn_keys
  assert 'clion_rotation_loss' not in history[0]
  assert history[0]['idm_cst_loss'] > 0
  config_lib.load(['--configs', 'cpu_proprio', 'clion'])


def test_vectors_beside_images_are_not_changed(eager, monkeypatch):
  agent, data = prepared('--encoder.mlp_keys', '.*')
  seen = []
  original = upstream.common.Encoder.__call__
  monkeypatch.setattr(
      upstream.common.Encoder, '__call__',
      lambda self, x: seen.append(x) or original(self, x))
  agent.wm.loss(data)
  clean, turned = seen
  np.testing.assert_array_equal(clean['position'], turned['position'])
  assert (clean['image'].numpy() != turned['image'].numpy()).any()


def test_only_training_rotates(eager, monkeypatch):
  """Acting, evaluation and reports see the environment's frames."""
  agent, data = prepared()
  calls = []
  original = clion.rotate
  monkeypatch.setattr(
      clion, 'rotate', lambda *args: calls.append(1) or original(*args))
  before = {k: v.numpy().copy() for k, v in data.items()}
  obs = {k: v[0, :1] for k, v in chunk().items() if k != 'action'}
  state = agent.wm.rssm.initial(1), np.zeros((1, 2), np.float32)
  for mode in ('train', 'explore', 'eval'):
    agent.policy(obs, state, mode)
  agent.report(data)
  assert not calls
  agent.train(data, agent.wm.rssm.initial(3))
  assert calls == [1]
  for key, value in before.items():
    np.testing.assert_array_equal(data[key], value)
  # What environments and evaluation are made from is as for any method.
  plain, ours = small_config(presets=('dmc',)), agent.config
  assert ours.rotate == plain.rotate


def test_half_precision_is_finite_and_in_float32(eager):
  tf.keras.mixed_precision.set_global_policy('mixed_float16')
  try:
    agent, data = prepared()
    metrics = agent.wm.loss(data)[-1]
    for key in ('clion_rotation_loss', 'idm_cst_loss'):
      assert metrics[key].dtype == tf.float32
      assert 0 < float(metrics[key]) < 1e3
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
