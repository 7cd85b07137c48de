"""The runs below a folder, whatever state they are in.

What is damaged or missing in a run is in its `notes`, and the report names it.
"""

import dataclasses
import json
import math
import os
import pathlib

import numpy as np

from ..config import load as config_lib
from ..config import same_run
from ..errors import UsageError
from ..runs import metrics_file
from ..runs import provenance
from . import run_settings
from .run_settings import number
from .run_settings import plain

CONDITIONS = {'clean': 'eval_return', 'rotated': 'eval_rotated_return'}
# Big, and without runs in them.
SKIPPED = ('train_episodes', 'eval_episodes', 'checkpoints', '__pycache__')
TRIAL_LOG = 'ab.log'


@dataclasses.dataclass
class Run:
  """One run's folder.

  Attributes:
    method: str, with the settings that tell its runs from others whose
      config has the same method, such as `idm [sigma_h 0.2]`.
    variant: dict of dotted keys, those settings; mostly empty.
    duplicate_of: str, the name of another run with this task, method, seed
      and settings that got further or comes first; such a run takes no part.
      Else empty.
  """

  path: pathlib.Path
  name: str  # The path below the folder that was searched.
  task: str = ''
  method: str = ''
  base: str = ''  # The method as the config has it.
  variant: dict = dataclasses.field(default_factory=dict)
  seed: int = 0
  budget: int | None = None  # Environment steps that were asked for, if known.
  config: dict = dataclasses.field(default_factory=dict)  # Of dotted keys.
  rows: list = dataclasses.field(default_factory=list)  # metrics.jsonl
  starts: list = dataclasses.field(default_factory=list)  # provenance.jsonl
  evaluation: dict | None = None  # evaluation/evaluation.json
  notes: list = dataclasses.field(default_factory=list)  # What is wrong.
  duplicate_of: str = ''
  got_further: bool = False  # Whether that other run did.

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
    """Picks a metric: float arrays [n] of environment steps and of values.

    What is not finite is left out, and named in `notes` if it is a return.
    """
    steps, values = metrics_file.series(
        [x for x in self.rows if number(x.get(key))], key)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def find(logdir):
  """Reads all runs below a folder, which may be a run itself.

  Returns a list of Run, by task, method, seed. A folder is a run if it has a
  config.yaml that names a task, a metrics.jsonl, or the log of a trial of `ab`.
  """
  runs = [
      _read(folder, logdir) for folder, files in folders(logdir)
      if {'config.yaml', 'metrics.jsonl', TRIAL_LOG} & files]
  runs = [x for x in runs if x.rows or x.config.get('task') or x.notes]
  def place(x):
    return x.task, x.method, x.seed, x.name
  runs.sort(key=place)
  run_settings.tell_apart(runs)
  runs.sort(key=place)
  latest: dict = {}
  for run in sorted(runs, key=lambda x: -x.env_step):
    first = latest.setdefault((run.task, run.method, run.seed), run)
    if first is not run:
      run.duplicate_of = first.name
      run.got_further = first.env_step > run.env_step
  return runs


def folders(logdir):
  """Walks through all folders that may be runs, links to folders included.

  Yields (pathlib.Path, set of str), a folder and the names of its files; each
  folder once, however many links lead to it.
  """
  seen = set()
  for folder, below, files in os.walk(logdir, followlinks=True):
    real = os.path.realpath(folder)
    below[:] = [] if real in seen else sorted(
        x for x in below if x not in SKIPPED and not x.startswith('.'))
    if real not in seen:
      seen.add(real)
      yield pathlib.Path(folder), {*files}


def missing(runs):
  """Finds the holes in the grid of tasks, methods and seeds.

  Returns a list of (task, method, list of int): seeds that other runs have.
  """
  have = {(x.task, x.method, x.seed) for x in runs}
  tasks, methods, seeds = (sorted({x[i] for x in have}) for i in range(3))
  holes = [
      (t, m, [s for s in seeds if (t, m, s) not in have])
      for t in tasks for m in methods]
  return [x for x in holes if x[2]]


def _read(path, logdir):
  name = plain(path.relative_to(logdir).as_posix())
  run = Run(path, plain(path.absolute().name) if name == '.' else name)
  run.config = _config(run)
  # Where the config does not say it: logdir/<task>/<method>/<seed>.
  parts = [plain(x) for x in path.absolute().parts]
  digits = parts[-1].isdigit()
  parts = parts if digits else [*parts, '0']
  run.task = plain(run.config.get('task') or (['', *parts])[-3])
  run.method = plain(run.config.get('method') or (['', *parts])[-2])
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
  steps = provenance.latest(path, 'steps', run.config.get('steps'))
  repeat = run.config.get('action_repeat')
  if number(steps) and number(repeat) and math.isfinite(steps * repeat):
    run.budget = round(steps * repeat)
  run.rows = _metrics(run)
  run.starts = _starts(run)
  if run.config:
    run.config.update(same_run.resumed(run.starts))
  run.evaluation = _evaluation(run)
  return run


def _config(run):
  path = run.path / 'config.yaml'
  if not path.exists():
    return {}
  try:
    return config_lib.stored_settings(path)
  except UsageError:
    run.notes.append('config.yaml cannot be read')
    return {}


def _metrics(run):
  try:
    rows, damaged, lines = metrics_file.scan(run.path)
  except OSError as error:
    run.notes.append(f'metrics.jsonl cannot be read: {plain(error)}')
    return []
  if damaged:
    run.notes.append(
        f'{damaged} of {lines} lines of metrics.jsonl are damaged and left '
        'out')
  for key in CONDITIONS.values():
    bad = [
        f'{x["step"]:,.0f}' for x in rows
        if key in x and not (number(x[key]) and math.isfinite(x[key]))]
    if bad:
      bad[5:] = [f'and {len(bad) - 5} more'] if len(bad) > 5 else []
      run.notes.append(
          f'{key} is not a finite number at env step {", ".join(bad)}; left '
          'out')
  if rows and not any(CONDITIONS['clean'] in x for x in rows):
    run.notes.append('no evaluation yet')
  return rows


def _starts(run):
  try:
    return provenance.read(run.path)
  except OSError as error:
    run.notes.append(f'provenance.jsonl cannot be read: {plain(error)}')
    return []


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
      number(value.get(x)) for x in ('predicted', 'realised', 'error')):
    value = None
  step = found.get('env_step')
  return {
      'env_step': int(step) if number(step) else None,
      'checkpoint': plain(found.get('checkpoint', '')),
      'conditions': whole, 'value': value}


def _condition(found):
  """A condition of evaluation.json, or None if anything has a wrong type."""
  if not isinstance(found, dict) or not isinstance(found.get('kind'), str):
    return None
  returns, strength = found.get('returns'), found.get('strength', 0.0)
  if not isinstance(returns, list) or not returns:
    return None
  if not number(strength) or not all(
      number(x) and math.isfinite(x) for x in returns):
    return None
  return {
      'kind': plain(found['kind']), 'strength': float(strength),
      'per': plain(found.get('per') or ''),
      'fill': plain(found.get('fill') or ''), 'returns': returns}
