import math

import numpy as np
import pytest

from dreamer_idm import perturbations
from dreamer_idm.errors import UsageError


def picture(height=12, width=12, channels=3, seed=0):
  random = np.random.RandomState(seed)
  return random.randint(0, 256, (height, width, channels), np.uint8)


class Env:
  """Shows one point of light, so that a frame tells its angle."""

  obs_space = 'one space'
  act_space = 'another'

  def __init__(self):
    self.image = np.zeros((65, 65, 3), np.uint8)
    self.image[31:34, 60:63] = 255
    self.calls = 0

  def _obs(self, first):
    self.calls += 1
    return {
        'image': self.image, 'wrist': self.image, 'is_first': first,
        'reward': 1.5, 'stack': np.ones((1, 8, 8, 3), np.uint8),
        'depth': np.ones((8, 8, 1), np.float32)}

  def reset(self):
    return self._obs(True)

  def step(self, action):
    return self._obs(False)


def angle(image):
  """Measures where the point of light is, in degrees."""
  weight = image[..., 0].astype(float)
  row = (weight.sum(1) * np.arange(65)).sum() / weight.sum() - 32
  column = (weight.sum(0) * np.arange(65)).sum() / weight.sum() - 32
  return math.degrees(math.atan2(-row, column))


def angles(env, frames=5):
  return [angle(env.reset()['image'])] + [
      angle(env.step({})['image']) for _ in range(frames - 1)]


def wrapped(degrees=5.0, per='frame', fill='zero', seed=0):
  return perturbations.RotatedFrames(Env(), degrees, per, fill, seed)


@pytest.mark.parametrize('fill', ['zero', 'nearest'])
def test_rotation_by_zero_is_the_image_bitwise(fill):
  image = picture()
  np.testing.assert_array_equal(
      perturbations.rotate(image, 0, fill), image)
  np.testing.assert_array_equal(
      perturbations.rotate(image, 0.0, fill), image)


@pytest.mark.parametrize('fill', ['zero', 'nearest'])
@pytest.mark.parametrize('size', [11, 12])
@pytest.mark.parametrize('turns', [1, 2, -1])
def test_quarter_turns_are_those_of_numpy(size, turns, fill):
  image = picture(size, size)
  np.testing.assert_array_equal(
      perturbations.rotate(image, 90 * turns, fill), np.rot90(image, turns))
  point = np.zeros((size, size, 1), np.uint8)
  point[1, 3] = 200
  turned = perturbations.rotate(point, 90, fill)
  assert np.argwhere(turned).tolist() == [[size - 1 - 3, 1, 0]]


@pytest.mark.parametrize('degrees', [-5.0, 3.3, 27.0])
@pytest.mark.parametrize('shape', [(9, 9), (8, 13)])
def test_rotation_is_bilinear_about_the_centre(degrees, shape):
  image = picture(*shape, seed=1)
  turned = perturbations.rotate(image, degrees, 'nearest')
  assert turned.dtype == np.uint8 and turned.shape == image.shape
  height, width = shape
  cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
  for row in range(height):
    for column in range(width):
      y, x = row - (height - 1) / 2, column - (width - 1) / 2
      # Where this pixel was before it turned counter-clockwise.
      y, x = cos * y + sin * x, -sin * y + cos * x
      y = min(max(y + (height - 1) / 2, 0), height - 1)
      x = min(max(x + (width - 1) / 2, 0), width - 1)
      top, left = min(int(y), height - 2), min(int(x), width - 2)
      down, right = y - top, x - left
      expected = (
          (1 - down) * (1 - right) * image[top, left].astype(float) +
          (1 - down) * right * image[top, left + 1] +
          down * (1 - right) * image[top + 1, left] +
          down * right * image[top + 1, left + 1])
      np.testing.assert_allclose(turned[row, column], expected, atol=0.51)


def test_fill_is_what_comes_in_at_the_corners():
  white = np.full((20, 20, 3), 255, np.uint8)
  zero = perturbations.rotate(white, 20, 'zero')
  assert (zero[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
  assert (zero[10, 10] == 255).all()
  assert (perturbations.rotate(white, 20, 'nearest') == 255).all()


def test_only_single_uint8_images_are_accepted():
  for image in [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)]:
    with pytest.raises(ValueError, match='uint8'):
      perturbations.rotate(image, 5, 'zero')


def test_each_frame_has_its_own_angle_from_the_uniform_distribution():
  values = np.array(angles(wrapped(), 400))
  assert abs(values).max() <= 5.05
  assert values.min() < -4.8 and values.max() > 4.8
  assert abs(values.mean()) < 0.5
  assert abs(values.std() - 10 / math.sqrt(12)) < 0.25
  assert len(np.unique(values.round(3))) > 350
  # No frame is related to the one before.
  assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.15


def test_the_reset_frame_is_rotated_and_each_time_otherwise():
  env = wrapped()
  first = [angle(env.reset()['image']) for _ in range(5)]
  assert min(abs(np.array(first))) > 0.01
  assert len(np.unique(np.round(first, 3))) == 5


def test_an_episode_keeps_its_angle():
  env = wrapped(per='episode')
  episodes = np.array([angles(env) for _ in range(6)])
  np.testing.assert_array_equal(episodes, episodes[:, :1].repeat(5, 1))
  assert len(np.unique(episodes[:, 0].round(3))) == 6
  assert abs(episodes).max() <= 5.05


def test_the_seed_decides_and_nothing_else():
  np.random.seed(0)
  first = angles(wrapped(seed=[3, 1]))
  np.random.seed(1)
  assert angles(wrapped(seed=[3, 1])) == first
  assert angles(wrapped(seed=[4, 1])) != first


def test_images_turn_together_and_the_rest_stays():
  env = wrapped()
  before = env.image.copy()
  obs = env.step({})
  np.testing.assert_array_equal(obs['image'], obs['wrist'])
  assert (obs['image'] != before).any()
  np.testing.assert_array_equal(env.image, before)
  assert obs['reward'] == 1.5 and obs['is_first'] is False
  assert obs['stack'].shape == (1, 8, 8, 3) and (obs['stack'] == 1).all()
  assert obs['depth'].dtype == np.float32 and (obs['depth'] == 1).all()
  assert env.obs_space is Env.obs_space and env.act_space is Env.act_space
  assert env.calls == 1
  with pytest.raises(AttributeError):
    _ = env.nothing


def test_no_degrees_is_no_rotation():
  env = wrapped(degrees=0)
  np.testing.assert_array_equal(env.reset()['image'], env.image)


@pytest.mark.parametrize('setting, value', [
    ('degrees', -1), ('degrees', 181), ('degrees', float('nan')),
    ('degrees', '5'), ('degrees', True), ('per', 'step'), ('per', None),
    ('fill', 'black'), ('fill', None)])
def test_bad_settings_are_named(setting, value):
  with pytest.raises(UsageError, match=rf'rotate\.{setting} is .*must be'):
    wrapped(**{setting: value})
