"""`gym` is unmaintained and need not be installed.

Broken: upstream's `envs.py` does `import gym`, for `gym.spaces` alone on the
paths used here. The last gym does not support numpy 2.
Since: gym 0.26 (2022), numpy 2.0.
Repairs: while upstream is imported, gymnasium answers to the name, unless gym
itself is there.
Can go: when upstream imports gymnasium.
"""

import contextlib
import importlib.util
import sys


@contextlib.contextmanager
def available():
  """Context in which `import gym` works."""
  if 'gym' in sys.modules or importlib.util.find_spec('gym'):
    yield
    return
  import gymnasium
  sys.modules['gym'] = gymnasium
  try:
    yield
  finally:
    del sys.modules['gym']
