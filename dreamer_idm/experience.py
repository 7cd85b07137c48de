"""Upstream's replay, with a seed and with a past that can be returned to."""

import pathlib

import numpy as np

from . import upstream


class SeededReplay(upstream.common.Replay):
  """Upstream's replay drawing from a seeded generator, in the caller's thread.

  Upstream's `dataset` draws ahead in a thread of TensorFlow's, so that what a
  batch contains depends on timing. `batches` draws when it is asked.
  """

  def __init__(self, directory, seed, **kwargs):
    """Loads the episodes of a directory.

    Args:
      directory: pathlib.Path, created if missing.
      seed: int.
      **kwargs: upstream's: capacity, ongoing, minlen, maxlen,
        prioritize_ends.
    """
    super().__init__(directory, **kwargs)
    self._random = np.random.RandomState(seed)

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

  def forget_unfinished(self):
    """Drops the episodes under way, for when their environments start over.

    Upstream would put the next episode's steps behind them, as one episode.
    """
    self._ongoing_eps.clear()

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
    (directory / name).rename(directory / (name + '.after_checkpoint'))
  return len(late)
