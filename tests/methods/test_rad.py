"""Training on augmented images."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config

from dreamer_idm.agent import registry
from dreamer_idm.agent.extension import TARGET
from dreamer_idm.config import load as config_lib
from dreamer_idm.config import methods
from dreamer_idm.errors import UsageError
from dreamer_idm.methods.rad import augmentations
from dreamer_idm.methods.rad import extensions as rad
from dreamer_idm.upstream.config import Config

OFF = {'shift': 0, 'rotation': 0.0, 'jitter': 0.0, 'noise': 0.0}


def config(*flags, presets=('dmc', 'rad')):
  return small_config(*flags, presets=presets)


def settings(**changes):
  return Config({**OFF, 'fill': 'zero', **changes})


def pictures(count=5, height=12, width=9, channels=3, dtype=np.uint8):
  values = np.random.default_rng(0).integers(
      0, 256, (count, height, width, channels))
  return (values / (1 if dtype == np.uint8 else 255)).astype(dtype)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('channels', [1, 4])
def test_shift_is_numpys_padding_and_crop(dtype, channels):
  pad, images = 3, pictures(7, channels=channels, dtype=dtype)
  offset = np.random.default_rng(1).integers(-pad, pad + 1, (7, 2))
  found = augmentations.shift(
      tf.constant(images), tf.constant(offset, tf.int32))
  padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), 'edge')
  expected = [
      x[pad + dy:pad + dy + 12, pad + dx:pad + dx + 9]
      for x, (dy, dx) in zip(padded, offset)]
  np.testing.assert_array_equal(found, expected)
  assert found.dtype == dtype


def test_jitter_is_numpys():
  random = np.random.default_rng(2)
  images = pictures(dtype=np.float32)
  gain, contrast, brightness = (
      random.normal(size=x).astype('f') for x in ((5, 3), 5, 5))
  found = augmentations.jitter(
      *map(tf.constant, (images, gain, contrast, brightness)))
  for n, x in enumerate(images):
    x = x * gain[n]
    expected = contrast[n] * (x - x.mean()) + x.mean() + brightness[n]
    np.testing.assert_allclose(found[n], expected, atol=1e-5)


def test_corners_are_black_or_the_nearest_pixel():
  # Its maths is compared with NumPy's and SciPy's in test_clion.py.
  images = tf.fill([2, 24, 24, 3], 0.7)
  zero, nearest = (
      augmentations.rotate(images, tf.constant([45.0, 5.0]), x)
      for x in ('zero', 'nearest'))
  np.testing.assert_array_equal(zero[0, 0, 0], 0)
  np.testing.assert_allclose(zero[:, 12, 12], 0.7)
  np.testing.assert_allclose(nearest, images)


@pytest.mark.parametrize('key, value', [
    ('shift', 3), ('rotation', 20.0), ('jitter', 0.3), ('noise', 0.1)])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_a_sequence_or_a_frame_has_a_draw_of_its_own(key, value, dtype):
  still = np.repeat(pictures(4, dtype=dtype)[:, None], 6, 1)
  for per in ('sequence', 'frame'):
    found = augmentations.changed(
        {'image': tf.constant(still)},
        settings(**{key: value}), per)['image'].numpy()
    assert found.dtype == dtype and found.shape == still.shape
    assert found.min() >= 0 and found.max() <= (
        255 if dtype == np.uint8 else 1)
    alike = [
        (x == y).all() for clip in found
        for x, y in itertools.pairwise(clip)]
    assert all(alike) if per == 'sequence' else not all(alike)
    assert len({x[0].tobytes() for x in found}) > 1
    assert (found != still).any()


def test_draws_reach_their_bounds_and_noise_has_its_spread():
  images = {'image': tf.fill([200, 1, 8, 8, 3], 0.5)}
  noise = augmentations.changed(
      images, settings(noise=0.05), 'frame')['image'].numpy() - 0.5
  assert noise.std() == pytest.approx(0.05, rel=0.02)
  ramp = tf.tile(tf.range(9, dtype=tf.float32)[None, None, :, None, None] / 9,
                 [400, 1, 1, 9, 1])
  moved = augmentations.changed({'x': ramp}, settings(shift=2), 'frame')['x']
  rows = np.rint(9 * moved[:, 0, 4, 0, 0].numpy()) - 4
  assert {*rows} == {-2, -1, 0, 1, 2}
  bright = augmentations.changed(
      images, settings(jitter=0.1), 'frame')['image'].numpy()
  means = bright.mean((1, 2, 3))  # Of 200 x 3 channels: gain and brightness.
  assert 0.35 - 1e-6 <= means.min() < 0.4 and 0.6 < means.max() <= 0.65 + 1e-6


def test_all_images_of_a_frame_move_alike():
  images = tf.constant(pictures(12).reshape(3, 4, 12, 9, 3))
  found = augmentations.changed(
      {'a': images, 'b': images}, settings(shift=3, rotation=9.0), 'frame')
  np.testing.assert_array_equal(found['a'], found['b'])


def test_what_training_sees_is_drawn_afresh_and_the_data_stay(eager):
  agent = make_agent(config('--rad.noise', 0.1))
  term, data = part(agent, rad.Augmentation), chunk()
  before = {k: v.copy() for k, v in data.items()}
  once, again = (
      term.batch({k: tf.constant(v) for k, v in data.items()})
      for _ in range(2))
  assert once.keys() == data.keys()
  assert (once['image'] != again['image']).numpy().any()
  for key, value in before.items():
    np.testing.assert_array_equal(data[key], value)
    if key != 'image':
      np.testing.assert_array_equal(once[key], value)


@pytest.mark.parametrize('which', ['augmented', 'clean'])
def test_the_decoder_is_held_against(which, eager):
  agent = make_agent(config('--rad.reconstruct', which))
  data = part(agent, rad.Augmentation).batch(
      {k: tf.constant(v) for k, v in chunk().items()})
  changed, clean = data['image'], chunk()['image']
  assert (TARGET + 'image' in data) == (which == 'clean')
  assert (changed.numpy() != clean).any()
  _, _, outs, metrics = agent.wm.loss(data)
  # The encoder sees the changed images in both.
  seen = agent.wm.preprocess({
      k: v for k, v in data.items() if not k.startswith(TARGET)})
  np.testing.assert_array_equal(outs['embed'], agent.wm.encoder(seen))
  target = (clean if which == 'clean' else changed.numpy()) / 255 - 0.5
  mean = outs['heads']['decoder']['image'].mean().numpy().astype(float)
  error = 0.5 * ((mean - target) ** 2 + np.log(2 * np.pi))
  np.testing.assert_allclose(
      metrics['image_loss'], error.sum((2, 3, 4)).mean(), rtol=1e-5)


def test_acting_and_reports_are_not_asked(eager, monkeypatch):
  agent, calls = make_agent(config()), []
  original = augmentations.changed
  monkeypatch.setattr(
      augmentations, 'changed', lambda *x: calls.append(1) or original(*x))
  obs = {k: v[0, :1] for k, v in chunk().items() if k != 'action'}
  state = agent.wm.rssm.initial(1), np.zeros((1, 2), np.float32)
  for mode in ('train', 'explore', 'eval'):
    agent.policy(obs, state, mode)
  agent.report({k: tf.constant(v) for k, v in chunk().items()})
  assert not calls
  agent.train(chunk(), agent.wm.rssm.initial(3))
  assert calls == [1]


def test_switched_off_it_equals_upstream_bit_for_bit(eager):
  off = config(*(y for k, v in OFF.items() for y in (f'--rad.{k}', v)))
  assert registry.extensions(off) == []
  assert_equals_upstream(off, steps=1)


def test_it_adds_to_the_parts_of_another_method():
  kinds = [type(x).__name__ for x in registry.extensions(
      config(presets=('dmc', 'rad', 'idm')))]
  assert kinds[-1] == 'Augmentation' and len(kinds) == 5


def test_without_images_it_is_refused(eager):
  for presets in (('cpu_proprio', 'rad'), ('cpu_proprio', 'idm', 'rad')):
    with pytest.raises(UsageError, match='this agent reads none'):
      config_lib.load(['--configs', *presets])
  with pytest.raises(UsageError, match='no world model to which'):
    config_lib.load(['--configs', 'cpu', 'drq', 'rad'])
  # Only the environment tells the names of a Gymnasium task's observations.
  other = config('--task', 'gym_CartPole-v1')
  data = {k: tf.constant(v) for k, v in chunk().items() if k != 'image'}
  with pytest.raises(UsageError, match='this agent reads none'):
    rad.Augmentation(other).batch(data)


@pytest.mark.parametrize('flags, seen', [
    (['rad'], 'shifts up to 2 pixels, rotations up to 5°'),
    (['rad_shift', '--rad.noise', '0.1'],
     'shifts up to 2 pixels, pixel noise of 0.1'),
    (['rad', '--rad.shift', '0', '--rad.rotation', '0'], ''),
    (['idm', 'rad_shift'], 'shifts up to 2 pixels'), (['idm'], ''),
    (['clion'], "rotations up to 5° in a term of the encoder's"),
    (['clion', '--clion.rotation_scale', '0'], ''),
    (['drq'], 'shifts up to 2 pixels')])
def test_what_training_saw_is_said(flags, seen):
  flat = config_lib.load(['--configs', 'cpu', *flags]).flat
  assert methods.seen_in_training(flat) == seen


@pytest.mark.parametrize('preset, key', [
    ('rad', 'rad.rotation'), ('clion', 'clion.rotation_degrees')])
def test_what_a_run_saw_before_its_settings_changed_is_said(preset, key):
  flat = config_lib.load(['--configs', 'cpu', preset]).flat
  changed = '5.0, then 0.0 from 1600'  # As `report` has it, of same_run.
  assert f'rotations up to ({changed})°' in methods.seen_in_training(
      {**flat, key: changed})


@pytest.mark.parametrize('preset, key', [
    ('rad', 'rad.shift'), ('curl', 'curl.shift'), ('drq', 'drq.pad')])
def test_shifts_are_smaller_than_the_images(preset, key):
  words = ['--configs', 'cpu', preset, '--task', 'dmc_cartpole_balance']
  config_lib.load([*words, f'--{key}', '31'])
  with pytest.raises(UsageError, match=f'{key} 32 must be smaller.*32 32'):
    config_lib.load([*words, f'--{key}', '32'])
