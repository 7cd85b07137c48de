"""The report's numbers as files: CSV, and JSON in upstream's format."""

import csv
import json

import numpy as np

from . import diagnostics
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
    points: list of dicts from `figures.aggregate`.
    comparisons: list of Comparison.
    tables: dict of table number -> list of scores.Row.
  """
  for condition in CONDITIONS:
    name = 'scores.json' if condition == 'clean' else f'scores_{condition}.json'
    text = json.dumps(score_list(runs, condition), allow_nan=False)
    (folder / name).write_text(text + '\n')
  _csv(folder / 'runs.csv', [
      'task', 'method', 'seed', 'env_step', 'budget', 'state', 'final_clean',
      'final_rotated', 'folder', 'notes'], map(_run, found))
  _csv(folder / 'curves.csv', [
      'task', 'method', 'seed', 'condition', 'env_step', 'return',
      'std_over_episodes'], _curves(runs))
  _csv(folder / 'aggregate.csv', [
      'task', 'method', 'condition', 'env_step', 'runs', 'statistic', 'value',
      'std', 'low', 'high'], [*_means(runs), *map(_iqm, points)])
  _csv(folder / 'comparison.csv', [
      'method', 'baseline', 'condition', 'task', 'env_steps', 'runs',
      'baseline_runs', 'mean', 'baseline_mean', 'difference', 'low', 'high',
      'excludes_zero', 'smallest_shown', 'p_value', 'smallest_p',
      'seed_correlation', 'probability_of_improvement', 'probability_low',
      'probability_high', 'notes'], map(_comparison, comparisons))
  _csv(folder / 'tables.csv', [
      'table', 'condition', 'task', 'env_step', 'source', 'method', 'mean',
      'std', 'seeds', 'evaluated_from', 'evaluated_to'],
      [y for number, rows in tables.items() for x in rows
       for y in _row(number, x)])
  _csv(folder / 'robustness.csv', [
      'task', 'method', 'seed', 'env_step', 'checkpoint', 'kind', 'strength',
      'per', 'fill', 'episodes', 'return', 'std_over_episodes'],
      _robustness(runs))
  _csv(folder / 'diagnostics.csv', [
      'task', 'method', 'seed', 'metric', 'env_step_first', 'env_step_last',
      'values', 'mean'], (x.values() for x in diagnostics.late_means(runs)))


def _csv(path, header, rows):
  with path.open('w', encoding='utf-8', newline='') as f:
    writer = csv.writer(f)
    writer.writerow(header)
    writer.writerows(rows)


def _run(run):
  finals = []
  for key in CONDITIONS.values():
    values = run.series(key)[1]
    finals.append(float(values[-1]) if len(values) else None)
  return [
      run.task, run.method, run.seed, run.env_step, run.budget, run.state,
      *finals, run.name, '; '.join(run.notes)]


def _curves(runs):
  for run in runs:
    for condition, key in CONDITIONS.items():
      spread = dict(zip(*run.series(f'{key}_std')))
      for step, value in zip(*run.series(key)):
        yield [
            run.task, run.method, run.seed, condition, int(step),
            float(value), float(spread[step]) if step in spread else None]


def _means(runs):
  for task in scores.tasks(runs):
    for method in scores.methods(runs):
      for condition, key in CONDITIONS.items():
        here = scores.select(runs, task, method, key)
        if not here:
          continue
        steps, values = scores.curves(here, key)
        for step, mean, std, count in zip(steps, *scores.mean_std(values)):
          yield [
              task, method, condition, int(step), int(count), 'mean',
              float(mean), float(std) if np.isfinite(std) else None,
              None, None]


def _iqm(point):
  return [
      'all tasks', point['method'], point['condition'], point['env_step'],
      point['runs'], 'iqm', point['iqm'], None, point['low'], point['high']]


def _comparison(found):
  runs, baseline_runs = (
      ' '.join(str(len(x)) for x in arm) for arm in (found.ours, found.theirs))
  return [
      found.method, found.baseline, found.condition, found.task,
      ' '.join(map(str, found.steps)), runs, baseline_runs, found.mean,
      found.baseline_mean, found.difference, *(found.interval or (None, None)),
      found.excludes_zero, found.smallest, found.p_value, found.smallest_p,
      found.correlation, found.improvement,
      *(found.improvement_percentiles or (None, None)),
      '; '.join(found.notes)]


def _row(number, row):
  for method, found in row.scores.items():
    if found:
      mean, std, count = scores.mean_std([x[0] for x in found])
      steps = [x[1] for x in found]
      yield [
          number, row.condition, row.task, row.step, 'ours', method,
          float(mean), float(std) if count > 1 else None, int(count),
          min(steps), max(steps)]
  for (source, method), x in row.published.items():
    yield [
        number, row.condition, row.task, row.step, f'published: {source}',
        method, x['mean'], x['std'], x['seeds'], x['steps'], x['steps']]


def _robustness(runs):
  for run in runs:
    for x in (run.evaluation or {}).get('conditions', []):
      yield [
          run.task, run.method, run.seed, run.evaluation['env_step'],
          run.evaluation['checkpoint'], x['kind'], x['strength'], x['per'],
          x['fill'], len(x['returns']), float(np.mean(x['returns'])),
          _std(x['returns'])]


def _std(values):
  return float(np.std(values, ddof=1)) if len(values) > 1 else None
