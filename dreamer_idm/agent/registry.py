"""The methods: which extensions each of them adds to Dreamer.

A method is a module with a constant METHOD, see `declaration`, and a function
`extensions(config)` that returns a list of Extension, empty if all of the
method's switches are off. In a package the function may be in a submodule
`extensions`, so that what the method declares is read without TensorFlow. A
method that does not extend Dreamer has a class `Agent` instead, in its module
or in a submodule `agent`. The key `agent` names a method: one of METHODS, or
the full name of a module of your own; or several, idm+rad, of which one may be
without `adds`.

COMMON are extensions that belong to no method and work with all: a key of
configs.yaml that switches them on, and their module.
"""

import importlib
import importlib.util
import pathlib
import re
from dataclasses import replace

from ..errors import UsageError
from .declaration import Method

METHODS = {
    'dreamer': 'dreamer_idm.methods.dreamer', 'idm': 'dreamer_idm.idm', **{
        x: f'dreamer_idm.methods.{x}' for x in (
            'clion', 'bird', 'soft_bird', 'bird_soft', 'planet', 'no_value',
            'contrastive', 'drq', 'rad', 'curl', 'world_models')}}
COMMON = {
    'normalize_vectors': 'dreamer_idm.agent.vector_normalization',
    'imag_starts': 'dreamer_idm.agent.imagination_starts'}


def parts(agent):
  """Names the methods of a value of the key `agent`, a list of str."""
  return agent.split('+')


def extensions(config):
  """Builds what a config adds to Dreamer.

  Args:
    config: upstream's Config with our keys.

  Returns:
    list of Extension: the common ones that are switched on, then the method's.
    Empty for upstream's own agent.

  Raises:
    UsageError: if there is no such method, or if two extensions would take the
      same place.
  """
  modules = [importlib.import_module(COMMON[x]) for x in common(config)]
  if not own_agent(config.agent):
    modules += map(_builder, parts(config.agent))
  found = [x for module in modules for x in module.extensions(config)]
  if found:
    from .extension import check_together  # With TensorFlow.
    check_together(found)
  return found


def own_agent(name):
  """Finds the agent of a method that does not extend Dreamer's.

  Args:
    name: str, the method's.

  Returns:
    class, see docs/extending.md, or None; imports TensorFlow if there is one.
  """
  if len(parts(name)) > 1:  # What adds to a method extends Dreamer's agent.
    return None
  module = _imported(name)
  inner = _submodule(module, 'agent')
  if not inner and hasattr(module, 'extensions'):
    return None  # It may have imported upstream's Agent.
  return getattr(inner or module, 'Agent', None)


def common(config):
  """Names the common extensions that a config switches on, a list of str."""
  return [x for x in COMMON if config.flat[x]]


def declaration(name):
  """Reads what a method declares.

  Args:
    name: str, one of METHODS or the full name of a module.

  Returns:
    Method.

  Raises:
    UsageError: if it declares nothing.
    RuntimeError: if a module of the user's cannot be imported.
  """
  module = _imported(name)
  method = getattr(module, 'METHOD', None)
  if not isinstance(method, Method):
    raise UsageError(
        f'--agent {name}: {module.__file__} has no METHOD = Method(...), see '
        'docs/extending.md')
  return replace(method, name=name)


def declares(name):
  """Tells whether a module of the user's own is a method, not importing it."""
  try:
    spec = importlib.util.find_spec(name)
  except (ImportError, ValueError):
    return False
  path = pathlib.Path(spec.origin or '') if spec else pathlib.Path()
  return path.suffix == '.py' and bool(
      re.search(r'^METHOD\b', path.read_text('utf-8'), re.MULTILINE))


def _imported(name):
  """A method's module; a missing import of a user's is no missing library."""
  try:
    return importlib.import_module(METHODS.get(name, name))
  except ImportError as error:
    if name.startswith('dreamer_idm.') or name in METHODS:
      raise
    raise RuntimeError(f'--agent {name} cannot be imported') from error


def _submodule(module, name):
  """A submodule of a method's package, None if there is none."""
  inner = f'{module.__name__}.{name}'
  if hasattr(module, '__path__') and importlib.util.find_spec(inner):
    return _imported(inner)
  return None


def _builder(name):
  """The module with a method's function `extensions`; imports TensorFlow."""
  module = _imported(name)
  inner = _submodule(module, 'extensions')
  if not inner and not hasattr(module, 'extensions'):
    raise UsageError(
        f'--agent {name}: {module.__file__} has no function '
        'extensions(config), see docs/extending.md')
  return inner or module
