"""The runs below a folder, read as they lie there, whatever state they are in.

Nothing is left out in silence: what is damaged or missing in a run stands in
its `notes`, and the report names it.
"""

import dataclasses
import json
import math
import os
import pathlib
import re
from typing import Any
from typing import TypeGuard

import numpy as np

from patches import ruamel_yaml

from .. import pictures

CONDITIONS = {'clean': 'eval_return', 'rotated': 'eval_rotated_return'}
# Big, and without runs in them.
SKIPPED = ('train_episodes', 'eval_episodes', 'checkpoints', '__pycache__')
TRIAL_LOG = 'ab.log'
# Whose values must agree in a task, or the returns are not of one kind.
SCORING = (
    'action_repeat', 'eval_eps', 'eval_noise', 'eval_state_mean',
    'render_size', 'rotate.degrees', 'rotate.fill', 'rotate.per',
    'time_limit')
# What may differ between two seeds of one method. How long a run is, stands
# in its state; scores are compared at steps that all runs have.
PRIVATE = (
    'seed', 'logdir', 'threads', 'checkpoints', 'precision', 'jit', 'steps',
    'eval_every', 'log_every')
# In these, methods differ because they are different methods.
METHOD = ('agent', 'method', 'batch_multiplier')


@dataclasses.dataclass
class Run:
  """One run's folder.

  Attributes:
    path: pathlib.Path of the folder.
    name: str, the path below the folder that was searched.
    task: str.
    method: str, with the settings that tell its runs from others whose
      config has the same method, such as `idm [sigma_h 0.2]`.
    base: str, the method as the config has it.
    variant: dict of dotted keys, those settings; mostly empty.
    seed: int.
    budget: int, environment steps that were asked for, or None if unknown.
    config: dict of dotted keys.
    rows: list of dicts, the lines of metrics.jsonl.
    evaluation: dict, evaluation/evaluation.json, or None.
    notes: list of str, what is wrong with the files.
    duplicate_of: str, the name of another run with this task, method, seed
      and settings that got further or comes first; such a run takes no part.
      Else empty.
    got_further: bool, whether that other run did.
  """

  path: pathlib.Path
  name: str
  task: str = ''
  method: str = ''
  base: str = ''
  variant: dict = dataclasses.field(default_factory=dict)
  seed: int = 0
  budget: int | None = None
  config: dict = dataclasses.field(default_factory=dict)
  rows: list = dataclasses.field(default_factory=list)
  evaluation: dict | None = None
  notes: list = dataclasses.field(default_factory=list)
  duplicate_of: str = ''
  got_further: bool = False

  @property
  def env_step(self):
    """int, the environment step of the latest metrics; 0 without any."""
    return int(max((x['step'] for x in self.rows), default=0))

  @property
  def state(self):
    """str, such as `complete` or `unfinished at 20,000 of 50,000`."""
    if self.duplicate_of:
      same = 'the same settings' if self.config else 'no settings, either,'
      return f'not used, {self.duplicate_of} has {same} and ' + (
          'got further' if self.got_further else 'comes first')
    if not self.rows:
      return 'no metrics'
    if self.budget is None:
      return f'at {self.env_step:,}, budget unknown'
    if self.env_step < self.budget:
      return f'unfinished at {self.env_step:,} of {self.budget:,}'
    evaluated = self.series(CONDITIONS['clean'])[0]
    if not len(evaluated):
      return f'trained to {self.env_step:,}, never evaluated'
    if evaluated[-1] < self.budget:
      return (
          f'trained to {self.env_step:,}, last evaluated at '
          f'{evaluated[-1]:,.0f}')
    return 'complete'

  def series(self, key):
    """Picks one metric.

    Args:
      key: str, its name in metrics.jsonl.

    Returns:
      float arrays [n], environment steps and values; values that are not
      finite are left out (they stand in `notes` if `key` is a return).
    """
    steps, values = pictures.series(
        [x for x in self.rows if _number(x.get(key))], key)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def find(logdir):
  """Reads all runs below a folder.

  Args:
    logdir: pathlib.Path; it may be a run itself.

  Returns:
    list of Run, by task, method, seed; a folder is a run if it has a
      config.yaml that names a task, a metrics.jsonl, or the log of a trial
      that `ab` began.
  """
  runs = []
  for folder, folders, files in os.walk(logdir):
    folders[:] = sorted(
        x for x in folders if x not in SKIPPED and not x.startswith('.'))
    if {'config.yaml', 'metrics.jsonl', TRIAL_LOG} & {*files}:
      runs.append(_read(pathlib.Path(folder), logdir))
  runs = [x for x in runs if x.rows or x.config.get('task') or x.notes]
  runs.sort(key=lambda x: (x.task, x.method, x.seed, x.name))
  _tell_apart(runs)
  runs.sort(key=lambda x: (x.task, x.method, x.seed, x.name))
  latest: dict = {}
  for run in sorted(runs, key=lambda x: -x.env_step):
    first = latest.setdefault((run.task, run.method, run.seed), run)
    if first is not run:
      run.duplicate_of = first.name
      run.got_further = first.env_step > run.env_step
  return runs


def missing(runs):
  """Finds the holes in the grid of tasks, methods and seeds.

  Args:
    runs: list of Run.

  Returns:
    list of (task, method, list of int): seeds that other cells have and this
    one has not.
  """
  have = {(x.task, x.method, x.seed) for x in runs}
  tasks, methods, seeds = (sorted({x[i] for x in have}) for i in range(3))
  holes = [
      (t, m, [s for s in seeds if (t, m, s) not in have])
      for t in tasks for m in methods]
  return [x for x in holes if x[2]]


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
          k for k in {k for x in arm for k in x.config}
          if k not in SCORING and not _private(k) and len(_values(arm, k)) > 1)
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
      k for k in {k for x in [*first, *second] for k in x.config}
      if k not in SCORING and k not in METHOD and not _private(k)
      and not k.startswith('idm.') and _values(first, k) != _values(second, k))
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


def same_value(first, second):
  """Compares two values of a setting.

  Args:
    first: from a config.
    second: from a config; 1 and 1.0 are the same.

  Returns:
    bool.
  """
  return _comparable(first) == _comparable(second)


def _tell_apart(runs):
  # Runs whose config has the same method and seed, but other settings, are
  # of different methods: each is named after the settings that differ.
  cells: dict = {}
  for run in runs:
    cells.setdefault((run.task, run.base, run.seed), []).append(run)
  differing: dict = {}
  for (_, base, _), twins in cells.items():
    known = [_settings(x) for x in twins if x.config]
    differing.setdefault(base, set()).update(
        k for x in known for k in x if any(x[k] != y.get(k) for y in known))
    for run in twins:
      if known and not run.config and len(twins) > 1:
        run.method = f'{base} [settings unknown]'
  names: dict = {}
  for run in runs:
    keys = sorted(
        differing[run.base], key=lambda x: (not x.startswith('idm.'), x))
    if not keys or not run.config:
      continue
    run.variant = {k: run.config.get(k) for k in keys}
    parts = [
        f'{k.removeprefix("idm.")} {_short(run.config.get(k, "not set"))}'
        for k in keys[:3]]
    parts += [f'and {len(keys) - 3} more'] if len(keys) > 3 else []
    name = f'{run.base} [{", ".join(parts)}]'
    # The three that are shown may be the same.
    values = {k: _comparable(v) for k, v in run.variant.items()}
    known = names.setdefault(name, [])
    if values not in known:
      known.append(values)
    number = known.index(values)
    run.method = name + (f' #{number + 1}' if number else '')


def _settings(run):
  unused = ('idm.',) if run.config.get('agent') == 'dreamer' else ()
  return {
      k: _comparable(v) for k, v in run.config.items()
      if not _private(k) and not k.startswith(unused)}


def _private(key):
  return key in PRIVATE or key.startswith('log_keys_')


def _comparable(value):
  return str(float(value)) if _number(value) else str(value)


def _values(runs, key):
  return {_comparable(x.config.get(key)) for x in runs}


def _short(value):
  text = _plain(f'{value:g}' if isinstance(value, float) else value)
  return text if len(text) <= 20 else f'{text[:19]}…'


def _few(keys):
  more = [f'and {len(keys) - 5} more'] if len(keys) > 5 else []
  return ', '.join([*keys[:5], *more])


def _read(path, logdir):
  name = _plain(path.relative_to(logdir).as_posix())
  run = Run(path, _plain(path.absolute().name) if name == '.' else name)
  run.config = _config(run)
  # Where the config does not say it: logdir/<task>/<method>/<seed>.
  parts = [_plain(x) for x in path.absolute().parts]
  digits = parts[-1].isdigit()
  parts = parts if digits else [*parts, '0']
  run.task = _plain(run.config.get('task') or (['', *parts])[-3])
  run.method = _plain(run.config.get('method') or (['', *parts])[-2])
  run.base = run.method
  seed = run.config.get('seed', parts[-1])
  run.seed = int(seed) if str(seed).lstrip('-').isdigit() else 0
  if not run.config and (path / 'metrics.jsonl').exists():
    run.notes.append(
        'no config.yaml that can be read: task, method and seed are taken '
        f'from the folder names{"" if digits else ", the seed as 0"}')
  elif not run.config and (path / TRIAL_LOG).exists():
    run.notes.append(
        f'begun, but it left no config and no metrics; see its {TRIAL_LOG}')
  steps, repeat = run.config.get('steps'), run.config.get('action_repeat')
  if _number(steps) and _number(repeat) and math.isfinite(steps * repeat):
    run.budget = round(steps * repeat)
  run.rows = _metrics(run)
  run.evaluation = _evaluation(run)
  return run


def _config(run):
  path = run.path / 'config.yaml'
  if not path.exists():
    return {}
  try:
    config = ruamel_yaml.safe_load(path.read_text('utf-8'))
  except Exception:  # Of many kinds: ruamel's, UnicodeError, OSError.
    config = None
  if not isinstance(config, dict):
    run.notes.append('config.yaml cannot be read')
    return {}
  return _flatten(config)


def _flatten(mapping, section=''):
  result = {}
  for key, value in mapping.items():
    if isinstance(value, dict):
      result.update(_flatten(value, f'{section}{key}.'))
    else:
      result[f'{section}{key}'] = value
  return result


def _metrics(run):
  path = run.path / 'metrics.jsonl'
  if not path.exists():
    return []
  try:
    # Once: a second look at a file that grows would find another one.
    *lines, last = path.read_bytes().split(b'\n')
  except OSError as error:
    run.notes.append(f'metrics.jsonl cannot be read: {_plain(error)}')
    return []
  lines = [x for x in lines if x.strip()]
  rows = [x for x in map(_row, lines) if x]
  if len(rows) < len(lines):
    run.notes.append(
        f'{len(lines) - len(rows)} of {len(lines)} lines of metrics.jsonl '
        'are damaged and left out')
  # What has no end yet is being written, or its writer was killed.
  rows += [x for x in [_row(last)] if x]
  for key in CONDITIONS.values():
    bad = [
        x['step'] for x in rows
        if key in x and not (_number(x[key]) and math.isfinite(x[key]))]
    if bad:
      run.notes.append(
          f'{key} is no finite number at env step '
          f'{", ".join(f"{x:,.0f}" for x in bad[:5])}'
          f'{f" and {len(bad) - 5} more" if len(bad) > 5 else ""}; left out')
  if rows and not any(CONDITIONS['clean'] in x for x in rows):
    run.notes.append('no evaluation yet')
  return rows


def _row(line):
  # None unless it is whole.
  try:
    row = json.loads(line.decode('utf-8', 'replace'))
  except (ValueError, RecursionError):
    return None
  if not isinstance(row, dict) or not _number(row.get('step')):
    return None
  return row if math.isfinite(row['step']) else None


def _evaluation(run):
  path = run.path / 'evaluation' / 'evaluation.json'
  if not path.exists():
    return None
  try:
    found = json.loads(path.read_text('utf-8', 'replace'))
    conditions = [_condition(x) for x in found['conditions']]
  except (OSError, ValueError, TypeError, KeyError, RecursionError):
    run.notes.append('evaluation/evaluation.json cannot be read; left out')
    return None
  whole = [x for x in conditions if x]
  if len(whole) < len(conditions):
    run.notes.append(
        f'{len(conditions) - len(whole)} of {len(conditions)} conditions of '
        'evaluation.json are damaged and left out')
  value = found.get('value')
  if not isinstance(value, dict) or not all(
      _number(value.get(x)) for x in ('predicted', 'realised', 'error')):
    value = None
  step = found.get('env_step')
  return {
      'env_step': int(step) if _number(step) else None,
      'checkpoint': _plain(found.get('checkpoint', '')),
      'conditions': whole, 'value': value}


def _condition(found):
  # None unless it has everything in the right type.
  if not isinstance(found, dict) or not isinstance(found.get('kind'), str):
    return None
  returns, strength = found.get('returns'), found.get('strength', 0.0)
  if not isinstance(returns, list) or not returns or not _number(strength):
    return None
  if not all(_number(x) and math.isfinite(x) for x in returns):
    return None
  return {
      'kind': _plain(found['kind']), 'strength': float(strength),
      'per': _plain(found.get('per') or ''),
      'fill': _plain(found.get('fill') or ''), 'returns': returns}


def _number(value: Any) -> TypeGuard[int | float]:
  return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(value):
  # Control characters make broken tables and invalid SVG.
  return ''.join(x if x.isprintable() else '\ufffd' for x in str(value))
