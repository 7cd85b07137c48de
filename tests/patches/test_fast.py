"""The faster bodies against upstream's, given the same noise."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from dreamer_idm.patches import fast
from dreamer_idm.patches import fast_decoder
from tensorflow_probability.python.internal import samplers

from dreamer_idm import upstream


@pytest.fixture
def same_noise(monkeypatch):
  """Every draw is 0.7 standard deviations, or the likeliest category."""
  def normal(shape, mean=0.0, stddev=1.0, dtype=tf.float32, **kwargs):
    return mean + stddev * tf.fill(shape, tf.constant(0.7, dtype))
  monkeypatch.setattr(tf.random, 'normal', normal)
  monkeypatch.setattr(samplers, 'normal', normal)
  monkeypatch.setattr(
      samplers, 'categorical', lambda logits, n, seed=None: tf.repeat(
          tf.argmax(logits, -1)[:, None], n, -1))


@pytest.fixture
def gradients(monkeypatch):
  """The gradients of the latest update, by the optimizer's name."""
  found: dict = {}
  original = upstream.common.Optimizer.__call__

  def spy(self, tape, loss, modules):
    return original(self, _Spied(tape, self._name, found), loss, modules)

  monkeypatch.setattr(upstream.common.Optimizer, '__call__', spy)
  return found


class _Spied:

  def __init__(self, tape, name, gradients):
    self._tape, self._name, self._gradients = tape, name, gradients

  def gradient(self, loss, variables):
    found = self._tape.gradient(loss, variables)
    self._gradients[self._name] = found
    return found


@pytest.mark.parametrize('flags', [
    ('--actor_ent', '0'),
    ('--actor_ent', '0.01', '--slow_target', 'True', '--rssm.std_act',
     'sigmoid2'),
    ('--actor_ent', '0', '--actor_grad', 'both', '--actor_grad_mix', '0.3'),
    *[('--actor.dist', 'onehot', '--actor_grad', grad, '--actor_ent', ent)
      for grad, ent in [
          ('reinforce', '0.1'), ('reinforce', '0'), ('dynamics', '0'),
          ('both', '0.1')]],
    ('--encoder.cnn_keys', '$^', '--encoder.mlp_keys', '.*',
     '--decoder.cnn_keys', '$^', '--decoder.mlp_keys', '.*')])
def test_update_equals_the_published_one(eager, same_noise, gradients, flags):
  config = small_config(*flags, presets=('dmc',))
  runs = []
  for context in (contextlib.nullcontext, upstream.as_published):
    agent = make_agent(config, upstreams=True)
    gradients.clear()
    with context():
      _, metrics = agent.train(
          {k: tf.constant(v) for k, v in chunk().items()},
          agent.wm.rssm.initial(3))
    runs.append((metrics, dict(gradients)))
  (metrics, found), (expected, published) = runs
  assert metrics.keys() == expected.keys()
  for key in expected:
    np.testing.assert_allclose(
        metrics[key], expected[key], rtol=2e-4, atol=1e-6, err_msg=key)
  assert found.keys() == {'model', 'actor', 'critic'}
  for name in published:
    for x, y in zip(found[name], published[name], strict=True):
      scale = float(tf.reduce_max(tf.abs(y))) + 1e-12
      np.testing.assert_allclose(x / scale, y / scale, atol=2e-4)


@pytest.mark.parametrize('sizes', [(1, 5, 6, 4), (1, 6, 3, 5)])
def test_from_one_pixel(sizes):
  check(fast_decoder.from_one_pixel, *sizes)


@pytest.mark.parametrize('sizes', [(4, 6, 7, 3), (5, 4, 2, 1), (3, 2, 4, 2)])
def test_by_blocks(sizes):
  check(fast_decoder.by_blocks, *sizes)


def check(function, size, kernel, depth, channels):
  random = np.random.default_rng(0)
  x = random.normal(size=(2, size, size, depth)).astype('f')
  weights = random.normal(size=(kernel, kernel, channels, depth)).astype('f')
  result = function(tf.constant(x), tf.constant(weights))
  width = 2 * (size - 1) + kernel
  expected = np.zeros((2, width, width, channels))
  for i in range(size):
    for j in range(size):
      expected[:, 2 * i:2 * i + kernel, 2 * j:2 * j + kernel] += np.einsum(
          'nc,abfc->nabf', x[:, i, j], weights)
  np.testing.assert_allclose(result, expected, atol=1e-4)


def test_episode_starts_inside_a_chunk(eager, same_noise):
  config = small_config(presets=('dmc',))
  agent = make_agent(config, upstreams=True)
  data = chunk()
  data['is_first'][0, 4] = data['is_first'][2, 0] = True
  data = agent.wm.preprocess({k: tf.constant(v) for k, v in data.items()})
  embed = agent.wm.encoder(data)
  state = {k: v + 0.5 for k, v in agent.wm.rssm.initial(3).items()}
  arguments = embed, data['action'], data['is_first'], state
  found = agent.wm.rssm.observe(*arguments)
  with upstream.as_published():
    expected = agent.wm.rssm.observe(*arguments)
  for mine, theirs in zip(found, expected, strict=True):
    assert mine.keys() == theirs.keys()
    for key in theirs:
      np.testing.assert_allclose(mine[key], theirs[key], atol=1e-5)


def test_switched_off_the_bodies_are_upstream_s(eager, monkeypatch):
  monkeypatch.setattr(fast, 'ENABLED', False)
  config = small_config(presets=('dmc',))
  runs = []
  for context in (contextlib.nullcontext, upstream.as_published):
    agent = make_agent(config, upstreams=True)
    tf.random.set_seed(3)
    with context():
      _, metrics = agent.train(chunk(), agent.wm.rssm.initial(3))
    runs.append((agent, metrics))
  (mine, found), (theirs, expected) = runs
  for key in expected:
    np.testing.assert_array_equal(found[key], expected[key], key)
  for x, y in zip(mine.variables, theirs.variables, strict=True):
    np.testing.assert_array_equal(x, y)


def test_the_update_is_traced_once():
  agent = make_agent(small_config())
  state = agent.wm.rssm.initial(3)
  for seed in range(2):
    data = {k: tf.constant(v) for k, v in chunk(seed=seed).items()}
    state, _ = agent.train(data, state)
  assert agent.train.experimental_get_tracing_count() == 1


def draws():
  """Noise of a chunk's posterior and prior, and of an imagined rollout."""
  agent = make_agent(small_config(presets=('dmc',)), upstreams=True)
  wm, data = agent.wm, {k: tf.constant(v) for k, v in chunk().items()}

  def policy(feat):
    dists = upstream.common.dists.tfd
    return dists.Independent(dists.Normal(tf.zeros([27, 2]), 1.0), 1)

  def swap(states):
    return {k: tf.transpose(v, [1, 0, 2]) for k, v in states.items()}

  @tf.function(autograph=False)
  def run():
    batch = wm.preprocess(data)
    post, prior = wm.rssm.observe(
        wm.encoder(batch), batch['action'], batch['is_first'],
        wm.rssm.initial(3))
    seq = wm.imagine(policy, post, batch['is_terminal'], 8)
    return swap(post), swap(prior), {k: v[1:] for k, v in seq.items()}

  tf.random.set_seed(1)
  states = run()
  return [(x['stoch'] - x['mean']) / x['std'] for x in states] + [
      states[-1]['action']]


def repeats(steps):
  """The fraction of numbers that are the same as one step before."""
  return np.mean(np.isclose(steps[1:], steps[:-1], atol=1e-3))


def test_each_step_draws_noise_of_its_own():
  """With a seed, upstream's nested functions draw the same at every step."""
  assert max(repeats(x) for x in draws()) < 0.02
  with upstream.as_published():
    published = [repeats(x) for x in draws()]
  assert min(published[:3]) > 0.9, published
