"""TensorFlow keeps every Python integer that it was ever given.

Broken: upstream's `policy` writes the step, a Python integer, into a variable
at each call. Eager TensorFlow caches the tensors of Python numbers for good,
about 1 KB each, so that a run of a million steps grows by 1 GB.
Since: TensorFlow 2.0.
Repairs: in upstream's `agent` module `int` makes a NumPy integer, whose tensor
is not cached.
Can go: when the cache is bounded.
"""

import builtins

import numpy as np


def integer(value):
  """Does what `int` does, but for the type, np.int64."""
  return np.int64(builtins.int(value))


def apply(agent):
  """Replaces `int` in upstream's agent module."""
  agent.int = integer
