"""The report's tables."""

import numpy as np

from . import diagnostics
from . import scores
from . import statistics
from .runs import CONDITIONS
from .web_page import Cell

NONE = '–'


def runs(page, found):
  """Writes the table of all runs.

  Args:
    page: web_page.Page.
    found: list of Run.
  """
  rows = []
  for run in found:
    last = [run.series(key) for key in CONDITIONS.values()]
    rows.append([
        _text(run.task), _text(run.method), str(run.seed), f'{run.env_step:,}',
        NONE if run.budget is None else f'{run.budget:,}', _long(run.state),
        *(f'{x[-1]:.1f}' if len(x) else NONE for _, x in last),
        _long(run.name)])
  page.table(
      [_text('task'), _text('method'), 'seed', 'env steps', 'budget',
       _text('state'), 'last clean', 'last rotated', _text('folder')],
      rows, 'All runs that were found; last: return of the last evaluation.',
      f'All {len(rows)} runs' if len(rows) > 12 else '')


def scores_table(page, number, rows, methods):
  """Writes the paper's Table 1 or 2, published numbers beside ours.

  Args:
    page: web_page.Page.
    number: str, the paper's table.
    rows: list of scores.Row.
    methods: list of str, ours.
  """
  seen = {'1': 'rotated images', '2': 'clean observations'}[number]
  page.heading(f"The paper's Table {number}: {seen}")
  if not rows:
    page.text(f'No run has an evaluation on {seen}.')
    return
  others = list(dict.fromkeys(y for x in rows for y in x.published))
  header = [_text('task'), 'env steps', *(Cell(x, 'ours') for x in methods)]
  header += [
      Cell(method, f'published: {source}', 'published')
      for source, method in others]
  lines = []
  for row in rows:
    line = [_text(row.task), Cell(f'{row.step:,}', row.about)]
    line += [_ours(row.scores.get(x), row.step) for x in methods]
    line += [_published(row.published.get(x), row.step) for x in others]
    lines.append(line)
  page.table(
      header, lines,
      'Mean ± sample standard deviation over the seeds (n) that have come so '
      'far, by the last evaluation at or before the step. Published: mean ± '
      'standard deviation as the source has them, rounded; n=?: it does not '
      'say how many seeds.')


def comparison_table(page, comparisons):
  """Writes the paired comparisons of one method, and each in words.

  Args:
    page: web_page.Page.
    comparisons: list of PairedComparison, at least one.
  """
  rows = []
  for x in comparisons:
    steps = sorted(set(x.steps))
    counts = sorted(map(len, x.seeds))
    rows.append([
        _text(x.task), _text(x.condition),
        ' to '.join(f'{y:,}' for y in dict.fromkeys((steps[0], steps[-1]))),
        ' to '.join(map(str, dict.fromkeys((counts[0], counts[-1])))),
        _number(x.mean), _number(x.baseline_mean),
        NONE if x.difference is None else f'{x.difference:+.1f}',
        Cell(_interval(x.interval, '{:+.1f}'),
             x.interval_kind if x.interval else ''),
        NONE if x.p_value is None else f'{x.p_value:.3g}',
        {True: 'yes', False: 'no'}[x.shows_difference],
        Cell(f'{x.improvement:.2f}',
             _interval(x.improvement_interval, '{:.2f}')
             if x.improvement_interval else '')])
  few = any(
      x.interval and x.interval_kind == 'bootstrap'
      and x.pairs < statistics.ENOUGH_FOR_BOOTSTRAP for x in comparisons)
  page.table(
      [_text('task'), _text('condition'), 'env steps', 'paired seeds',
       comparisons[0].method, comparisons[0].baseline, 'difference',
       '95% interval', 'p', 'difference shown', 'P(improvement)'],
      rows,
      'Mean returns of the paired runs; the mean of their differences with '
      "its 95% interval, of Student's t for a single task with fewer than "
      f'{statistics.ENOUGH_FOR_BOOTSTRAP} pairs, else of a stratified '
      'bootstrap; the two-sided p of flipping the signs of the differences; '
      'whether the interval excludes 0 and p < 0.05; and the probability that '
      'a run of the method beats one of the baseline (over all runs; from '
      f'{statistics.ENOUGH_FOR_BOOTSTRAP} seeds per task on, with its 95% '
      'bootstrap interval below). A dash: too few seeds for it.'
      + (f' With fewer than {statistics.ENOUGH_FOR_BOOTSTRAP} seeds per task, '
         'as here, bootstrap intervals are too narrow.' if few else ''))
  page.points('', [x.sentence() for x in comparisons])


def drift(page, study):
  """Writes the numbers of a `reconstruct` folder.

  Args:
    page: web_page.Page.
    study: reconstructions.Study.
  """
  if not study.curves:
    return
  rows = []
  for label, kl, error in study.curves:
    rows.append([_text(label), _text('KL [nats]'), *(f'{x:.3g}' for x in kl)])
    rows.append([
        _text(label), _text('pixel error'), *(f'{x:.3g}' for x in error)])
  page.table(
      [_text('run'), _text(''), *(f'σ = {x:g}' for x in study.sigma)], rows,
      'Drift of the decoding under noise of standard deviation σ on the '
      'latent state.')


def late_diagnostics(page, found):
  """Writes what a task's diagnostics are at the end of the runs.

  Args:
    page: web_page.Page.
    found: list of Run of one task.
  """
  names = scores.methods(found)
  means: dict = {}
  for x in diagnostics.late_means(found):
    means.setdefault((x['metric'], x['method']), []).append(x['mean'])
  rows = []
  for title, _, _, metrics in diagnostics.PANELS:
    for key, what, _ in metrics:
      if any((key, x) in means for x in names):
        rows.append([
            _text(f'{title}: {what}' if what else title),
            *(_late(means.get((key, x))) for x in names)])
  if rows:
    page.table(
        [_text('diagnostic'), *names], rows,
        'Mean ± sample standard deviation over the seeds (n) of the mean over '
        f'the last {diagnostics.LATE:.0%} of the steps of each run.')


def values(page, found):
  """Writes the value estimates of the evaluations.

  Args:
    page: web_page.Page.
    found: list of Run.
  """
  rows = [
      [_text(x.task), _text(x.method), str(x.seed),
       *(f'{x.evaluation["value"][key]:.2f}'
         for key in ('predicted', 'realised', 'error'))]
      for x in found if x.evaluation and x.evaluation['value']]
  if rows:
    page.table(
        [_text('task'), _text('method'), 'seed', 'predicted', 'realised',
         'error'], rows,
        "From evaluation.json: the critic's mean value, the mean discounted "
        'return that was realised, and the mean absolute difference.')


def _ours(found, step):
  if not found:
    return Cell(NONE, 'not reached')
  mean, std, count = scores.mean_std([x[0] for x in found])
  steps = [x[1] for x in found]
  small = f'n={count}'
  if {*steps} != {step}:
    both = dict.fromkeys((min(steps), max(steps)))
    small += f' at {" to ".join(f"{x:,}" for x in both)}'
  text = f'{mean:.0f}' + (f' ± {std:.0f}' if np.isfinite(std) else '')
  return Cell(text, small)


def _late(found):
  if not found:
    return NONE
  mean, std, count = scores.mean_std(found)
  spread = f' ± {std:.2g}' if count > 1 else ''
  return Cell(f'{mean:.3g}{spread}', f'n={count}')


def _published(found, step):
  if not found:
    return Cell(NONE, '', 'published')
  small = f'n={found["seeds"] or "?"}'
  if found['steps'] != step:
    small += f' at {found["steps"] / 1000:g}K'
  return Cell(f'{found["mean"]:.0f} ± {found["std"]:.0f}', small, 'published')


def _text(text):
  return Cell(text, kind='text')


def _long(text):
  return Cell(text, kind='long')


def _number(value):
  return NONE if value is None else f'{value:.1f}'


def _interval(interval, pattern):
  return NONE if interval is None else (
      f'{pattern.format(interval[0])} to {pattern.format(interval[1])}')
