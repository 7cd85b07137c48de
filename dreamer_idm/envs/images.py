"""Images of any environment as the agent takes them, uint8 [h, w, C]."""

import collections

import gymnasium
import numpy as np
from PIL import Image

from ..errors import UsageError

MOST_CHANNELS = 16  # A first axis of at most so many may be channels.
LEAST_SIDE = 8  # A matrix of bytes with shorter sides is not an image.

Reader = collections.namedtuple('Reader', ['space', 'convert', 'note'])


def is_image(space):
  """Whether a gymnasium space is one of images.

  Bytes [H, W], [H, W, C] or [C, H, W]; of other numbers, three axes and bounds
  of 0 and 255, or of 0 and 1.
  """
  if not isinstance(space, gymnasium.spaces.Box):
    return False
  shape = _without_ones(space.shape)
  if space.dtype == np.uint8 and len(shape) == 2:
    return min(shape) >= LEAST_SIDE
  return len(shape) == 3 and (
      space.dtype == np.uint8 or _white(space) is not None)


def _without_ones(shape):
  # dm_control's cameras deliver a history of one frame: [1, H, W, C].
  return shape[1:] if len(shape) == 4 and shape[0] == 1 else shape


def _white(space):
  # The value of a white pixel, or None.
  if space.low.size and not (space.low != 0).any():
    for white in (1, 255):
      if (space.high == white).all() and space.dtype.kind != 'b':
        return white
  return None


def reader(space, size):
  """Settles how an image is converted.

  Args:
    space: gymnasium Box for which `is_image` holds.
    size: tuple of two ints, h and w; None for the image's own.

  Returns:
    `Reader`: the space uint8 [h, w, C], a function that converts an image of
    `space` to it or raises ValueError, and a note for the user.
  """
  shape, first, scale = _layout(space)
  notes = [f'channel-first {list(shape)}, so it is transposed'] if first else []
  height, width, channels = np.roll(shape, -1).tolist() if first else shape
  size = size or (height, width)
  if (height, width) != size:
    notes.append(f'{height}x{width}, resized to {size[0]}x{size[1]}')

  def convert(value):
    image = to_bytes(value if scale == 1 else value * scale, scale > 1)
    image = image.reshape(shape)
    return _resize(image.transpose(1, 2, 0) if first else image, size)

  return Reader(
      gymnasium.spaces.Box(0, 255, (*size, channels), np.uint8),
      convert,
      ' and '.join(notes))


def _layout(space):
  # Three axes, whether the first has the channels, and what white is to them.
  shape = (*_without_ones(space.shape), 1)[:3]
  first = shape[0] <= MOST_CHANNELS < min(shape[1:])
  scale = 255 if space.dtype != np.uint8 and _white(space) == 1 else 1
  return shape, first, scale


def restored(image, space):
  """Turns what a reader made back into an image of its space.

  Args:
    image: uint8 [H, W, C], of the size of the space.
    space: gymnasium Box that it was read from.

  Returns:
    array of the space's shape and dtype.
  """
  _, first, scale = _layout(space)
  if first:
    image = image.transpose(2, 0, 1)
  value = image if scale == 1 else image / scale
  return value.reshape(space.shape).astype(space.dtype)


def to_bytes(value, rounds=False):
  """Converts whole numbers of any type.

  Args:
    value: array [...].
    rounds: bool, whether fractions are rounded.

  Returns:
    uint8 [...].

  Raises:
    ValueError: if there are other numbers than 0 to 255.
  """
  if value.dtype == np.uint8:
    return value
  whole = np.rint(value)
  if whole.size and not (whole.min() >= 0 and whole.max() <= 255):
    bounds = '0 and 1' if rounds else '0 and 255'
    raise ValueError(
        f'is not within {bounds}, as observation_space says: it is '
        f'{value.dtype} from {value.min():g} to {value.max():g}'
        f'{", times 255" if rounds else ""}')
  if not rounds and (whole != value).any():
    raise ValueError(
        f'is {value.dtype} with fractions from {value.min():g} to '
        f'{value.max():g}, but observation_space says bytes of 0 to 255 '
        '(images of 0 to 1 have the space Box(0, 1, shape, float32))')
  return whole.astype(np.uint8)


def _resize(image, size):
  # uint8 [H, W, C] -> [h, w, C]. A larger image is averaged by area: picking
  # single pixels would lose objects of a pixel's width. One channel at a
  # time, since Pillow knows no images of two channels, or of nine.
  if image.shape[:2] == size:
    return image
  return np.stack([
      np.asarray(Image.fromarray(image[..., i]).resize(
          (size[1], size[0]), Image.Resampling.BOX))
      for i in range(image.shape[-1])], -1)


def frame(value, size, source):
  """Converts what an environment rendered.

  Args:
    value: what `render` returned.
    size: tuple of two ints, h and w.
    source: str, the environment's name in messages.

  Returns:
    uint8 [h, w, 3].

  Raises:
    UsageError: if it is not a frame.
  """
  image = np.asarray(value)
  if image.ndim != 3 or image.shape[-1] not in (3, 4) or (
      image.dtype != np.uint8):
    came = f'{image.dtype} {list(image.shape)}' if image.ndim else (
        shortly(value))
    raise UsageError(
        f'{source}: render returned {came}, but a frame is uint8 [H, W, 3] '
        "(render_mode 'rgb_array')")
  return _resize(image[..., :3], size)


def shortly(value):
  """Any value in at most 60 characters of one line."""
  text = ' '.join(repr(value).split())
  return text if len(text) <= 60 else f'{text[:57]}...'
