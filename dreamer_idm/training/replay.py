"""Upstream's replay, with a seed and with a past that can be returned to."""

import contextlib
import functools
import pathlib
import shutil

import numpy as np

from .. import upstream
from ..errors import UsageError
from ..runs import episode_files
from ..runs import files

_save = functools.partial(
    episode_files.save_whole, upstream.common.replay.save_episode)


@contextlib.contextmanager
def _files_by(save=None, load=None):
  """Lets upstream's replay, which looks these up in its module, use ours."""
  module = upstream.common.replay
  before = module.save_episode, module.load_episodes
  module.save_episode, module.load_episodes = (
      save or before[0], load or before[1])
  try:
    yield
  finally:
    module.save_episode, module.load_episodes = before


class SeededReplay(upstream.common.Replay):
  """Upstream's replay drawing from a seeded generator, in the caller's thread.

  Upstream's `dataset` draws ahead in a thread of TensorFlow's, so that what a
  batch contains depends on timing. `batches` draws when it is asked.
  """

  def __init__(self, directory, seed, **kwargs):
    """Loads the episodes of a directory; renames what is none.

    Args:
      directory: pathlib.Path, created if missing.
      seed: int.
      **kwargs: upstream's: capacity, ongoing, minlen, maxlen,
        prioritize_ends.
    """
    self.unreadable: list[str] = []  # Files that were set aside.
    self.short: list[int] = []  # Lengths of the episodes below minlen.
    self._offline: dict = {}  # File -> episode, as upstream keeps its own.
    shutil.rmtree(
        directory / episode_files.UNFINISHED, ignore_errors=True)
    for path in sorted(directory.glob('*.npz')):
      if not path.stem.split('-')[-1].isdecimal():
        self._set_aside(path)
    with _files_by(load=self._load):
      super().__init__(directory, **kwargs)
    self._random = np.random.RandomState(seed)

  def add_episode(self, episode):
    """Stores a finished episode, in memory and on the disk.

    One below `minlen` is only noted, in `short`.

    Args:
      episode: dict of lists or arrays [T + 1, ...].

    Raises:
      OSError: if it cannot be written; then no part of it is there.
    """
    length = len(episode['action']) - 1
    if length < self._minlen:
      self.short.append(length)
      return
    with _files_by(save=_save):
      super().add_episode(episode)

  def _load(self, directory, capacity=None, minlen=1):
    # In upstream's place: oldest first, the latest ones up to the capacity.
    episodes, steps = {}, 0
    for path in sorted(directory.glob('*.npz'), reverse=True):
      episode = episode_files.read(path)
      if episode is None:
        self._set_aside(path)
        continue
      episodes[str(path)] = as_collected(episode)
      steps += len(episode['action']) - 1
      if capacity and steps >= capacity:
        break
    for path in episode_files.unlike_the_others(episodes):
      del episodes[path]
      self._set_aside(pathlib.Path(path))
    return dict(reversed(episodes.items()))

  def add_offline(self, directory, spaces):
    """Adds episodes that others made, for as long as the replay is open.

    They are drawn like the run's own, but they are not copied to its folder,
    count nowhere, and no capacity drops them.

    Args:
      directory: pathlib.Path of files *.npz in the format of the replay.
      spaces: dict of gymnasium spaces, of observations and `action`. What
        episodes have besides is left out.

    Returns:
      int, how many episodes; and int, their agent steps.

    Raises:
      UsageError: if one of them is no episode of this task.
    """
    for path in sorted(directory.glob('*.npz')):
      episode = episode_files.read(path, named=False)
      if episode is None:
        raise UsageError(
            f'{path} is no episode: expected finite arrays of the same length, '
            f'{", ".join(episode_files.NEEDED)} and the observations')
      self._offline[str(path)] = _fitting(as_collected(episode), spaces, path)
    lengths = [len(x['action']) - 1 for x in self._offline.values()]
    if not lengths or min(lengths) < self._minlen:
      raise UsageError(
          f'{directory} has no episodes (*.npz)' if not lengths else
          f'{directory} has an episode of {min(lengths)} agent steps, but '
          f'--replay.minlen is {self._minlen}: lower it')
    self._complete_eps = {**self._offline, **self._episodes()}
    return len(lengths), sum(lengths)

  def _enforce_limit(self):
    # The capacity is that of the run's own episodes.
    self._complete_eps = self._episodes()
    super()._enforce_limit()
    self._complete_eps = {**self._offline, **self._complete_eps}

  def _set_aside(self, path):
    aside = files.quarantine(path, episode_files.UNREADABLE)
    self.unreadable.append(aside.name)

  def batches(self, batch, length):
    """Yields training batches without end.

    Args:
      batch: int B.
      length: int L.

    Yields:
      dict of arrays [B, L, ...], drawn by upstream's method.
    """
    while True:
      # Upstream's generator draws one sequence ahead. A new one per batch
      # makes the batches depend on the random state alone, which is saved.
      chunks = self._generate_chunks(length)
      drawn = [next(chunks) for _ in range(batch)]
      yield {k: np.stack([x[k] for x in drawn]) for k in drawn[0]}

  def forget_unfinished(self, worker=None):
    """Drops the episodes under way, for when their environments start over.

    Upstream would put the next episode's steps behind them, as one episode.

    Args:
      worker: int, the environment's number; None for all of them.
    """
    if worker is None:
      self._ongoing_eps.clear()
    else:
      self._ongoing_eps.pop(worker, None)

  @property
  def loaded(self):
    """File names of the episodes in memory, in the order of drawing."""
    return [pathlib.Path(x).name for x in self._episodes()]

  def _episodes(self) -> dict:
    # The run's own.
    return {k: v for k, v in self._complete_eps.items()
            if k not in self._offline}

  def keep(self, names):
    """Puts the episodes in memory into a given order and drops all others.

    Files only tell the second of their making; which episode a random number
    picks depends on the exact order.

    Args:
      names: list of str from `loaded`.
    """
    found = {pathlib.Path(k).name: (k, v) for k, v in self._episodes().items()}
    kept = dict(found[x] for x in names if x in found)
    self._complete_eps = {**self._offline, **kept}
    lengths = [len(x['action']) - 1 for x in kept.values()]
    self._loaded_episodes, self._loaded_steps = len(lengths), sum(lengths)

  @property
  def random_state(self):
    """The generator's state, as plain data for JSON."""
    return plain_random_state(self._random)

  @random_state.setter
  def random_state(self, state):
    set_random_state(self._random, state)


def as_collected(episode):
  """Brings an episode's observations to the form that collection gives them.

  Episodes of earlier versions and of other people's making have scalars
  without an axis of their own, and numbers of any type.

  Args:
    episode: dict of arrays [T + 1, ...].

  Returns:
    dict of arrays: observations are uint8 or float32 [T + 1, n] or more axes.
  """
  def collected(key, value):
    if key in episode_files.NEEDED or key.startswith('log_'):
      return value
    value = value if value.dtype == np.uint8 else value.astype(np.float32)
    return value[:, None] if value.ndim == 1 else value
  return {k: collected(k, v) for k, v in episode.items()}


def _fitting(episode, spaces, path):
  # What the spaces have of an episode, in the replay's types.
  for key, space in spaces.items():
    if key not in episode or episode[key].shape[1:] != space.shape:
      came = 'missing' if key not in episode else (
          f'with shape {list(episode[key].shape[1:])}')
      raise UsageError(
          f'{path} is no episode of this task: {key} is {came}, expected '
          f'[steps + 1, {", ".join(map(str, space.shape))}]')
  if np.abs(episode['action']).max() > 1 + 1e-6:
    raise UsageError(
        f'{path} has actions beyond -1 and 1: expected those of the agent, '
        "which are scaled to the environment's bounds")
  return {k: upstream.common.replay.convert(episode[k]) for k in spaces}


def step_bytes(obs_space, act_space):
  """Finds what an agent step takes in memory.

  Args:
    obs_space: dict of gymnasium spaces.
    act_space: dict of gymnasium spaces.

  Returns:
    int, bytes of all its arrays as upstream converts them.
  """
  def size(space):
    kept = upstream.common.replay.convert(np.zeros((), space.dtype))
    return int(np.prod(space.shape)) * kept.dtype.itemsize
  return sum(map(size, {**obs_space, **act_space}.values()))


def plain_random_state(random):
  """Reads a generator's state.

  Args:
    random: np.random.RandomState, or the module np.random.

  Returns:
    list of plain data.
  """
  name, keys, *rest = random.get_state()
  return [name, [int(x) for x in keys], *rest]


def set_random_state(random, state):
  """Puts a generator back into a state.

  Args:
    random: np.random.RandomState, or the module np.random.
    state: list from `plain_random_state`.
  """
  name, keys, *rest = state
  random.set_state((name, np.array(keys, np.uint32), *rest))


def names(directory):
  """Lists the finished episodes of a replay directory.

  Args:
    directory: pathlib.Path.

  Returns:
    sorted list of str, file names.
  """
  return sorted(x.name for x in directory.glob('*.npz'))


def set_aside(directory, kept):
  """Renames the episodes that a checkpoint does not know.

  A run that was killed may have finished episodes after its last checkpoint.
  It will live through those steps again; keeping them would show it more of
  the environment than its step count says.

  Args:
    directory: pathlib.Path of the replay.
    kept: collection of str, file names that stay.

  Returns:
    int, how many files now end in `.after_checkpoint`.
  """
  kept = set(kept)
  late = [x for x in names(directory) if x not in kept]
  for name in late:
    files.quarantine(directory / name, 'after_checkpoint')
  return len(late)
