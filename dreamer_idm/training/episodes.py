"""Episodes in the form in which the replay has them in memory."""

import numpy as np

from .. import upstream
from ..errors import UsageError
from ..runs import episode_files


def as_collected(episode):
  """Brings an episode's observations to the form that collection gives them.

  Episodes of earlier versions or of other programs have scalars without an axis
  of their own, and numbers of any type.

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


def read_offline(directory, spaces, minlen):
  """Reads the episodes that others made for a task.

  Args:
    directory: pathlib.Path of files *.npz in the format of the replay.
    spaces: dict of gymnasium spaces, of observations and `action`. What
      episodes have besides is left out.
    minlen: int, agent steps that each must have.

  Returns:
    dict of str, the file, to dict of arrays [T + 1, ...].

  Raises:
    UsageError: if there are none, or one is not an episode of this task.
  """
  found = {}
  for path in sorted(directory.glob('*.npz')):
    episode = episode_files.read(path, named=False)
    if episode is None:
      raise UsageError(
          f'{path} is not an episode: expected finite arrays of the same '
          f'length, {", ".join(episode_files.NEEDED)} and the observations')
    found[str(path)] = _fitting(as_collected(episode), spaces, path)
  shortest = min((len(x['action']) - 1 for x in found.values()), default=0)
  if shortest < minlen:
    raise UsageError(
        f'{directory} has an episode of {shortest} agent steps, but '
        f'--replay.minlen is {minlen}: lower it' if found else
        f'{directory} has no episodes (*.npz)')
  return found


def _fitting(episode, spaces, path):
  # What the spaces have of an episode, in the replay's types.
  for key, space in spaces.items():
    if key not in episode or episode[key].shape[1:] != space.shape:
      came = 'missing' if key not in episode else (
          f'with shape {list(episode[key].shape[1:])}')
      raise UsageError(
          f'{path} is not an episode of this task: {key} is {came}, expected '
          f'[steps + 1, {", ".join(map(str, space.shape))}]')
  if np.abs(episode['action']).max() > 1 + 1e-6:
    raise UsageError(
        f'{path} has actions beyond -1 and 1: expected those of the agent, '
        "which are scaled to the environment's bounds")
  return {k: upstream.common.replay.convert(episode[k]) for k in spaces}


def step_bytes(spaces):
  """Finds what an agent step takes in memory, in bytes, as upstream keeps it.

  Args:
    spaces: dict of gymnasium spaces, of observations and actions.

  Returns:
    int.
  """
  def size(space):
    kept = upstream.common.replay.convert(np.zeros((), space.dtype))
    return int(np.prod(space.shape)) * kept.dtype.itemsize
  return sum(map(size, spaces.values()))
