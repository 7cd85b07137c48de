"""Where dreamerv2 is installed, found without importing it or TensorFlow."""

import importlib.util
import pathlib

VERSION = '2.2.0'


def directory():
  """Finds the installed dreamerv2 package.

  Returns:
    pathlib.Path of the folder that holds `agent.py` and `configs.yaml`.

  Raises:
    ImportError: if dreamerv2 is not installed.
  """
  spec = importlib.util.find_spec('dreamerv2')
  for place in (spec.submodule_search_locations or []) if spec else []:
    if (pathlib.Path(place) / 'agent.py').exists():
      return pathlib.Path(place)
  raise ImportError(
      f'dreamerv2 {VERSION} is not installed: '
      f'pip install --no-deps dreamerv2=={VERSION}')
