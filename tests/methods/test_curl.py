"""Telling augmented images apart."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config

from dreamer_idm.agent import registry
from dreamer_idm.config import load as config_lib
from dreamer_idm.config import methods
from dreamer_idm.errors import UsageError
from dreamer_idm.methods.contrastive import extensions as contrastive
from dreamer_idm.methods.curl import extensions as curl
from dreamer_idm.methods.rad import augmentations
from dreamer_idm.runs import checkpoints


def config(*flags, presets=('dmc', 'curl')):
  return small_config('--curl.images', 10, *flags, presets=presets)


def test_similarity_and_contrast_are_numpys():
  random = np.random.default_rng(0)
  query, key = random.normal(size=(2, 6, 4)).astype('f')
  weight = random.normal(size=(4, 4)).astype('f')
  logits = curl.similarity(*map(tf.constant, (query, key, weight)))
  loss, accuracy = contrastive.contrast(logits)
  terms, hits = [], []
  for i in range(6):
    row = [query[i] @ weight @ key[j] for j in range(6)]
    terms.append(np.log(np.exp(row).sum()) - row[i])
    hits.append(np.argmax(row) == i)
    np.testing.assert_allclose(logits[i], row, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(loss, np.mean(terms), rtol=1e-5)
  np.testing.assert_allclose(accuracy, np.mean(hits))


def test_the_average_is_numpys():
  values = np.random.default_rng(1).normal(size=(9, 3)).astype('f')
  found = [tf.constant(values[0])]
  for x in values[1:]:
    found = curl.averaged(found, [tf.constant(x)], 0.95)
  expected = 0.95 ** 8 * values[0] + sum(
      0.05 * 0.95 ** (8 - t) * values[t] for t in range(1, 9))
  np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)


def test_drawn_steps_are_of_the_batch_and_none_twice():
  data = {k: tf.constant(v) for k, v in chunk().items()}
  some = curl._some(data, 10)
  assert some['image'].shape == (10, 1, 32, 32, 3)
  where = {
      x.tobytes(): i for i, x in enumerate(
          chunk()['position'].reshape(27, 4))}
  rows = [where[x.tobytes()] for x in some['position'][:, 0].numpy()]
  assert len({*rows}) == 10
  for key, value in chunk().items():
    np.testing.assert_array_equal(
        some[key][:, 0], value.reshape(27, *value.shape[2:])[rows], key)
  assert len(curl._some(data, 0)['reward']) == 27


def test_in_the_agent(eager, monkeypatch, tmp_path):
  """Loss, its gradient, the average, and all of it in a checkpoint."""
  agent = make_agent(config('--encoder.mlp_keys', 'position'))
  wm, term = agent.wm, part(agent, curl.AugmentedContrast)
  encoder = [x.numpy() for x in wm.encoder.variables]
  seen = []
  original = augmentations.changed
  monkeypatch.setattr(augmentations, 'changed', lambda *x: (
      seen.append(original(*x)) or seen[-1]))
  data = {k: tf.constant(v) for k, v in chunk().items()}
  with tf.GradientTape(persistent=True) as tape:
    loss, metrics = term.model_loss(wm, data, {})
  # Before the first step the keys' encoder is the other one.
  for x, y in zip(encoder, term._keys.variables, strict=True):
    np.testing.assert_array_equal(x, y)
  first, second = (x['image'].numpy() for x in seen)
  assert first.shape == (10, 1, 32, 32, 3) and (first != second).any()
  query, key = (
      wm.encoder({
          'image': x[:, 0] / np.float32(255) - np.float32(0.5),
          'position': np.zeros((10, 4), 'f'),
          'speed': np.zeros((10, 3), 'f')}).numpy().astype(float)
      for x in (first, second))
  weight, = term._weight.variables
  logits = query @ weight.numpy() @ key.T
  expected = np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits))
  np.testing.assert_allclose(loss, expected, rtol=1e-4)
  np.testing.assert_allclose(metrics['curl_loss'], expected, rtol=1e-4)
  # Gradients into the encoder and W, none into the average.
  images = [x for x in wm.encoder.trainable_variables if len(x.shape) == 4]
  assert len(images) == 3
  for grad in tape.gradient(loss, [*images, weight]):
    assert (grad.numpy() != 0).any()
  grads = tape.gradient(loss, term._keys.trainable_variables)
  assert len(grads) == len(encoder) and not any(x is not None for x in grads)
  # Steps of the model move the average as NumPy's.
  state, average = wm.rssm.initial(3), encoder
  for seed in range(2):
    now = [x.numpy() for x in wm.encoder.variables]
    state, found = agent.train(chunk(seed=seed), state)
    average = [
        np.float32(0.95) * x + np.float32(0.05) * y
        for x, y in zip(average, now)]
    for x, y in zip(term._keys.variables, average, strict=True):
      np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)
  assert np.isfinite(found['curl_loss'])
  assert (weight.numpy() != 0).all()
  # Resumed, the next update is the same, bit for bit.
  checkpoints.Checkpoints(tmp_path, agent).save(1, {'step': 1})
  other = make_agent(config('--encoder.mlp_keys', 'position'), seed=5)
  checkpoints.Checkpoints(tmp_path, other).restore()
  state, losses = wm.rssm.initial(3), []
  for x in (agent, other):
    tf.random.set_seed(3)
    _, found = x.train(chunk(seed=9), state)
    losses.append({k: np.array(v) for k, v in found.items()})
  assert losses[0] == losses[1]
  for x, y in zip(agent.variables, other.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)


def test_switched_off_it_equals_upstream_bit_for_bit(eager):
  off = config('--curl.scale', 0)
  assert registry.extensions(off) == []
  assert_equals_upstream(off, steps=1)


def test_it_adds_to_other_methods():
  kinds = [type(x).__name__ for x in registry.extensions(
      config(presets=('dmc', 'curl', 'idm', 'rad')))]
  assert kinds[-2:] == ['Augmentation', 'AugmentedContrast']
  found = config_lib.load(['--configs', 'cpu', 'curl', 'rad', 'idm'])
  assert found.agent == found.method == 'idm+rad+curl'
  assert (found.curl.shift, found.rad.shift) == (2, 2)


@pytest.mark.parametrize('flags, words', [
    (['cpu_proprio', 'curl'], 'this agent reads none'),
    (['cpu', 'curl', '--curl.images', '1'], 'no other image'),
    (['cpu', 'curl', '--curl.momentum', '1.5'], '0 to 1')])
def test_what_cannot_be_is_refused(flags, words):
  with pytest.raises(UsageError, match=words):
    config_lib.load(['--configs', *flags])


def test_what_training_saw_is_said():
  flat = config_lib.load(['--configs', 'cpu', 'curl']).flat
  assert methods.seen_in_training(flat) == (
      "shifts up to 2 pixels in a term of the encoder's")
  assert not methods.seen_in_training({**flat, 'curl.scale': 0.0})
