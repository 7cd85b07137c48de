"""Imagination with Derived Memory for the Dreamer agent.

`from dreamer_idm import ExtendedAgent` loads TensorFlow and dreamerv2;
importing the package alone does not, so that environment processes and the
command line stay light.
"""

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
    'ExtendedAgent', 'TrainingError', 'UsageError', 'load', 'load_config',
    'perturbations']


def __getattr__(name):
  if name == 'ExtendedAgent':
    try:
      from .agent.extended_agent import ExtendedAgent
    except AttributeError as error:
      # `from dreamer_idm import` would take it for a missing name.
      raise ImportError(f'dreamer_idm cannot be imported: {error}') from error
    return ExtendedAgent
  if name == 'load':
    from .evaluation.policy import load
    return load
  if name == 'load_config':
    from .config import load as config_load
    return config_load.load
  if name == 'perturbations':
    import importlib
    return importlib.import_module('.perturbations', __name__)
  raise AttributeError(f'dreamer_idm has no {name!r}.')
