import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config

from dreamer_idm import upstream
from dreamer_idm.agent import build
from dreamer_idm.agent import vector_normalization as vn
from dreamer_idm.runs import checkpoints

FLAGS = ['--normalize_vectors', 'True', r'--(encoder|decoder).mlp_keys', '.*']


def test_moments_of_equal_weights_are_those_of_all_batches():
  random = np.random.RandomState(0)
  batches = [random.normal(i, 1 + i, (3, 5, 4)) for i in range(4)]
  mean, variance = tf.zeros(4), tf.ones(4)
  for number, batch in enumerate(batches):
    mean, variance = vn.moments(
        mean, variance, tf.constant(batch), 1 / (number + 1))
  seen = np.reshape(batches, (-1, 4))
  np.testing.assert_allclose(mean, seen.mean(0), rtol=1e-5)
  np.testing.assert_allclose(variance, seen.var(0), rtol=1e-5)


def test_moments_are_exact_far_from_zero():
  value = 1e4 + np.random.RandomState(0).normal(size=(8, 50, 2))
  mean, variance = vn.moments(tf.zeros(2), tf.ones(2), tf.constant(value), 1.0)
  np.testing.assert_allclose(mean, value.mean((0, 1)), rtol=1e-6)
  np.testing.assert_allclose(variance, value.var((0, 1)), rtol=1e-2)


def test_normalized_equals_numpy_and_is_cut_off():
  value = np.random.RandomState(0).normal(3, 20, (6, 3)).astype('f')
  mean, variance = np.float32([3, 0, 2]), np.float32([400, 1, 0])
  found = vn.normalized(tf.constant(value), mean, variance)
  expected = (value - mean) / np.maximum(np.sqrt(variance), 0.01)
  np.testing.assert_allclose(found, np.clip(expected, -8, 8), rtol=1e-5)
  assert np.abs(expected).max() > 8 >= np.abs(found).max()


def running(key, batches):
  """What the statistics of a key are after some batches, by NumPy."""
  mean, variance = 0.0, 1.0
  for number, data in enumerate(batches):
    value, rate = data[key].astype(np.float64), max(1 / (number + 1), 1e-3)
    old, new = mean, value.mean((0, 1))
    mean = old + rate * (new - old)
    variance = (1 - rate) * (variance + old ** 2) + rate * (
        value.var((0, 1)) + new ** 2) - mean ** 2
  return mean, variance


@pytest.mark.parametrize('method', ['dreamer', 'idm'])
def test_networks_see_numbers_normalised_by_what_was_trained_on(method):
  presets = ('dmc',) if method == 'dreamer' else ('dmc', method)
  agent = make_agent(small_config(*FLAGS, presets=presets))
  batches = [chunk(seed=i) for i in range(3)]
  state = agent.wm.rssm.initial(3)
  for data in batches:
    data['position'] = 30 * data['position'] + 7
    state, _ = agent.train(data, state)
  obs = {k: v[:, 0] for k, v in batches[0].items()}
  seen = agent.wm.preprocess({k: tf.constant(v) for k, v in obs.items()})
  for key in ('position', 'speed'):
    mean, variance = running(key, batches)
    np.testing.assert_allclose(
        seen[key], np.clip((obs[key] - mean) / np.sqrt(variance), -8, 8),
        rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(seen['image'], obs['image'] / 255 - 0.5, atol=1e-6)
  np.testing.assert_array_equal(seen['reward'], obs['reward'])


def test_the_decoder_predicts_normalised_numbers(eager):
  agent = make_agent(small_config(
      *FLAGS, '--normalize_vectors', 'True', presets=('dmc',)))
  plain = make_agent(small_config(
      *FLAGS, '--normalize_vectors', 'False', presets=('dmc',)))
  data = chunk()
  data['position'] = 1000 * data['position']
  losses = []
  for each in (agent, plain):
    metrics = each.train(data, each.wm.rssm.initial(3))[1]
    losses.append(float(metrics['position_loss']))
  # Half the squares of 4 numbers of variance 1, and of variance 1e6.
  assert losses[0] < 10 and losses[1] > 1e5


def test_statistics_are_saved_with_the_agent(eager, tmp_path):
  config = small_config(*FLAGS, presets=('dmc',))
  first, second = make_agent(config), make_agent(config)
  first.train(chunk(seed=5), first.wm.rssm.initial(3))
  checkpoints.Checkpoints(tmp_path, first).save(1, {'step': 1})
  checkpoints.Checkpoints(tmp_path, second).restore()
  mean, variance = running('speed', [chunk(seed=5)])
  found = part(second, vn.VectorNormalization)
  np.testing.assert_allclose(found._mean['speed'], mean, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(found._variance['speed'], variance, rtol=1e-5)
  assert float(found._count) == 1


def test_switched_off_dreamer_is_upstream_s_own_class():
  config = small_config(presets=('dmc',))
  box, flag = tf.float32.as_numpy_dtype, bool
  import gymnasium
  space = gymnasium.spaces.Box
  spaces = {
      'image': space(0, 255, (32, 32, 3), np.uint8),
      'reward': space(-np.inf, np.inf, (), box),
      **{f'is_{x}': space(0, 1, (), flag)
         for x in ('first', 'last', 'terminal')}}
  action = {'action': space(-1, 1, (2,), box)}
  off = build.build_agent(config, spaces, action, upstream.common.Counter(0))
  on = build.build_agent(
      config.update({'normalize_vectors': True}), spaces, action,
      upstream.common.Counter(0))
  assert type(off) is upstream.agent.Agent
  assert type(on) is not upstream.agent.Agent
