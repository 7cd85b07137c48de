"""Upstream's replay, with a seed and a state that can be restored."""

import contextlib
import functools
import pathlib
import shutil

import numpy as np

from .. import upstream
from ..runs import episode_files
from ..runs import files
from . import episodes

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
    """Loads the episodes of a directory; quarantines what is not one.

    Args:
      directory: pathlib.Path, created if missing.
      seed: int.
      **kwargs: upstream's: capacity, ongoing, minlen, maxlen,
        prioritize_ends.
    """
    self.unreadable: list[str] = []  # Files in quarantine.
    self.short: list[int] = []  # Lengths of the episodes below minlen.
    self._offline: dict = {}  # File -> episode, as upstream keeps its own.
    shutil.rmtree(
        directory / episode_files.UNFINISHED, ignore_errors=True)
    for path in sorted(directory.glob('*.npz')):
      if not path.stem.split('-')[-1].isdecimal():
        self._quarantine(path)
    with _files_by(load=self._load):
      super().__init__(directory, **kwargs)
    self._random = np.random.RandomState(seed)

  def add_episode(self, episode):
    """Stores an episode, a dict of [T + 1, ...], in memory and on the disk.

    One below `minlen` is only noted, in `short`. If it cannot be written, no
    part of it is there.
    """
    length = len(episode['action']) - 1
    if length < self._minlen:
      self.short.append(length)
      return
    with _files_by(save=_save):
      super().add_episode(episode)

  def _load(self, directory, capacity=None, minlen=1):
    # In upstream's place: oldest first, the latest ones up to the capacity.
    found, steps = {}, 0
    for path in sorted(directory.glob('*.npz'), reverse=True):
      episode = episode_files.read(path)
      if episode is None:
        self._quarantine(path)
        continue
      found[str(path)] = episodes.as_collected(episode)
      steps += len(episode['action']) - 1
      if capacity and steps >= capacity:
        break
    for path in episode_files.unlike_the_others(found):
      del found[path]
      self._quarantine(pathlib.Path(path))
    return dict(reversed(found.items()))

  def add_offline(self, directory, spaces):
    """Adds episodes that others made, for as long as the replay is open.

    They are drawn like the run's own, but they are not copied to its folder,
    count nowhere, and no capacity drops them.

    Args:
      directory: pathlib.Path, see `episodes.read_offline`.
      spaces: dict of gymnasium spaces, of observations and `action`.

    Returns:
      int, how many episodes; and int, their agent steps.

    Raises:
      UsageError: if one of them is not an episode of this task.
    """
    self._offline = episodes.read_offline(directory, spaces, self._minlen)
    self._complete_eps = {**self._offline, **self._episodes()}
    return len(self._offline), sum(
        len(x['action']) - 1 for x in self._offline.values())

  def _enforce_limit(self):
    # The capacity is that of the run's own episodes.
    self._complete_eps = self._episodes()
    super()._enforce_limit()
    self._complete_eps = {**self._offline, **self._complete_eps}

  def _quarantine(self, path):
    self.unreadable.append(
        files.quarantine(path, episode_files.UNREADABLE).name)

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

  def windows(self, batch, length):
    """Yields short sequences without end; all transitions are as likely.

    Before the first step of an episode is the same step again.

    Args:
      batch: int B.
      length: int L >= 2, of which the last two steps are the transition.

    Yields:
      dict of arrays [B, L, ...].
    """
    before = np.arange(1 - length, 1)
    while True:
      episodes = [*self._complete_eps.values()]
      ends = np.cumsum([len(x['action']) - 1 for x in episodes])
      drawn = self._random.randint(ends[-1], size=batch)
      rows = []
      for number, which in zip(drawn, np.searchsorted(ends, drawn, 'right')):
        episode = episodes[which]
        last = number - ends[which] + len(episode['action'])  # From 1 on.
        index = np.maximum(last + before, 0)
        rows.append({
            k: v[index] for k, v in episode.items()
            if not k.startswith('log_')})
      yield {k: np.stack([x[k] for x in rows]) for k in rows[0]}

  def forget_unfinished(self, worker=None):
    """Drops the unfinished episode of one environment, or of all.

    Upstream would put the next episode's steps after it, as one episode.

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

  def _episodes(self):
    # The run's own, dict of file to episode.
    return {
        k: v for k, v in self._complete_eps.items() if k not in self._offline}

  def keep(self, names):
    """Keeps the episodes of `names`, a list from `loaded`, in this order.

    Which episode a random number picks depends on the order, and files only
    tell the second of their making.
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


def plain_random_state(random):
  """Reads the state of a RandomState, or of np.random, as plain data."""
  name, keys, *rest = random.get_state()
  return [name, [int(x) for x in keys], *rest]


def set_random_state(random, state):
  """Puts a generator back into an earlier state.

  Args:
    random: RandomState, or np.random.
    state: plain data of `plain_random_state`.
  """
  name, keys, *rest = state
  random.set_state((name, np.array(keys, np.uint32), *rest))
