"""Learning without a decoder: by contrast, and from rewards alone."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from conftest import trained
from tensorflow_probability import distributions as tfd

from dreamer_idm import __main__
from dreamer_idm.agent import registry
from dreamer_idm.config import load as config_lib
from dreamer_idm.errors import UsageError
from dreamer_idm.evaluation import pictures as evaluation_pictures
from dreamer_idm.methods.contrastive import extensions as contrastive
from dreamer_idm.runs import checkpoints


def config(*flags, presets=('dmc', 'contrastive')):
  return small_config('--contrastive.head.units', 16, *flags, presets=presets)


@pytest.mark.parametrize('count', [1, 6])
def test_info_nce_is_numpys_over_all_pairs(count):
  random = np.random.default_rng(count)
  feat = random.normal(size=(count, 5)).astype('f')
  mean = (feat + random.normal(size=(count, 5))).astype('f')
  loss, accuracy = contrastive.info_nce(tf.constant(feat), tf.constant(mean))
  terms, hits = [], []
  for i in range(count):
    log_q = [  # Of state i under every observation.
        -0.5 * ((feat[i] - mean[j]) ** 2).sum() - 2.5 * np.log(2 * np.pi)
        for j in range(count)]
    terms.append(log_q[i] - np.log(np.exp(log_q).sum()))
    hits.append(np.argmax(log_q) == i)
  np.testing.assert_allclose(loss, -np.mean(terms), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(accuracy, np.mean(hits))


def test_info_nce_is_large_states_in_float32():
  # The squares are left out or expanded: nothing may be lost by it.
  random = np.random.default_rng(0)
  feat = (10 + random.normal(size=(50, 230))).astype('f')
  mean = (feat + 0.3 * random.normal(size=(50, 230))).astype('f')
  loss, _ = contrastive.info_nce(tf.constant(feat), tf.constant(mean))
  square = ((feat[:, None].astype(float) - mean[None]) ** 2).sum(-1)
  logits = -0.5 * square
  expected = np.mean(
      np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) +
      logits.max(1) - np.diag(logits))
  np.testing.assert_allclose(loss, expected, atol=1e-2)


def test_what_tells_nothing_apart_costs_the_logarithm_of_the_batch():
  mean = tf.ones([7, 3])
  loss, _ = contrastive.info_nce(tf.random.normal([7, 3]), mean)
  np.testing.assert_allclose(loss, np.log(7), rtol=1e-5)
  feat = 50.0 * tf.eye(7)
  loss, accuracy = contrastive.info_nce(feat, feat)
  assert float(loss) == 0 and float(accuracy) == 1


@pytest.mark.parametrize('flags', [
    [], ['--rssm.discrete', '4'], ['--contrastive.scale', '0.5']])
def test_the_term_is_that_of_all_states_of_the_batch(eager, flags):
  agent = make_agent(config(*flags))
  data = {k: tf.constant(v) for k, v in chunk().items()}
  found, _, outs, metrics = agent.wm.loss(data)
  head = part(agent, contrastive.ContrastiveLoss)._head
  q = head(outs['embed'])
  assert isinstance(q.distribution, tfd.Normal)
  np.testing.assert_array_equal(q.distribution.scale, 1)
  mean = q.mean().numpy().reshape(27, -1)
  feat = outs['feat'].numpy().reshape(27, -1)
  assert mean.shape == feat.shape
  log_q = -0.5 * ((feat[:, None] - mean[None]) ** 2).sum(-1)
  expected = np.mean(np.log(np.exp(log_q).sum(1)) - np.diag(log_q))
  np.testing.assert_allclose(
      metrics['contrastive_loss'], expected, rtol=1e-4)
  rest = metrics['reward_loss'] + 2.0 * metrics['kl_loss']
  scale = agent.config.contrastive.scale
  np.testing.assert_allclose(found, rest + scale * expected, rtol=1e-4)


def test_it_teaches_states_encoder_and_head(eager):
  agent = make_agent(config('--loss_scales.kl', 0, '--loss_scales.reward', 0))
  wm, head = agent.wm, part(agent, contrastive.ContrastiveLoss)._head
  before = [x.numpy() for x in (*wm.encoder.variables, *head.variables)]
  agent.train(chunk())
  for old, new in zip(
      before, (*wm.encoder.variables, *head.variables), strict=True):
    assert (old != new.numpy()).any(), new.name


def test_descending_it_tells_states_apart():
  feat, mean = (
      tf.Variable(tf.random.stateless_normal([9, 3], [0, x])) for x in (1, 2))
  for _ in range(200):
    with tf.GradientTape() as tape:
      loss, accuracy = contrastive.info_nce(feat, mean)
    for value, grad in zip((feat, mean), tape.gradient(loss, (feat, mean))):
      value.assign_sub(grad)
  assert float(accuracy) == 1 and float(loss) < 0.5


def test_the_head_is_among_what_a_checkpoint_has(tmp_path, eager):
  def head(agent):
    variables = part(agent, contrastive.ContrastiveLoss)._head.variables
    optimizers = agent.wm.model_opt.variables
    moments = optimizers[-len(variables):]  # The second ones.
    assert [x.shape for x in moments] == [x.shape for x in variables]
    assert len(variables) == 6 and len(optimizers) == 1 + 2 * len([
        *agent.wm.encoder.variables, *agent.wm.rssm.variables,
        *agent.wm.heads['reward'].variables, *variables])
    return [x.numpy() for x in (*variables, *moments)]

  saved, _ = trained(config(), steps=1)
  checkpoints.Checkpoints(tmp_path, saved).save(1, {'step': 1})
  loaded = make_agent(config(), seed=8)
  before = head(loaded)
  checkpoints.Checkpoints(tmp_path, loaded).restore()
  for old, x, y in zip(before, head(saved), head(loaded), strict=True):
    assert (old != x).any()
    np.testing.assert_array_equal(x, y)


def test_switched_off_it_equals_upstream_bit_for_bit(eager):
  off = config('--contrastive.scale', 0)
  assert registry.extensions(off) == []
  assert_equals_upstream(off, steps=1)


def test_reward_only_learns_from_nothing_but_rewards(eager):
  settings = config(presets=('dmc', 'reward_only'))
  assert settings.agent == 'dreamer'
  agent, history = trained(settings, upstreams=True, steps=1)
  found = {x for x in history[0] if x.endswith('_loss')}
  assert found == {
      'kl_loss', 'reward_loss', 'model_loss', 'actor_loss', 'critic_loss'}
  assert not agent.wm.heads['decoder'].variables
  assert agent.report(chunk()) == {}
  before = [x.numpy() for x in agent.wm.encoder.variables]
  agent.train(chunk())
  assert any(
      (x != y.numpy()).any()
      for x, y in zip(before, agent.wm.encoder.variables))


def test_half_precision_contrasts_in_float32(eager):
  tf.keras.mixed_precision.set_global_policy('mixed_float16')
  try:
    _, history = trained(config(), steps=1)
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  assert history[0]['contrastive_loss'].dtype == np.float32
  assert np.isfinite(history[0]['contrastive_loss'])


@pytest.mark.parametrize('preset', ['contrastive', 'reward_only'])
def test_there_is_nothing_to_reconstruct(tmp_path, capfd, preset):
  config_lib.save(
      config(presets=('dmc', preset)), tmp_path / 'config.yaml')
  assert __main__.main(['reconstruct', str(tmp_path)]) == 2
  error = capfd.readouterr().err
  assert error.startswith('error: ') and error.count('\n') == 1
  assert preset in error and 'nothing to reconstruct' in error


def test_there_is_no_video_of_predictions(tmp_path, eager):
  agent = make_agent(config())
  assert not evaluation_pictures.video(agent, None, tmp_path / 'clean.gif')
  assert not list(tmp_path.iterdir())


# Behind IDM: a constraint without a decoding.


def test_the_observations_kl_is_numpys():
  random = np.random.default_rng(3)
  clean, noisy = random.normal(size=(2, 4, 3)).astype('f')
  mean = random.normal(size=(6, 3)).astype('f')
  found = contrastive.observation_kl(*map(tf.constant, (clean, noisy, mean)))
  for i in range(4):
    q = [np.exp(-0.5 * ((x[i] - mean) ** 2).sum(1)) for x in (clean, noisy)]
    p, other = (x / x.sum() for x in q)
    np.testing.assert_allclose(
        found[i], (p * np.log(p / other)).sum(), rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(
      contrastive.observation_kl(tf.constant(clean), clean, mean), 0)


@pytest.mark.parametrize('flags, count', [
    ([], 27), (['--idm.cst_fraction', '0.3', '--idm.cst_delta', '1e-4'], 8)])
def test_idm_s_constraint_is_on_observations(flags, count, eager, monkeypatch):
  agent = make_agent(config(
      '--idm.sigma_h', 0.5, '--idm.cst_scale', 3, *flags,
      presets=('dmc', 'idm', 'contrastive')))
  kinds = [type(x).__name__ for x in agent.wm.extensions]
  assert 'DecodingConstraint' not in kinds
  assert kinds[-2:] == ['ContrastiveLoss', 'ObservationConstraint']
  seen = []
  original = contrastive.observation_kl
  monkeypatch.setattr(contrastive, 'observation_kl', lambda *x: (
      seen.append([*x, original(*x)]) or seen[-1][-1]))
  data = {k: tf.constant(v) for k, v in chunk().items()}
  with tf.GradientTape() as tape:
    loss, _, outs, metrics = agent.wm.loss(data)
  (clean, noisy, mean, kl), = seen
  assert clean.shape == noisy.shape == (count, 17) and mean.shape == (27, 17)
  assert 0.05 < (noisy - clean).numpy().std() < 0.6
  delta = agent.config.idm.cst_delta
  expected = np.maximum(0, kl.numpy() - delta).mean()
  np.testing.assert_allclose(metrics['idm_cst_loss'], expected, rtol=1e-5)
  np.testing.assert_allclose(metrics['idm_kl'], kl.numpy().mean(), rtol=1e-5)
  rest = metrics['reward_loss'] + 2.0 * metrics['kl_loss'] + (
      metrics['contrastive_loss'])
  np.testing.assert_allclose(loss, rest + 3 * expected, rtol=1e-4)
  head = part(agent, contrastive.ContrastiveLoss)._head
  for grad in tape.gradient(loss, [
      *agent.wm.encoder.trainable_variables, *head.trainable_variables]):
    assert (grad.numpy() != 0).any()


@pytest.mark.parametrize('presets, flags', [
    (('reward_only', 'idm'), []), (('clion', 'contrastive'), []),
    (('idm', 'contrastive'), ['--contrastive.scale', 0])])
def test_a_constraint_on_nothing_is_refused(presets, flags):
  with pytest.raises(UsageError, match='needs something decoded'):
    config(*flags, presets=('dmc', *presets))


def test_with_a_decoder_the_constraint_is_idm_s_own():
  found = registry.extensions(config(
      '--decoder.cnn_keys', 'image', '--grad_heads', 'decoder', 'reward',
      presets=('dmc', 'idm', 'contrastive')))
  kinds = [type(x).__name__ for x in found]
  assert 'DecodingConstraint' in kinds and 'ContrastiveLoss' in kinds
  assert 'ObservationConstraint' not in kinds
