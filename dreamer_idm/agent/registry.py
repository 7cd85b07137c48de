"""The methods: which extensions each of them adds to Dreamer.

A method is a module with a function `extensions(config)` that returns a list
of Extension, empty if all of the method's switches are off. The key `agent`
names it: one of METHODS, or the full name of a module of your own.
"""

import importlib

from ..errors import UsageError

METHODS = {
    'idm': 'dreamer_idm.idm.extensions', **{
        x: f'dreamer_idm.methods.{x}' for x in (
            'clion', 'bird', 'soft_bird', 'planet', 'no_value',
            'contrastive')}}


def extensions(config):
  """Builds what a method adds to Dreamer.

  Args:
    config: upstream's Config with our keys.

  Returns:
    list of Extension.

  Raises:
    UsageError: if there is no such method.
  """
  if config.agent == 'dreamer':
    return []
  return load(config.agent).extensions(config)


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
