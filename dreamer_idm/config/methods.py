"""What all methods together declare; see agent.declaration."""

import functools
import math

from ..agent import registry


@functools.cache
def declared():
  """Lists the methods that come with the project.

  Returns:
    tuple of Method, in the registry's order.
  """
  return tuple(map(registry.declaration, registry.METHODS))


@functools.cache
def sections():
  """Names the sections of keys that belong to methods.

  Returns:
    frozenset of str.
  """
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
  """Finds the methods that do not come with the project.

  Args:
    *names: str, perhaps the full names of modules.

  Returns:
    list of Method, of those of the names that are methods of the user's own.
  """
  return [
      registry.declaration(x) for x in dict.fromkeys(names)
      if x not in registry.METHODS and registry.declares(x)]


def rule(key, own=()):
  """Finds the rule of a method's key.

  Args:
    key: str, dotted.
    own: Methods that do not come with the project.

  Returns:
    Rule, or None.
  """
  found = _find(key, own)
  return found.rule if found else None


def fixed(key):
  """Tells whether a checkpoint fits one value of a method's key alone.

  Args:
    key: str, dotted.

  Returns:
    bool.
  """
  found = _find(key)
  return bool(found and found.fixed)


def _find(key, own=()):
  section, _, rest = key.partition('.')
  for method in (*declared(), *own):
    if method.section == section and rest in method.keys:
      return method.keys[rest]
  return None


def presets():
  """Collects the presets of all methods.

  Returns:
    dict of str to Preset.
  """
  return {k: v for x in declared() for k, v in x.presets.items()}


def place(preset):
  """Finds the place of a preset in tables.

  Args:
    preset: str, the key `method` of a run.

  Returns:
    float to sort by, infinity for a preset of nobody's.
  """
  found = presets().get(preset)
  return found.order if found else math.inf


def panels():
  """Lists the diagrams of what methods log.

  Returns:
    tuple of Panel, in the registry's order.
  """
  return tuple(y for x in declared() for y in x.panels)
