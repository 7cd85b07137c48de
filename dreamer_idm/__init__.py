"""Imagination with Derived Memory for the Dreamer agent.

`from dreamer_idm import ExtendedAgent` loads TensorFlow and dreamerv2;
importing the package alone does not, so that environment processes and the
command line stay light.
"""

import importlib
import pathlib
import sys

from .errors import TrainingError
from .errors import UsageError

if not (pathlib.Path(__file__).parent / 'patches').exists():
  # In the repository `patches` stands beside this folder, in a wheel inside.
  __path__.append(str(pathlib.Path(__file__).parent.parent))

from .patches import before_tensorflow

if 'tensorflow' not in sys.modules:  # Else what needs Keras 2 asks for it.
  before_tensorflow()

__version__ = '0.1.0'
__all__ = [
    'ExtendedAgent', 'TrainingError', 'UsageError', 'evaluate', 'load',
    'load_config', 'perturbations', 'train']


# Name -> the module that has it, imported when it is asked for.
_LAZY = {
    'ExtendedAgent': 'agent.extended_agent', 'evaluate': 'evaluation.evaluate',
    'load': 'evaluation.load', 'load_config': 'config.load',
    'perturbations': 'perturbations', 'train': 'training.command'}


def __getattr__(name):
  if name not in _LAZY:
    raise AttributeError(f'dreamer_idm has no {name!r}.')
  try:
    module = importlib.import_module(f'.{_LAZY[name]}', __name__)
  except AttributeError as error:
    # `from dreamer_idm import` would take it for a missing name.
    raise ImportError(f'dreamer_idm cannot be imported: {error}') from error
  if name == 'perturbations':
    return module
  return getattr(module, 'load' if name == 'load_config' else name)
