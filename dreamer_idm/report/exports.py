"""The report's numbers as files: CSV, and JSON in upstream's format."""

import json

import numpy as np
import pandas as pd

from ..runs import metrics_file
from . import diagnostics
from . import robustness
from . import scores
from .runs import CONDITIONS


def score_list(runs, condition):
  """Collects scores as upstream's scores/*.json have them.

  Args:
    runs: list of Run.
    condition: `clean` or `rotated`.

  Returns:
    list of dicts with task, method, seed (str), xs (environment steps) and ys
    (returns), both lists of float; runs without evaluations have no entry.
  """
  entries = []
  for run in scores.select(runs, key=CONDITIONS[condition]):
    steps, values = run.series(CONDITIONS[condition])
    entries.append({
        'task': run.task, 'method': run.method, 'seed': str(run.seed),
        'xs': steps.tolist(), 'ys': values.tolist()})
  return entries


def write(folder, found, runs, points, comparisons, tables):
  """Writes all of them.

  Args:
    folder: pathlib.Path, existing.
    found: list of Run, all.
    runs: list of Run, those that take part.
    points: pandas.DataFrame of `figures.aggregate`, or None.
    comparisons: list of Comparison.
    tables: dict of table number -> list of scores.Row.
  """
  for condition in CONDITIONS:
    name = 'scores.json' if condition == 'clean' else f'scores_{condition}.json'
    text = json.dumps(score_list(runs, condition), allow_nan=False)
    (folder / name).write_text(text + '\n')
  evaluations = scores.evaluations(runs)
  for name, data in {
      'runs': pd.DataFrame(map(_run, found)), 'curves': evaluations,
      'aggregate': _aggregate(runs, points),
      'comparison': pd.DataFrame(
          map(_comparison, comparisons), columns=COMPARISON),
      'tables': pd.DataFrame(
          [y for number, rows in tables.items() for x in rows
           for y in _row(number, x)], columns=TABLES).astype({
               'seeds': 'Int64'}),
      'robustness': robustness.table(runs),
      'diagnostics': diagnostics.late_means(runs)}.items():
    data.to_csv(folder / f'{name}.csv', index=False)


COMPARISON = [
    'method', 'baseline', 'condition', 'task', 'env_steps', 'runs',
    'baseline_runs', 'mean', 'baseline_mean', 'difference', 'low', 'high',
    'excludes_zero', 'smallest_shown', 'p_value', 'smallest_p',
    'seed_correlation', 'probability_of_improvement', 'probability_low',
    'probability_high', 'notes']
TABLES = [
    'table', 'condition', 'task', 'env_step', 'source', 'method', 'mean',
    'std', 'seeds', 'evaluated_from', 'evaluated_to']


def _run(run):
  finals = {
      f'final_{x}': values[-1] if len(values := run.series(key)[1]) else None
      for x, key in CONDITIONS.items()}
  return {
      'task': run.task, 'method': run.method, 'seed': run.seed,
      'env_step': run.env_step, 'budget': str(run.budget or ''),
      'state': run.state, **finals, 'folder': run.name,
      'notes': '; '.join(run.notes)}


def _aggregate(runs, points):
  columns = [
      'task', 'method', 'condition', 'env_step', 'runs', 'statistic', 'value',
      'std', 'low', 'high']
  found = [pd.DataFrame(columns=columns)]
  for task in scores.tasks(runs):
    for method in scores.methods(runs):
      for condition, key in CONDITIONS.items():
        values = scores.curves(scores.select(runs, task, method), key)
        found.append(pd.DataFrame({
            'env_step': values.index.astype(int), 'runs': values.count(axis=1),
            'value': values.mean(axis=1), 'std': values.std(axis=1)}).assign(
                task=task, method=method, condition=condition,
                statistic='mean'))
  if points is not None:
    found.append(points.assign(task='all tasks', statistic='iqm'))
  return pd.concat([x for x in found if len(x)] or found).reindex(
      columns=columns)


def _comparison(x):
  runs, baseline_runs = (
      ' '.join(str(len(y)) for y in arm) for arm in (x.ours, x.theirs))
  return (
      x.method, x.baseline, x.condition, x.task, ' '.join(map(str, x.steps)),
      runs, baseline_runs, x.mean, x.baseline_mean, x.difference,
      *(x.interval or (None, None)), x.excludes_zero, x.smallest, x.p_value,
      x.smallest_p, x.correlation, x.improvement,
      *(x.improvement_percentiles or (None, None)), '; '.join(x.notes))


def _row(number, row):
  for method, found in row.scores.items():
    if found:
      values, steps = zip(*found)
      yield (
          number, row.condition, row.task, row.step, 'ours', method,
          np.mean(values), metrics_file.sample_std(values), len(values),
          min(steps), max(steps))
  for (source, method), x in row.published.items():
    yield (
        number, row.condition, row.task, row.step, f'published: {source}',
        method, x['mean'], x['std'], x['seeds'], x['steps'], x['steps'])
