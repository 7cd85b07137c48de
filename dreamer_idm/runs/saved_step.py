"""How far a run's checkpoints are, read without TensorFlow."""

import os
import re


def saved_step(logdir):
  """Reads which step a run's latest checkpoint is of.

  Args:
    logdir: pathlib.Path of the run.

  Returns:
    int, agent steps; None if there is no checkpoint (any more).

  Raises:
    OSError: if it is there but cannot be read.
  """
  folder = logdir / 'checkpoints'
  names = os.listdir(folder) if folder.exists() else []
  found = [re.fullmatch(r'(\d+)(-\d+)?', x) for x in names]
  return max((int(x[1]) for x in found if x), default=None)
