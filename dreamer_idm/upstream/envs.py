"""The door to dreamerv2's environment wrappers, without TensorFlow.

Upstream's `common` package imports TensorFlow, its `common/envs.py` does not.
That file is run in this module's namespace: `upstream_envs.DMC` is upstream's
own class, and a spawned process finds it here by name when it unpickles it.
"""

import importlib.machinery
import sys
import warnings

from ..patches import gym_module
from . import path as upstream_path

# Upstream's spaces take DMControl's float64 bounds as float32 on purpose.
warnings.filterwarnings('ignore', '.*precision lowered by casting.*')


def print(*args):
  """Replaces what upstream prints: keys that it ignores, or resizes."""


with gym_module.available(), warnings.catch_warnings():
  warnings.simplefilter('ignore')
  importlib.machinery.SourceFileLoader(
      __name__, str(upstream_path.directory() / 'common' / 'envs.py'),
  ).exec_module(sys.modules[__name__])
