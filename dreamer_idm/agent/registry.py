"""The methods: which extensions each of them adds to Dreamer.

A method is a module with a function `extensions(config)` that returns a list
of Extension, empty if all of the method's switches are off. The key `agent`
names it: one of METHODS, or the full name of a module of your own. The modules
in COMMON are of the same kind and belong to no method: each has a switch among
its own keys that is off by default, and works with every method and with
Dreamer itself.
"""

import importlib

from ..errors import UsageError

METHODS = {
    'idm': 'dreamer_idm.idm.extensions', **{
        x: f'dreamer_idm.methods.{x}' for x in (
            'clion', 'bird', 'soft_bird', 'planet', 'no_value',
            'contrastive')}}
COMMON = {
    'vector_normalization': 'dreamer_idm.agent.vector_normalization'}


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
  modules = [importlib.import_module(x) for x in COMMON.values()]
  if config.agent != 'dreamer':
    modules.append(load(config.agent))
  found = [x for module in modules for x in module.extensions(config)]
  if found:
    from .extension import check_together  # With TensorFlow.
    check_together(found)
  return found


def load(name):
  """Imports the module of a method.

  Args:
    name: str, one of METHODS or the full name of a module.

  Returns:
    module with a function `extensions`.

  Raises:
    UsageError: if it has none.
  """
  module = importlib.import_module(METHODS.get(name, name))
  if not hasattr(module, 'extensions'):
    raise UsageError(
        f'--agent {name}: {module.__file__} has no function '
        'extensions(config), see docs/extending.md')
  return module
