"""Episodes on the disk: written whole, and checked when they are read.

Upstream writes an episode in place and reads whatever it finds. Here it is
written beside its place, synced and renamed, and what is not an episode of
this run is found and quarantined.
"""

import collections
import shutil

import numpy as np

from . import files

UNFINISHED = 'unfinished'  # Folder in which an episode is written.
UNREADABLE = 'unreadable'  # Suffix of what is not an episode.
NEEDED = ('action', 'reward', 'is_first', 'is_last', 'is_terminal')


def save_whole(save, directory, episode):
  """Writes an episode, all of it or nothing.

  Args:
    save: function of a directory and an episode that writes it there and
      returns the file's path: upstream's.
    directory: pathlib.Path of the replay.
    episode: dict of arrays [T + 1, ...].

  Returns:
    pathlib.Path of the file.
  """
  part = directory / UNFINISHED
  part.mkdir(exist_ok=True)
  try:
    written = save(part, episode)
    files.move(written, directory / written.name)
  finally:
    shutil.rmtree(part)
  return directory / written.name


def read(path, named=True):
  """Reads an episode; runs no code that may be in it.

  Args:
    path: pathlib.Path of a file, `<time>-<id>-<steps>.npz` if it is `named`.
    named: bool.

  Returns:
    dict of arrays [T + 1, ...] of finite numbers, or None if it is not a whole
    episode of so many steps.
  """
  try:
    with np.load(path, allow_pickle=False) as file:
      episode = {k: file[k] for k in file.keys()}
  except Exception:  # Cut, foreign or damaged files raise a dozen kinds.
    return None
  if not all(x in episode and episode[x].ndim for x in NEEDED):
    return None
  length = int(path.stem.split('-')[-1]) + 1 if named else len(
      episode['action'])
  whole = all(
      x.ndim and len(x) == length and x.dtype.kind in 'biuf'
      and (x.dtype.kind != 'f' or np.isfinite(x).all())
      for x in episode.values())
  return episode if whole else None


def unlike_the_others(episodes):
  """Finds episodes of another task.

  Args:
    episodes: dict of path -> dict of arrays [T + 1, ...].

  Returns:
    list of paths whose episodes have other keys or shapes than most; what is
    only logged, `log_*`, does not count.
  """
  kinds = {
      path: tuple(sorted(
          (k, v.shape[1:]) for k, v in episode.items()
          if not k.startswith('log_')))
      for path, episode in episodes.items()}
  usual = collections.Counter(kinds.values()).most_common(1)
  return [x for x, kind in kinds.items() if kind != usual[0][0]]


def names(directory):
  """Lists the files of finished episodes in a replay's folder, sorted."""
  return sorted(x.name for x in directory.glob('*.npz'))


def quarantine_unknown(directory, kept):
  """Renames the episodes that a checkpoint does not know.

  A run that was killed may have finished episodes after its last checkpoint.
  It will repeat those steps; keeping them would show it more of
  the environment than its step count says.

  Args:
    directory: pathlib.Path of the replay.
    kept: collection of str, file names that stay.

  Returns:
    int, how many files now end in `.after_checkpoint`.
  """
  late = sorted({*names(directory)} - {*kept})
  for name in late:
    files.quarantine(directory / name, 'after_checkpoint')
  return len(late)
