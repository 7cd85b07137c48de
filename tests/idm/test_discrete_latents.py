"""IDM on discrete latents, upstream's own default."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from conftest import trained

from dreamer_idm.idm import decoding_constraint
from dreamer_idm.idm import derived_memory

DISCRETE = ['--rssm.discrete', 4]
OFF = ['--idm.copies', 0, '--idm.cst_scale', 0, '--idm.evaluator', 'False']


def check(history):
  assert {'idm_kl', 'idm_eva_accuracy', 'idm_weight_derived'} <= set(
      history[-1])
  assert history[-1]['idm_kl'] > 0
  for key, value in history[-1].items():
    assert np.isfinite(value), key


def test_training_in_a_graph_is_finite_and_complete():
  agent, history = trained(
      small_config(*DISCRETE, presets=('dmc_vision', 'idm')))
  check(history)
  assert agent.wm.rssm.initial(1)['stoch'].shape == (1, 5, 4)


@pytest.mark.parametrize('preset, flags', [
    ('dmc', ['--idm.cst_fraction', 0.5, '--idm.noise', 'student_t']),
    ('dmc_proprio', [
        '--idm.noise', 'interpolate', '--idm.stoch_mode', 'add'])])
def test_training_with_other_settings_is_finite(eager, preset, flags):
  config = small_config(*DISCRETE, *flags, presets=(preset, 'idm'))
  check(trained(config)[1])


@pytest.mark.parametrize('preset', ['dmc_vision', 'dmc_proprio'])
def test_upstream_s_presets_have_discrete_latents(preset):
  assert small_config(presets=(preset, 'idm')).rssm.discrete == 32


def test_every_switch_off_equals_upstream_bit_for_bit(eager):
  assert_equals_upstream(
      small_config(*DISCRETE, *OFF, presets=('dmc_vision', 'idm')))


def test_constraint_puts_its_noise_on_the_one_hot_sample(eager):
  agent = make_agent(small_config(*DISCRETE))
  wm, data = agent.wm, {k: tf.constant(v) for k, v in chunk().items()}
  post = wm.loss(data)[2]['post']
  constraint = part(agent, decoding_constraint.DecodingConstraint)
  decoded = wm.heads['decoder'](wm.rssm.get_feat(post))
  tf.random.set_seed(2)
  loss, metrics = constraint.model_loss(
      wm, None, {'post': post, 'heads': {'decoder': decoded}})
  tf.random.set_seed(2)
  noise = [tf.random.normal(post[k].shape) for k in ('stoch', 'deter')]

  def decode(stoch, deter):
    feat = tf.concat([tf.reshape(stoch, (3, 9, 20)), deter], -1)
    return wm.heads['decoder'](feat)['image'].mean().numpy().astype('d')

  error = decode(
      post['stoch'] + 0.1 * noise[0], post['deter'] + 0.1 * noise[1]
  ) - decode(post['stoch'], post['deter'])
  kl = 0.5 * (error ** 2).sum((2, 3, 4))
  assert kl.min() > 0
  np.testing.assert_allclose(metrics['idm_kl'], kl.mean(), rtol=1e-4)
  np.testing.assert_allclose(loss, kl.mean(), rtol=1e-4)


def test_imagination_starts_from_one_hot_states(eager, monkeypatch):
  starts = []
  original = derived_memory.extend
  monkeypatch.setattr(
      derived_memory, 'extend',
      lambda *args: starts.append(original(*args)) or starts[-1])
  trained(small_config(*DISCRETE), steps=1)
  start, terminal = starts[-1]
  assert set(start) == {'stoch', 'logit', 'deter'}
  assert start['stoch'].shape == start['logit'].shape == (6, 9, 5, 4)
  assert terminal.shape == (6, 9)
  stoch = start['stoch'].numpy()
  np.testing.assert_array_equal(stoch.sum(-1), 1)
  assert set(np.unique(stoch)) == {0, 1}
  assert (stoch[:3] != stoch[3:]).any()


@pytest.mark.parametrize('mode', derived_memory.MODES)
def test_half_precision_keeps_dtypes(eager, mode):
  tf.keras.mixed_precision.set_global_policy('mixed_float16')
  try:
    agent, history = trained(
        small_config(*DISCRETE, '--idm.stoch_mode', mode), steps=1)
    latent = agent.wm.rssm.initial(3)
    post = {k: tf.stack([v] * 9, 1) for k, v in latent.items()}
    derived = derived_memory.derive(post, 1, 0.1, 0.1, mode)
    for key, value in post.items():
      assert derived[key].dtype == value.dtype, key
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  assert np.isfinite(history[0]['actor_loss'])
