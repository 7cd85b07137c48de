"""dreamerv2's own modules, imported with TensorFlow.

Upstream imports its own parts by these top-level names, so they are in
`sys.modules` under them; `import dreamerv2.api` later finds and
uses the same modules, hence the same classes.
"""

import contextlib
import importlib
import pathlib
import sys

from .. import patches
from ..patches import fast
from ..patches import gym_module
from ..patches import nested_functions
from .path import directory
from .path import VERSION  # noqa: F401


def _import(name):
  home = directory()
  if name in sys.modules:
    found = getattr(sys.modules[name], '__file__', None) or 'elsewhere'
    if home not in pathlib.Path(found).parents:
      raise ImportError(
          f"dreamerv2 imports its own '{name}' under that top-level name, but "
          f"another '{name}' is already imported from {found}: rename it, or "
          f'import dreamer_idm first.')
    return sys.modules[name]
  sys.path.insert(0, str(home))
  try:
    return importlib.import_module(name)
  finally:
    sys.path.remove(str(home))


patches.before_tensorflow()
patches.before_upstream()
with gym_module.available():
  common = _import('common')
  expl = _import('expl')
  agent = _import('agent')
patches.after_upstream(common, agent, expl)


@contextlib.contextmanager
def parts(**classes):
  """Context in which upstream's agent is built from other parts.

  `Agent.__init__` and `WorldModel.__init__` name the classes of their parts
  in their bodies. Within this context those names mean the given classes;
  nothing is changed outside of it.

  Args:
    **classes: name in upstream's `agent` or `common` module -> class.

  Raises:
    AttributeError: if upstream has no class of that name.
  """
  places = {k: agent if hasattr(agent, k) else common for k in classes}
  before = {k: getattr(places[k], k) for k in classes}
  for key, value in classes.items():
    setattr(places[key], key, value)
  try:
    yield
  finally:
    for key, value in before.items():
      setattr(places[key], key, value)


@contextlib.contextmanager
def as_published():
  """Context in which graphs are traced from upstream's bodies alone.

  For comparisons: patched only so far that it runs. With a global seed its
  steps repeat their noise, see `patches/nested_functions.py`.
  """
  enabled, fast.ENABLED = fast.ENABLED, False
  try:
    with nested_functions.removed(common, agent):
      yield
  finally:
    fast.ENABLED = enabled
