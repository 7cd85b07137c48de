"""The door to dreamerv2's Config and Flags, without TensorFlow.

Upstream's `common` package imports TensorFlow, its `config.py` and `flags.py`
do not. This module answers as the package that the two belong to, so that
their own imports of each other work, and a spawned process finds `Config` by
name when it unpickles one.
"""

import importlib
import re

from . import path as upstream_path

__path__ = [str(upstream_path.directory() / 'common')]

Config = importlib.import_module(f'{__name__}.config').Config
Flags = importlib.import_module(f'{__name__}.flags').Flags

NOTHING = {'$^', '^$'}  # The usual patterns for no observation at all.


def matching(pattern, names):
  """Lists the names that an encoder or decoder takes by its pattern."""
  return [x for x in names if re.match(pattern, x)]


def takes_images(config, coder):
  """Whether an encoder or decoder takes images, as far as names tell.

  The names of a Gymnasium task's images are its own, so patterns other than
  the usual ones for nothing get the benefit of the doubt. dm_control's are
  called `image`.

  Args:
    config: upstream's Config.
    coder: upstream's Config, the section `encoder` or `decoder`.

  Returns:
    bool.
  """
  if config.task.startswith('gym_'):
    return coder.cnn_keys not in NOTHING
  return bool(re.match(coder.cnn_keys, 'image'))


def matches_nothing(config, coder):
  """Whether an encoder or decoder is switched off by its patterns.

  The names of vector observations are the task's own as well.

  Args:
    config: upstream's Config.
    coder: upstream's Config, the section `encoder` or `decoder`.

  Returns:
    bool.
  """
  return not takes_images(config, coder) and coder.mlp_keys in NOTHING
