"""Observations of any environment, in the form that the agent takes.

The agent reads images, uint8 [H, W, C], and vectors, float32 [n] (uint8 [n]
where the environment counts in bytes: upstream divides those by 255). What
environments deliver is more varied: nested dicts and tuples, float64, scalars,
categories, grayscale, channel-first or float images. `Observations` translates
the space once and every observation alike, so that replay, policy, evaluation
and loaded agents see the same numbers.
"""

import collections
import functools

import gymnasium
import numpy as np
from PIL import Image

from ..errors import UsageError

# What upstream's wrappers add to every observation.
FLAGS = ('reward', 'is_first', 'is_last', 'is_terminal')
# Names that the replay or the losses of the world model have for themselves.
RESERVED = {*FLAGS, 'action', 'discount', 'kl'}
MOST_CHANNELS = 16  # A first axis of at most so many may be channels.
LEAST_SIDE = 8  # A matrix of bytes with shorter sides is no image.
LARGEST = 1024  # Numbers of an array that is read as a vector.

_Leaf = collections.namedtuple('_Leaf', ['name', 'path', 'space'])
_Reader = collections.namedtuple('_Reader', ['space', 'convert', 'note'])


class Observations:
  """Translates one environment's observations.

  `spaces` is the dict of gymnasium Boxes that `convert` fills, without
  `log_*`; `notes` are lines for the user, on what is not taken as it comes;
  `ignored` is a dict of what is left out: name -> reason.
  """

  def __init__(self, space, size, source, taken=()):
    """Settles how each observation is converted.

    Args:
      space: gymnasium space. The single image of an environment is called
        `image`, its single vector `vector`; dicts keep their keys, those of
        nested ones are joined by a slash, and parts of a tuple are `part_0`,
        `part_1` and so on.
      size: pair of ints, height and width that images are brought to.
      source: str, the environment's name in messages.
      taken: collection of str, further names that are reserved.

    Raises:
      UsageError: if nothing in the space can be read.
    """
    self._source = source
    self.spaces, self.notes, self.ignored = {}, [], {}
    self._readers, self._logged = [], []
    for leaf in _leaves(space):
      if leaf.name.startswith('log_'):
        self._logged.append(leaf)
        continue
      try:
        reader = _reader(leaf.space, tuple(size))
      except TypeError as error:
        self.ignored[leaf.name] = str(error)
        continue
      name = self._renamed(leaf, {*RESERVED, *taken})
      if reader.note:
        self.notes.append(f'{source}: {name} is {reader.note}.')
      self.spaces[name] = reader.space
      self._readers.append((name, leaf, reader.convert))

  def _renamed(self, leaf, reserved):
    if leaf.name not in reserved:
      return leaf.name
    name = f'obs_{leaf.name}'
    self.notes.append(
        f'{self._source}: its observation {leaf.name} is called {name} here, '
        f'since {leaf.name} is a name of the training itself.')
    return name

  def convert(self, obs, where='reset'):
    """Translates an observation; what its space does not have is dropped.

    Args:
      obs: what the environment returned, of the structure of its space.
      where: str, the call that returned it.

    Returns:
      dict of arrays that belong to `spaces`, and of float32 arrays `log_*`.

    Raises:
      UsageError: if it does not belong to the environment's own space and
        cannot safely be converted; says what was expected and what came.
    """
    result = {}
    for name, leaf, convert in self._readers:
      value = self._array(obs, leaf, where)
      try:
        result[name] = convert(value)
      except ValueError as error:
        raise UsageError(
            f'{self._place(leaf, where)} {error}: make observation_space and '
            'observations agree') from error
    for leaf in self._logged:
      result[leaf.name] = self._array(obs, leaf, where).astype(np.float32)
    return result

  def _array(self, obs, leaf, where):
    value = obs
    for key in leaf.path:
      try:
        value = value[key]
      except (KeyError, IndexError, TypeError):
        has = f' (it has {", ".join(map(str, value))})' if isinstance(
            value, dict) else f' (it is {type(value).__name__})'
        raise UsageError(
            f'{self._source}: {where} returned an observation without '
            f'{leaf.name!r}, which observation_space has{has}') from None
    try:
      array = np.asarray(value)
    except ValueError:  # Ragged lists.
      array = np.asarray(None)
    if array.dtype.kind not in 'biuf':
      raise UsageError(
          f'{self._place(leaf, where)} is {_shortly(value)}, but numbers are '
          f'expected: observation_space says {leaf.space}')
    shape = leaf.space.shape
    if array.shape != shape and not (array.size == 1 and shape in ((), (1,))):
      raise UsageError(
          f'{self._place(leaf, where)} has shape {array.shape}, but '
          f'observation_space says {shape}: make them agree')
    return array.reshape(shape)

  def _place(self, leaf, where):
    return f'{self._source}: the observation {leaf.name} of {where}'


def _shortly(value):
  text = ' '.join(repr(value).split())
  return text if len(text) <= 60 else f'{text[:57]}...'


def _leaves(space, name='', path=()):
  # The spaces within dicts and tuples, with the keys that lead there.
  if isinstance(space, gymnasium.spaces.Dict):
    parts: list = [(str(k), k, v) for k, v in space.spaces.items()]
  elif isinstance(space, gymnasium.spaces.Tuple):
    parts = [(f'part_{i}', i, v) for i, v in enumerate(space.spaces)]
  else:
    yield _Leaf(
        name or ('image' if is_image(space) else 'vector'), path, space)
    return
  for part, key, inner in parts:
    yield from _leaves(
        inner, f'{name}/{part}' if name else part, (*path, key))


def is_image(space):
  """Tells whether a space is one of images.

  Args:
    space: gymnasium space.

  Returns:
    bool. Of bytes, [H, W] or [H, W, C] or [C, H, W]; of other numbers, three
    axes and bounds of 0 and 255, or of 0 and 1.
  """
  if not isinstance(space, gymnasium.spaces.Box):
    return False
  shape = _without_ones(space.shape)
  if space.dtype == np.uint8 and len(shape) == 2:
    return min(shape) >= LEAST_SIDE
  return len(shape) == 3 and (
      space.dtype == np.uint8 or _white(space) is not None)


def has_image(space):
  """Tells whether there is an image anywhere in a space.

  Args:
    space: gymnasium space, which may be nested.

  Returns:
    bool.
  """
  return any(
      is_image(x.space) for x in _leaves(space)
      if not x.name.startswith('log_'))


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


def _reader(space, size):
  # How a leaf is read; TypeError with the reason if it is not.
  if is_image(space):
    return _image_reader(space, size)
  if isinstance(space, (
      gymnasium.spaces.Discrete, gymnasium.spaces.MultiDiscrete)):
    count = gymnasium.spaces.flatdim(space)
    return _Reader(
        _vector(count), functools.partial(_one_hot, space),
        f'{space}, read as one-hot numbers [{count}]')
  numbers = isinstance(
      space, (gymnasium.spaces.Box, gymnasium.spaces.MultiBinary))
  if not numbers:
    raise TypeError(f'{space} is neither an image nor numbers')
  count = int(np.prod(space.shape))
  if not count:
    raise TypeError('it is empty')
  if len(space.shape) > 1 and count > LARGEST:
    raise TypeError(
        f'{space.dtype} {list(space.shape)} is neither a vector nor an image: '
        'images are uint8 [H, W, C], or have bounds of 0 and 1')
  note = f'{list(space.shape)}, read as a vector [{count}]' if len(
      space.shape) > 1 else ''
  if space.dtype == np.uint8:
    box = gymnasium.spaces.Box(0, 255, (count,), np.uint8)
    return _Reader(box, lambda x: _bytes(x).reshape(-1), note)
  return _Reader(
      _vector(count), lambda x: x.reshape(-1).astype(np.float32), note)


def _vector(count):
  return gymnasium.spaces.Box(-np.inf, np.inf, (count,), np.float32)


def _one_hot(space, value):
  if (value < getattr(space, 'start', 0)).any() or not space.contains(
      value.astype(space.dtype)):
    raise ValueError(f'is {_shortly(value.tolist())}, which is not in {space}')
  return np.asarray(
      gymnasium.spaces.flatten(space, value.astype(space.dtype)), np.float32)


def _image_reader(space, size):
  shape = _without_ones(space.shape)
  shape = (*shape, 1)[:3]
  first = shape[0] <= MOST_CHANNELS < min(shape[1:])
  notes = [f'channel-first {list(shape)}, so it is transposed'] if first else []
  height, width, channels = np.roll(shape, -1) if first else shape
  if (height, width) != size:
    notes.append(f'{height}x{width}, resized to {size[0]}x{size[1]}')
  scale = 255 if space.dtype != np.uint8 and _white(space) == 1 else 1

  def convert(value):
    image = _bytes(value if scale == 1 else value * scale, scale > 1)
    image = image.reshape(shape)
    return resize(image.transpose(1, 2, 0) if first else image, size)

  return _Reader(
      gymnasium.spaces.Box(0, 255, (*size, int(channels)), np.uint8),
      convert,
      ' and '.join(notes))


def _bytes(value, rounds=False):
  # Whole numbers of another type are taken, fractions are no bytes.
  if value.dtype == np.uint8:
    return value
  whole = np.rint(value)
  if whole.size and (whole.min() < 0 or whole.max() > 255):
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


def resize(image, size):
  """Brings an image to a size; what is larger is averaged by area.

  Picking single pixels instead would lose objects of a pixel's width.

  Args:
    image: uint8 [H, W, C].
    size: pair of ints, h and w.

  Returns:
    uint8 [h, w, C].
  """
  if image.shape[:2] == tuple(size):
    return image
  # One channel at a time: Pillow knows no images of two channels, or of nine.
  return np.stack([
      np.asarray(Image.fromarray(image[..., i]).resize(
          (size[1], size[0]), Image.Resampling.BOX))
      for i in range(image.shape[-1])], -1)


def frame(value, size, source):
  """Converts what an environment rendered.

  Args:
    value: what `render` returned.
    size: pair of ints, h and w.
    source: str, the environment's name in messages.

  Returns:
    uint8 [h, w, 3].

  Raises:
    UsageError: if it is no frame.
  """
  image = np.asarray(value)
  if image.ndim != 3 or image.shape[-1] not in (3, 4) or (
      image.dtype != np.uint8):
    came = f'{image.dtype} {list(image.shape)}' if image.ndim else (
        _shortly(value))
    raise UsageError(
        f'{source}: render returned {came}, but a frame is uint8 [H, W, 3] '
        "(render_mode 'rgb_array')")
  return resize(image[..., :3], size)
