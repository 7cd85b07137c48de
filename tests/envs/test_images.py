"""Kinds of images, one by one."""

import gymnasium
import numpy as np
import pytest

from dreamer_idm.envs import images
from dreamer_idm.envs import observations
from dreamer_idm.errors import UsageError

Box = gymnasium.spaces.Box
SIZE = 32, 48


def take(space, obs):
  """Converts an image, which must belong to the converted space."""
  taken = observations.Observations(space, SIZE, 'task')
  result = taken.convert(obs)
  assert taken.spaces['image'].contains(result['image'])
  return result, taken


def pixels(*shape):
  return np.random.RandomState(0).randint(0, 256, shape, np.uint8)


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 9, 16])
@pytest.mark.parametrize('height, width', [(32, 48), (64, 96), (84, 84)])
def test_images_of_any_channels_are_brought_to_height_and_width(
    height, width, channels):
  image = pixels(height, width, channels)
  obs, taken = take(Box(0, 255, image.shape, np.uint8), image)
  assert obs['image'].shape == (32, 48, channels)
  assert bool(taken.notes) == ((height, width) != SIZE)
  if (height, width) == (64, 96):
    mean = image.reshape(32, 2, 48, 2, channels).mean((1, 3))
    assert np.abs(obs['image'] - mean).max() <= 1  # Rounded along each axis.


def test_a_line_of_one_pixel_survives():
  image = np.zeros((96, 144, 3), np.uint8)
  image[:, 1] = 255  # Picking every third pixel would lose it.
  obs, _ = take(Box(0, 255, image.shape, np.uint8), image)
  assert (obs['image'][:, 0] == 85).all() and not obs['image'][:, 1:].any()


def test_left_stays_left_in_images_that_are_not_square():
  image = np.zeros((96, 128, 3), np.uint8)
  image[:, :64] = 255
  obs, _ = take(Box(0, 255, image.shape, np.uint8), image)
  assert (obs['image'][:, :24] == 255).all() and not obs['image'][:, 24:].any()


def test_channel_first_images_are_transposed_and_that_is_said():
  image = pixels(3, 32, 48)
  obs, taken = take(Box(0, 255, image.shape, np.uint8), image)
  np.testing.assert_array_equal(obs['image'], image.transpose(1, 2, 0))
  assert taken.notes == [
      'task: image is channel-first [3, 32, 48], so it is transposed.']


def test_grayscale_without_an_axis_of_channels():
  image = pixels(*SIZE)
  obs, _ = take(Box(0, 255, SIZE, np.uint8), image)
  np.testing.assert_array_equal(obs['image'], image[..., None])


@pytest.mark.parametrize('space, value', [
    (Box(0, 1, (*SIZE, 3), np.float32), pixels(*SIZE, 3) / np.float32(255)),
    (Box(0, 255, (*SIZE, 3), np.float32), pixels(*SIZE, 3).astype('f')),
    (Box(0, 255, (*SIZE, 3), np.int64), pixels(*SIZE, 3).astype(int)),
    (Box(0, 255, (*SIZE, 3), np.uint8), pixels(*SIZE, 3).astype(float)),
    (Box(0, 255, (*SIZE, 3), np.uint8), pixels(*SIZE, 3).tolist())])
def test_images_of_other_types_become_bytes(space, value):
  obs, _ = take(space, value)
  np.testing.assert_array_equal(obs['image'], pixels(*SIZE, 3))


@pytest.mark.parametrize('value, message', [
    (None, 'render returned None'), (np.zeros((4, 4, 3)), r'float64 \[4, 4, 3'),
    (np.zeros((4, 4), np.uint8), r'uint8 \[4, 4\].*rgb_array')])
def test_what_is_no_frame_is_one_line(value, message):
  with pytest.raises(UsageError, match=message):
    images.frame(value, SIZE, 'gym_x')
  assert images.frame(pixels(64, 96, 4), SIZE, 'gym_x').shape == (
      *SIZE, 3)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_an_image_with_a_value_that_is_not_finite_is_one_line(dtype):
  image = np.zeros((*SIZE, 3), dtype)
  image[0, 0, 0] = np.nan
  with pytest.raises(UsageError, match='not within 0 and 1.*nan'):
    take(Box(0, 1, image.shape, dtype), image)
