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
  known = {x.name: {x.section, *x.reads} for x in declared()}
  return frozenset().union(*(
      known.get(x, sections()) for x in registry.parts(name)))


def own_sections(agent):
  """Names the sections of the keys of an agent's own methods, a set."""
  return {x.rpartition('.')[2] for x in registry.parts(agent)}


def own(*names):
  """Finds the Methods of the user's own among names of agents."""
  modules = dict.fromkeys(y for x in names for y in registry.parts(x))
  return [
      registry.declaration(x) for x in modules
      if x not in registry.METHODS and registry.declares(x)]


def behind(agent, method, preset):
  """Puts the method of a preset behind those of the presets before it.

  A method that adds stays when another takes its place behind it, too, so that
  the order of the presets does not matter.

  Args:
    agent: str, the methods so far, such as `idm`.
    method: str, the names of their presets, such as `wo_eva`.
    preset: dict of dotted keys; `agent` and `method` are those of one preset.

  Returns:
    dict, the preset with `agent` and `method` of all, such as `idm+rad` and
    `wo_eva+rad`.
  """
  adding = {
      x.name: x for x in (*declared(), *own(agent, preset['agent']))
      if x.adds}
  of = {y: x.name for x in adding.values() for y in x.presets}
  plain = lambda joined, known: '+'.join(
      x for x in registry.parts(joined) if x not in known)
  base, name = (
      plain(preset[key], known) or plain(before, known)
      for key, before, known in (
          ('agent', agent, adding), ('method', method, of)))
  chosen = {
      of[x]: x for joined in (method, preset['method'])
      for x in registry.parts(joined) if x in of}
  more = [x for x in adding if x in chosen]  # In the registry's order.
  front = lambda x: [x] * (not more or x not in ('', 'dreamer'))
  return {
      **preset, 'agent': '+'.join(front(base) + more),
      'method': '+'.join(front(name) + [chosen[x] for x in more])}


def seen_in_training(settings):
  """Names how training perturbs its images on purpose.

  Args:
    settings: dict of dotted keys, a run's; it may be incomplete.

  Returns:
    str, such as `rotations up to 5°`; empty for a run that sees clean images.
  """
  known = {x.name: x for x in declared()}
  return ', '.join(
      y for x in registry.parts(str(settings.get('agent')))
      if x in known for y in known[x].seen_in_training(settings))


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


def _presets_of(method):
  known = presets()
  return [known.get(x) for x in registry.parts(method)]


def place(method):
  """Finds the place of a run's method in tables, infinity if unknown."""
  found = _presets_of(method)
  # What is added goes behind the method that it is added to.
  return math.inf if None in found else sum(
      x.order / 1000 ** i for i, x in enumerate(found))


def text(method):
  """Says what a run's method is, in a sentence; empty if unknown."""
  found = _presets_of(method)
  return '' if None in found else ' With: '.join(x.text for x in found)


def panels():
  """Lists the Panels of what methods log, in the registry's order."""
  return tuple(y for x in declared() for y in x.panels)
