"""In what the settings of runs differ, and what that makes of them."""

import functools
import re
from typing import Any
from typing import TypeGuard

from ..config import load as config_lib
from ..config import same_run

# Whose values must agree in a task, or the returns are not of one kind.
SCORING = (
    'action_repeat', 'eval_eps', 'eval_noise', 'eval_state_mean',
    'render_size', 'rotate.degrees', 'rotate.fill', 'rotate.per',
    'time_limit')
# In these, methods differ because they are different methods.
METHOD = ('agent', 'method', 'batch_multiplier')


def differences(runs):
  """Finds settings that make runs incomparable.

  Args:
    runs: list of Run.

  Returns:
    list of str, sentences: methods that are shown apart, then per task or
    arm whose runs differ.
  """
  sentences = []
  for base in sorted({x.base for x in runs if x.variant}):
    arms = {x.method: x.variant for x in runs if x.base == base and x.variant}
    keys = sorted({k for x in arms.values() for k in x})
    sentences.append(
        f'{base}: runs of one task and seed differ in {_few(keys)}, so they '
        f'are shown as methods of their own: {", ".join(sorted(arms))}')
  for task in sorted({x.task for x in runs}):
    here = [x for x in runs if x.task == task and x.config]
    sentences += [f'{task}: {x}' for x in scoring_differences(here)]
    arms = {
        m: [x for x in here if x.method == m]
        for m in sorted({x.method for x in here})}
    first = 'dreamer' if 'dreamer' in arms else next(iter(arms), '')
    for method in arms:
      sentences += [
          f'{task}: {x}'
          for x in method_differences(arms[first], arms[method])]
    for method, arm in arms.items():
      keys = sorted(
          k for k in _keys(arm)
          if k not in SCORING and len(_values(arm, k)) > 1)
      if keys:
        sentences.append(
            f'{task}, {method}: the seeds differ in {_few(keys)}')
  return sentences


def scoring_differences(runs):
  """Says in what runs of one task were scored differently.

  Args:
    runs: list of Run; those without a config do not count.

  Returns:
    list of one str, or empty.
  """
  runs = [x for x in runs if x.config]
  keys = [x for x in SCORING if len(_values(runs, x)) > 1]
  return [
      f'the runs differ in {", ".join(keys)}, so their scores are not of one '
      'kind'] if keys else []


def method_differences(first, second):
  """Says in what two methods differ that is no part of the method.

  Args:
    first: list of Run of a task and method; without a config, they do not
      count.
    second: list of Run of the task and another method.

  Returns:
    list of one str, or empty; what `scoring_differences` names is left out.
  """
  first, second = ([x for x in arm if x.config] for arm in (first, second))
  if not first or not second:
    return []
  keys = sorted(
      k for k in _keys([*first, *second])
      if k not in SCORING and k not in METHOD
      and k.partition('.')[0] not in same_run.OF_METHODS
      and _values(first, k) != _values(second, k))
  return [
      f'{first[0].method} and {second[0].method} also differ in {_few(keys)}'
  ] if keys else []


def sees_images(run):
  """Says whether an agent observes images.

  Args:
    run: Run.

  Returns:
    bool; True if its config does not say it.
  """
  keys = run.config.get('encoder.cnn_keys')
  try:
    return not isinstance(keys, str) or bool(re.match(keys, 'image'))
  except re.error:
    return True


@functools.cache
def _defaults():
  return config_lib.defaults().flat


def value(run, key):
  """Reads a setting of a run.

  Args:
    run: Run.
    key: str, dotted.

  Returns:
    what its config says; what it did not know yet had its default. None if
    there is no such setting.
  """
  return run.config.get(key, _defaults().get(key))


def same_value(first, second):
  """Compares two values of a setting.

  Args:
    first: from a config.
    second: from a config; 1 and 1.0 are the same.

  Returns:
    bool.
  """
  return _comparable(first) == _comparable(second)


def tell_apart(runs):
  """Makes methods of their own of runs that have other settings.

  Runs whose config has the same method and seed, but other settings, are of
  different methods: each is named after the settings that differ.

  Args:
    runs: list of Run; their `method` and `variant` are set.
  """
  cells: dict = {}
  for run in runs:
    cells.setdefault((run.task, run.base, run.seed), []).append(run)
  differing: dict = {}
  for (_, base, _), twins in cells.items():
    known = [x for x in twins if x.config]
    differing.setdefault(base, set()).update(
        k for k in _keys(known) if len(_values(known, k)) > 1)
    for run in twins:
      if known and not run.config and len(twins) > 1:
        run.method = f'{base} [settings unknown]'
  names: dict = {}
  for run in runs:
    keys = sorted(
        differing[run.base], key=lambda x: (not x.startswith('idm.'), x))
    if not keys or not run.config:
      continue
    run.variant = {
        k: value(run, k) for k in keys
        if same_run.has_effect(k, run.config)}
    parts = [
        f'{k.removeprefix("idm.")} '
        f'{"not set" if v is None else _short(v)}'
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
  # Of the settings that count for any of them.
  return {
      k for x in runs for k in x.config
      if not _private(k) and same_run.has_effect(k, x.config)}


def _private(key):
  # Seeds differ within an arm; how long a run is stands in its state, and
  # scores are compared at steps that all runs have.
  return key == 'seed' or bool(same_run.INCIDENTAL.fullmatch(key))


def _comparable(value):
  return str(float(value)) if number(value) else str(value)


def _values(runs, key):
  return {
      _comparable(value(x, key)) for x in runs
      if same_run.has_effect(key, x.config)}


def _short(value):
  text = plain(f'{value:g}' if isinstance(value, float) else value)
  return text if len(text) <= 20 else f'{text[:19]}…'


def _few(keys):
  more = [f'and {len(keys) - 5} more'] if len(keys) > 5 else []
  return ', '.join([*keys[:5], *more])


def number(value: Any) -> TypeGuard[int | float]:
  """Says whether a value is a number.

  Args:
    value: anything from a JSON or YAML file.

  Returns:
    bool; False of True and False, and of integers that no float can be.
  """
  return isinstance(value, float) or (
      isinstance(value, int) and not isinstance(value, bool)
      and abs(value) < 2 ** 1000)


def plain(value):
  """Writes a value without control characters.

  Args:
    value: anything.

  Returns:
    str.
  """
  # Control characters make broken tables and invalid SVG.
  return ''.join(x if x.isprintable() else '\ufffd' for x in str(value))
