"""The report's numbers as files: CSV, and JSON in upstream's format."""

import json

import numpy as np
import pandas as pd

from ..config import methods
from ..runs import metrics_file
from . import diagnostics
from . import robustness
from . import scores
from .runs import CONDITIONS

CURVES = [
    'task', 'method', 'seed', 'condition', 'env_step', 'return',
    'std_over_episodes']
AGGREGATE = [
    'task', 'method', 'condition', 'env_step', 'runs', 'statistic', 'value',
    'std', 'low', 'high']
COMPARISON = [
    'method', 'baseline', 'condition', 'task', 'env_steps', 'runs',
    'baseline_runs', 'mean', 'baseline_mean', 'difference', 'low', 'high',
    'excludes_zero', 'smallest_shown', 'p_value', 'smallest_p',
    'seed_correlation', 'probability_of_improvement', 'probability_low',
    'probability_high', 'notes']
TABLES = [
    'table', 'condition', 'task', 'env_step', 'source', 'method', 'mean',
    'std', 'seeds', 'evaluated_from', 'evaluated_to']


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
  for condition, key in CONDITIONS.items():
    name = 'scores.json' if condition == 'clean' else f'scores_{condition}.json'
    text = json.dumps(
        [_upstreams(x, key) for x in scores.select(runs, key=key)],
        allow_nan=False)
    (folder / name).write_text(text + '\n')
  rows = (y for number, x in tables.items() for row in x
          for y in _row(number, row))
  for name, data in {
      'runs': pd.DataFrame(map(_run, found)),
      'curves': pd.DataFrame(
          (y for x in runs for y in _curves(x)), columns=CURVES),
      'aggregate': _aggregate(runs, points),
      'comparison': pd.DataFrame(
          map(_comparison, comparisons), columns=COMPARISON),
      'tables': pd.DataFrame(rows, columns=TABLES).astype({'seeds': 'Int64'}),
      'robustness': robustness.table(runs),
      'diagnostics': diagnostics.late_means(runs)}.items():
    data.to_csv(folder / f'{name}.csv', index=False)


def _upstreams(run, key):
  """A run's returns as upstream's scores/*.json have them."""
  steps, values = run.series(key)
  return {
      'task': run.task, 'method': run.method, 'seed': str(run.seed),
      'xs': steps.tolist(), 'ys': values.tolist()}


def _run(run):
  finals = {
      f'final_{x}': values[-1] if len(values := run.series(key)[1]) else None
      for x, key in CONDITIONS.items()}
  return {
      'task': run.task, 'method': run.method, 'seed': run.seed,
      'env_step': run.env_step, 'budget': str(run.budget or ''),
      'state': run.state, **finals, 'folder': run.name,
      'seen_in_training': methods.seen_in_training(run.config),
      'notes': '; '.join(run.notes)}


def _curves(run):
  """Every evaluation while training; a spread that was not logged is NaN."""
  for condition, key in CONDITIONS.items():
    spread = dict(zip(*run.series(f'{key}_std')))
    for step, value in zip(*run.series(key)):
      yield (
          run.task, run.method, run.seed, condition, int(step), value,
          spread.get(step))


def _aggregate(runs, points):
  found = [pd.DataFrame(columns=AGGREGATE)]
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
      columns=AGGREGATE)


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
  """A line for each method of ours, and for each that is published."""
  start = (number, row.condition, row.task, row.step)
  for method, found in row.scores.items():
    if found:
      values, steps = zip(*found)
      yield (
          *start, 'ours', method, np.mean(values),
          metrics_file.sample_std(values), len(values), min(steps), max(steps))
  for (source, method), x in row.published.items():
    yield (
        *start, f'published: {source}', method, x['mean'], x['std'],
        x['seeds'], x['steps'], x['steps'])
