"""Episodes on the disk: written whole, and checked when they are read.

Upstream writes an episode in place and reads whatever it finds. Here it is
written beside its place, synced and renamed, and what is no episode of this
run is told apart.
"""

import collections
import contextlib
import shutil

import numpy as np

from .. import upstream
from . import files

UNFINISHED = 'unfinished'  # Folder in which an episode is written.
UNREADABLE = 'unreadable'  # Suffix of what is no episode.
NEEDED = ('action', 'reward', 'is_first', 'is_last', 'is_terminal')
_save = upstream.common.replay.save_episode


@contextlib.contextmanager
def by(save=None, load=None):
  """Context in which upstream's replay uses other functions for its files.

  It looks `save_episode` and `load_episodes` up in its module.

  Args:
    save: function of a directory and an episode, returns the file's path;
      None for upstream's.
    load: function of a directory, a capacity in steps and the least length,
      returns a dict of path -> episode, oldest first; None for upstream's.
  """
  module = upstream.common.replay
  before = module.save_episode, module.load_episodes
  module.save_episode, module.load_episodes = (
      save or before[0], load or before[1])
  try:
    yield
  finally:
    module.save_episode, module.load_episodes = before


def save_whole(directory, episode):
  """Writes an episode by upstream's function, all of it or nothing.

  Args:
    directory: pathlib.Path of the replay.
    episode: dict of arrays [T + 1, ...].

  Returns:
    pathlib.Path of the file.

  Raises:
    OSError: if it cannot be written.
  """
  part = directory / UNFINISHED
  part.mkdir(exist_ok=True)
  try:
    written = _save(part, episode)
    files.move(written, directory / written.name)
  finally:
    shutil.rmtree(part)
  return directory / written.name


def read(path):
  """Reads an episode; runs no code that may be in it.

  Args:
    path: pathlib.Path of a file `<time>-<id>-<steps>.npz`.

  Returns:
    dict of arrays [T + 1, ...] of finite numbers, or None if it is no whole
    episode of so many steps.
  """
  try:
    with np.load(path, allow_pickle=False) as file:
      episode = {k: file[k] for k in file.keys()}
  except Exception:  # Cut, foreign or damaged files raise a dozen kinds.
    return None
  length = int(path.stem.split('-')[-1]) + 1
  whole = all(x in episode for x in NEEDED) and all(
      x.ndim and len(x) == length and x.dtype.kind in 'biuf'
      and (x.dtype.kind != 'f' or np.isfinite(x).all())
      for x in episode.values())
  return episode if whole else None


def unlike_the_others(episodes):
  """Finds episodes of another task.

  Args:
    episodes: dict of path -> dict of arrays [T + 1, ...].

  Returns:
    list of paths whose episodes have other keys or shapes than most.
  """
  kinds = {
      path: tuple(sorted((k, v.shape[1:]) for k, v in episode.items()))
      for path, episode in episodes.items()}
  usual = collections.Counter(kinds.values()).most_common(1)
  return [x for x, kind in kinds.items() if kind != usual[0][0]]
