"""What all methods together declare; see agent.declaration."""

import functools
import math

from ..agent import registry


@functools.cache
def declared():
  """Lists the Methods that come with the project, in the registry's order."""
  return tuple(map(registry.declaration, registry.METHODS))


@functools.cache
def sections():
  """Names the sections of keys that belong to these methods, a frozenset."""
  return frozenset(x.section for x in declared() if x.keys)


def reads(name):
  """Names the sections of methods' keys that a method reads.

  Args:
    name: str, as the key `agent` has it.

  Returns:
    frozenset of str; for a method of the user's own all there are.
  """
  for method in declared():
    if method.name == name:
      return frozenset({method.section, *method.reads})
  return sections()


def own(*names):
  """Finds the Methods of the user's own among names of modules."""
  return [
      registry.declaration(x) for x in dict.fromkeys(names)
      if x not in registry.METHODS and registry.declares(x)]


def key(name, own=()):
  """Finds the Key of a method, or of one of the user's `own`.

  Args:
    name: str, dotted.
    own: Methods.

  Returns:
    Key, or None.
  """
  section, _, rest = name.partition('.')
  for method in (*declared(), *own):
    if method.section == section and rest in method.keys:
      return method.keys[rest]
  return None


def presets():
  """Collects the presets of all methods, a dict of str to Preset."""
  return {k: v for x in declared() for k, v in x.presets.items()}


def place(preset):
  """Finds the place of a preset in tables, infinity for an unknown one."""
  found = presets().get(preset)
  return found.order if found else math.inf


def panels():
  """Lists the Panels of what methods log, in the registry's order."""
  return tuple(y for x in declared() for y in x.panels)
