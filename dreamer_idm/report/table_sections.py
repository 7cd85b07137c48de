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
      'standard deviation as far as the source has them, rounded; n=?: it '
      'does not say how many seeds.')


def comparison_table(page, comparisons):
  """Writes the comparisons of one method, and each in words.

  Args:
    page: web_page.Page.
    comparisons: list of Comparison, at least one.
  """
  rows = []
  for x in comparisons:
    ours, theirs = x.counts
    rows.append([
        _text(x.task), _text(x.condition), scores.span(sorted(x.steps)),
        Cell(f'{x.mean:.1f}', f'n={ours}'),
        Cell(f'{x.baseline_mean:.1f}', f'n={theirs}'),
        f'{x.difference:+.1f}', _interval(x.interval, '{:+.1f}'),
        NONE if x.smallest is None else f'{x.smallest:.0f}',
        NONE if x.p_value is None else Cell(
            f'{x.p_value:.3g}', f'at least {x.smallest_p:.2g}'),
        NONE if x.correlation is None else f'{x.correlation:+.2f}',
        Cell(f'{x.improvement:.2f}',
             _interval(x.improvement_percentiles, '{:.2f}')
             if x.improvement_percentiles else '')])
  page.table(
      [_text('task'), _text('condition'), 'env steps', comparisons[0].method,
       comparisons[0].baseline, 'difference', '95% interval',
       'could not have shown less than', 'p', 'correlation by seed',
       'P(improvement)'],
      rows,
      'Mean returns over runs; the difference with its 95% Welch interval; '
      'the smallest true difference that would have been shown (the interval '
      'excludes 0) with a probability of 80%, given how much these runs '
      'differ; the two-sided p of permuting the arms within tasks, and the '
      'smallest that it can be with so many runs; the correlation of runs '
      'with the same seed, which no other number relies on; and the '
      'probability that a run of the method beats one of the baseline (from '
      f'{statistics.ENOUGH_FOR_BOOTSTRAP} runs per task on with its bootstrap '
      'percentiles). A dash: too few runs for it.')
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
  spread = '' if found['std'] is None else f' ± {found["std"]:.0f}'
  return Cell(f'{found["mean"]:.0f}{spread}', small, 'published')


def _text(text):
  return Cell(text, kind='text')


def _long(text):
  return Cell(text, kind='long')


def _interval(interval, pattern):
  return NONE if interval is None else (
      f'{pattern.format(interval[0])} to {pattern.format(interval[1])}')
