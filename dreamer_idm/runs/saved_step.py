"""How far a run's checkpoints are, read without TensorFlow."""

import os
import re


def saved_step(logdir):
  """Reads the agent step of a run's latest checkpoint; None without one."""
  folder = logdir / 'checkpoints'
  names = os.listdir(folder) if folder.exists() else []
  found = [re.fullmatch(r'(\d+)(-\d+)?', x) for x in names]
  return max((int(x[1]) for x in found if x), default=None)
