"""Observations of any environment, in the form that the agent takes.

The agent reads images, uint8 [H, W, C], and vectors, float32 [n] (uint8 [n]
where the environment counts in bytes: upstream divides those by 255).
`Observations` converts whatever else environments deliver, once, so that
replay, policy, evaluation and loaded agents see the same numbers.
"""

import collections
import functools

import gymnasium
import numpy as np

from ..errors import UsageError
from . import images

# What upstream's wrappers add to every observation.
FLAGS = ('reward', 'is_first', 'is_last', 'is_terminal')
# Names that the replay or the losses of the world model have for themselves.
RESERVED = {*FLAGS, 'action', 'discount', 'kl'}
LARGEST = 1024  # Numbers of an array that is read as a vector.

_Leaf = collections.namedtuple('_Leaf', ['name', 'path', 'space'])


class Observations:
  """Converts one environment's observations.

  `spaces` is the dict of gymnasium Boxes that `convert` fills, without
  `log_*`; `notes` are lines for the user on what is converted; `ignored` is
  a dict of what is left out: name -> reason.
  """

  def __init__(self, space, size, source, taken=(), only=None):
    """Settles how each observation is converted.

    Args:
      space: gymnasium space. A single image is called `image`, a single
        vector `vector`; nested keys are joined by a slash, and parts of a
        tuple are `part_0`, `part_1` and so on.
      size: pair of ints, height and width to which images are resized.
      source: str, the environment's name in messages.
      taken: collection of str, further names that are reserved.
      only: function of a name and a Box to whether it is wanted; None: all.
    """
    self._source = source
    self.spaces, self.notes, self.ignored = {}, [], {}
    self._readers, self._logged = [], []
    for leaf in leaves(space):
      if leaf.name.startswith('log_'):
        self._logged.append(leaf)
        continue
      try:
        reader = _reader(leaf.space, tuple(size))
      except TypeError as error:
        self.ignored[leaf.name] = str(error)
        continue
      name = self._renamed(leaf, {*RESERVED, *taken})
      if only and not only(name, reader.space):
        continue
      if reader.note:
        self.notes.append(f'{source}: {name} is {reader.note}.')
      self.spaces[name] = reader.space
      self._readers.append((name, leaf, reader.convert))

  @property
  def sources(self):
    """Dict of name -> keys that lead to it, and its own gymnasium space."""
    return {name: (leaf.path, leaf.space) for name, leaf, _ in self._readers}

  @property
  def log_names(self):
    """List of str, the `log_*` of the space."""
    return [leaf.name for leaf in self._logged]

  def _renamed(self, leaf, reserved):
    # The observation's name here.
    if leaf.name not in reserved:
      return leaf.name
    name = f'obs_{leaf.name}'
    self.notes.append(
        f'{self._source}: its observation {leaf.name} is called {name} here, '
        f'since {leaf.name} is a name of the training itself.')
    return name

  def convert(self, obs, where='reset'):
    """Converts an observation; what its space does not have is dropped.

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
    # The array of a leaf, of the shape that its space says.
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
          f'{self._place(leaf, where)} is {images.shortly(value)}, but numbers '
          f'are expected: observation_space says {leaf.space}')
    shape = leaf.space.shape
    if array.shape != shape and not (array.size == 1 and shape in ((), (1,))):
      raise UsageError(
          f'{self._place(leaf, where)} has shape {array.shape}, but '
          f'observation_space says {shape}: make them agree')
    return array.reshape(shape)

  def _place(self, leaf, where):
    return f'{self._source}: the observation {leaf.name} of {where}'


def leaves(space, name='', path=()):
  """Walks through the spaces within dicts and tuples.

  Args:
    space: gymnasium space.
    name: str, its name so far.
    path: tuple, the keys that lead to it so far.

  Yields:
    (name, path, space) of each that is neither a Dict nor a Tuple.
  """
  if isinstance(space, gymnasium.spaces.Dict):
    parts: list = [(str(k), k, v) for k, v in space.spaces.items()]
  elif isinstance(space, gymnasium.spaces.Tuple):
    parts = [(f'part_{i}', i, v) for i, v in enumerate(space.spaces)]
  else:
    yield _Leaf(
        name or ('image' if images.is_image(space) else 'vector'), path, space)
    return
  for part, key, inner in parts:
    yield from leaves(
        inner, f'{name}/{part}' if name else part, (*path, key))


def has_image(space):
  """Whether there is an image anywhere in a gymnasium space."""
  return any(
      images.is_image(x.space) for x in leaves(space)
      if not x.name.startswith('log_'))


def _reader(space, size):
  # How a leaf is read; TypeError with the reason if it is not.
  if images.is_image(space):
    return images.reader(space, size)
  if isinstance(space, (
      gymnasium.spaces.Discrete, gymnasium.spaces.MultiDiscrete)):
    count = gymnasium.spaces.flatdim(space)
    return images.Reader(
        _vector(count), functools.partial(_one_hot, space),
        f'{space}, read as one-hot numbers [{count}]')
  if not isinstance(
      space, (gymnasium.spaces.Box, gymnasium.spaces.MultiBinary)):
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
    return images.Reader(box, lambda x: images.to_bytes(x).reshape(-1), note)
  return images.Reader(
      _vector(count), lambda x: x.reshape(-1).astype(np.float32), note)


def _vector(count):
  return gymnasium.spaces.Box(-np.inf, np.inf, (count,), np.float32)


def _one_hot(space, value):
  if (value < getattr(space, 'start', 0)).any() or not space.contains(
      value.astype(space.dtype)):
    raise ValueError(
        f'is {images.shortly(value.tolist())}, which is not in {space}')
  return np.asarray(
      gymnasium.spaces.flatten(space, value.astype(space.dtype)), np.float32)
