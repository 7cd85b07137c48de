"""In what the settings and the provenance of runs differ."""

import dataclasses
import functools
import re
from typing import Any
from typing import TypeGuard

from ..config import load as config_lib
from ..config import methods
from ..config import same_run

# In these, methods differ because they are different methods.
METHOD = ('agent', 'method', 'batch_multiplier')
# What of a run's starts is compared: not when, where and how far.
PROVENANCE = (
    'version', 'commit', 'dirty', 'packages', 'python', 'device', 'precision',
    'threads')


@dataclasses.dataclass
class Difference:
  """A setting, or a part of the provenance, in which runs of a task differ."""

  key: str  # Dotted; `provenance.` before what is no setting.
  values: dict[str, list[str]]  # What the runs of each arm have.
  within: list[str]  # The arms whose runs differ among themselves.
  between: bool  # Whether arms differ in it that should not.


def differing(arms):
  """Finds in what runs of one task differ, within arms and between them.

  Args:
    arms: dict of arm -> list of Run; those without a config do not count.

  Returns:
    list of Difference; what is part of the method only counts within an arm.
  """
  arms = {k: [x for x in arm if x.config] for k, arm in arms.items()}
  runs = [x for arm in arms.values() for x in arm]
  found = []
  of_methods = methods.sections().union(*map(_own_sections, runs))
  noted = {k for x in runs for k in _starts(x)}
  for key in [*sorted(_keys(runs)), *sorted(noted)]:
    values = {k: y for k, arm in arms.items() if (y := _values(arm, key))}
    within = [k for k, x in values.items() if len(x) > 1]
    own = key in METHOD or key.partition('.')[0] in of_methods
    between = not own and len({frozenset(x) for x in values.values()}) > 1
    if within or between:
      found.append(Difference(
          key, {k: sorted(map(_short, x)) for k, x in values.items()}, within,
          between))
  return found


def sentences(runs):
  """Says in what runs differ that should not: a list of str.

  Methods that are shown apart, then per task what makes scores incomparable,
  what else arms differ in, and what the runs of an arm do.
  """
  found = []
  for base in sorted({x.base for x in runs if x.variant}):
    arms = {x.method: x.variant for x in runs if x.base == base and x.variant}
    keys = sorted({k for x in arms.values() for k in x})
    found.append(
        f'{base}: runs of one task and seed differ in {_few(keys)}, so they '
        f'are shown as arms of their own: {", ".join(sorted(arms))}')
  for task, differences in by_task(runs).items():
    found += [f'{task}: {x}' for x in notes(differences, 'the arms')]
    rest = [x for x in differences if x.key not in same_run.SCORING]
    for arm in sorted({y for x in rest for y in x.within}):
      keys = [x.key for x in rest if arm in x.within]
      found.append(f'{task}, {arm}: the seeds differ in {_few(keys)}')
  return found


def midway(runs):
  """Names the runs whose settings changed while they trained: list of str."""
  found = []
  for run in runs:
    changed = {
        k: v for k, v in same_run.resumed(run.starts).items()
        if ', then ' in str(v) and same_run.has_effect(k, run.config or {})}
    if changed:
      found.append(
          f'{run.name}: settings changed while it trained, so its curve is '
          f'not of one kind: '
          f'{"; ".join(f"{k} {v}" for k, v in changed.items())}')
  return found


def notes(differences, names):
  """Says in what the arms of a task differ that should not.

  Args:
    differences: list of Difference.
    names: str, what the arms are called.

  Returns:
    list of str, at most one on scores of different kinds and one on the rest.
  """
  scoring = [x.key for x in differences if x.key in same_run.SCORING]
  rest = [x.key for x in differences if x.between and x.key not in scoring]
  found = [
      f'the runs differ in {", ".join(scoring)}, so their scores are not of '
      'one kind'] if scoring else []
  return found + (
      [f'{names} also differ in {_few(rest)}'] if rest else [])


def by_task(runs):
  """Finds in what runs differ: a dict of task -> list of Difference."""
  return {
      task: differing({
          m: [x for x in runs if x.task == task and x.method == m]
          for m in sorted({x.method for x in runs if x.task == task})})
      for task in sorted({x.task for x in runs})}


def sees_images(run):
  """Says whether a Run's agent observes images, also if nothing says it."""
  keys = run.config.get('encoder.cnn_keys')
  try:
    return not isinstance(keys, str) or bool(re.match(keys, 'image'))
  except re.error:
    return True


def seen_in_training(runs):
  """Says which methods were not trained on clean images alone.

  Args:
    runs: list of Run.

  Returns:
    list of str, a sentence for each such method and what it saw.
  """
  found = {
      (x.method, seen): None for x in runs if x.config
      and (seen := methods.seen_in_training({**_defaults(), **x.config}))}
  return [
      f'{method} was trained on perturbed images: {seen}'
      for method, seen in found]


@functools.cache
def _defaults():
  return config_lib.defaults().flat


def value(run, key):
  """Reads a setting: what a run's config says, else the default.

  Args:
    run: Run.
    key: str, dotted.

  Returns:
    scalar or tuple, None if there is no such setting.
  """
  return run.config.get(key, _defaults().get(key))


def same_value(first, second):
  """Compares two values from configs.

  Args:
    first: scalar or tuple.
    second: scalar or tuple.

  Returns:
    bool, True if they are the same, as 1 and 1.0 are.
  """
  return _comparable(first) == _comparable(second)


def _own_sections(run):
  """The sections of the keys of a run's methods, a set."""
  return methods.own_sections(str(run.config.get('agent')))


def tell_apart(runs):
  """Makes methods of their own of runs that have other settings.

  Runs whose config has the same method and seed, but other settings, are of
  different methods: their `method` names what differs, their `variant` has it.
  """
  cells: dict = {}
  for run in runs:
    cells.setdefault((run.task, run.base, run.seed), []).append(run)
  keys_of: dict = {}
  for (_, base, _), twins in cells.items():
    known = [x for x in twins if x.config]
    keys_of.setdefault(base, set()).update(
        k for k in _keys(known) if len(_values(known, k)) > 1)
    for run in twins:
      if known and not run.config and len(twins) > 1:
        run.method = f'{base} [settings unknown]'
  names: dict = {}
  for run in runs:
    # The method's own keys first, without the name of their section.
    own = tuple(f'{x}.' for x in _own_sections(run))
    keys = sorted(
        keys_of[run.base], key=lambda x: (not x.startswith(own), x))
    if not keys or not run.config:
      continue
    run.variant = {
        k: value(run, k) for k in keys if same_run.has_effect(k, run.config)}
    parts = [
        f'{k.partition(".")[2] if k.startswith(own) else k} '
        f'{"not set" if v is None else _short(_comparable(v))}'
        for k, v in [*run.variant.items()][:3]]
    parts += [f'and {len(keys) - 3} more'] if len(keys) > 3 else []
    name = f'{run.base} [{", ".join(parts)}]'
    # The three that are shown may be the same.
    values = {k: _comparable(v) for k, v in run.variant.items()}
    known = names.setdefault(name, [])
    if values not in known:
      known.append(values)
    number = known.index(values)
    run.method = name + (f' #{number + 1}' if number else '')


def _keys(runs):
  """Names the settings that make another run, and count for any of these."""
  return {
      k for x in runs for k in x.config
      if k != 'seed' and not same_run.INCIDENTAL.fullmatch(k)
      and same_run.has_effect(k, x.config)}


def _starts(run):
  """Collects what a run's starts say: dict of dotted key -> set of str."""
  found: dict = {}
  for start in run.starts:
    for key in PROVENANCE:
      parts = start.get(key)
      parts = {
          f'{key}.{k}': v for k, v in parts.items()
      } if isinstance(parts, dict) else {key: parts}
      for name, part in parts.items():
        if part is not None:
          found.setdefault(f'provenance.{name}', set()).add(str(part))
  return found


def _values(runs, key):
  """Collects what runs have of a setting or of the provenance: set of str."""
  if key.startswith('provenance.'):
    return {y for x in runs if x.starts for y in _starts(x).get(key, ())}
  return {
      _comparable(value(x, key)) for x in runs
      if same_run.has_effect(key, x.config)}


def _comparable(value):
  return f'{float(value):.15g}' if number(value) else str(value)


def _short(text):
  text = plain(text)
  return text if len(text) <= 20 else f'{text[:19]}…'


def _few(keys):
  more = [f'and {len(keys) - 5} more'] if len(keys) > 5 else []
  return ', '.join([*keys[:5], *more])


def number(value: Any) -> TypeGuard[int | float]:
  """Whether what a file has is a number: no bool, and no int beyond floats."""
  return isinstance(value, float) or (
      isinstance(value, int) and not isinstance(value, bool)
      and abs(value) < 2 ** 1000)


def plain(value):
  """Writes a value without what makes broken tables and invalid SVG."""
  return ''.join(x if x.isprintable() else '\ufffd' for x in str(value))
