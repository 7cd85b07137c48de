"""Upstream's replay, with a seed and with a past that can be returned to."""

import contextlib
import functools
import pathlib
import shutil

import numpy as np

from .. import upstream
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

    Args:
      episode: dict of lists or arrays [T + 1, ...].

    Raises:
      OSError: if it cannot be written; then no part of it is there.
    """
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
      episodes[str(path)] = episode
      steps += len(episode['action']) - 1
      if capacity and steps >= capacity:
        break
    for path in episode_files.unlike_the_others(episodes):
      del episodes[path]
      self._set_aside(pathlib.Path(path))
    return dict(reversed(episodes.items()))

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
    return self._complete_eps

  def keep(self, names):
    """Puts the episodes in memory into a given order and drops all others.

    Files only tell the second of their making; which episode a random number
    picks depends on the exact order.

    Args:
      names: list of str from `loaded`.
    """
    found = {pathlib.Path(k).name: (k, v) for k, v in self._episodes().items()}
    self._complete_eps = dict(found[x] for x in names if x in found)
    lengths = [len(x['action']) - 1 for x in self._complete_eps.values()]
    self._loaded_episodes, self._loaded_steps = len(lengths), sum(lengths)

  @property
  def random_state(self):
    """The generator's state, as plain data for JSON."""
    return plain_random_state(self._random)

  @random_state.setter
  def random_state(self, state):
    set_random_state(self._random, state)


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
