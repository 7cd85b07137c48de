"""The web page: what is drawn and shown; the words are in templates/page.html.

Everything is escaped, so that nothing in a run's files can become
part of the page's markup.
"""

import base64

import jinja2

from ..config import methods
from ..runs import metrics_file
from . import caveats
from . import comparison
from . import diagnostics
from . import drawing
from . import figures
from . import published
from . import reconstructions
from . import robustness
from . import run_settings
from . import scores
from . import statistics
from .runs import CONDITIONS

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__), autoescape=True,
    trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
NONE = '–'


def _number(value, pattern):
  return NONE if value is None else format(value, pattern)


def _interval(value, pattern):
  return NONE if value is None else ' to '.join(
      format(x, pattern) for x in value)


def _mean_std(values, pattern='.0f', spread='.0f'):
  std = metrics_file.sample_std(values)
  mean = format(sum(values) / len(values), pattern)
  return mean if std != std else f'{mean} ± {std:{spread}}'


def _count(items, what):
  return f'{len(items)} {what}{"" if len(items) == 1 else "s"}'


TEMPLATES.filters.update(
    number=_number, interval=_interval, mean_std=_mean_std, count=_count,
    span=scores.span, sentence_of=lambda x: x.sentence(),
    episode_counts=lambda runs: {
        len(y['returns']) for x in runs for y in x.evaluation['conditions']},
    base64=lambda data: base64.b64encode(data).decode('ascii'))
TEMPLATES.globals.update(
    select=scores.select, tasks=scores.tasks, methods=scores.methods,
    CONDITIONS=CONDITIONS, BASELINE=comparison.BASELINE,
    ENOUGH=statistics.ENOUGH_FOR_BOOTSTRAP, RESAMPLES=statistics.RESAMPLES,
    LATE=diagnostics.LATE)


def write(title, shown, found, runs, folder, studies, comparisons, tables):
  """Draws the figures and puts the page together.

  Args:
    title: str.
    shown: str, the folder that was searched, as the user calls it.
    found: list of Run, all.
    runs: list of Run, those that take part.
    folder: pathlib.Path for the figures, existing.
    studies: list of reconstructions.Study.
    comparisons: list of Comparison.
    tables: dict of the paper's table number -> list of scores.Row.

  Returns:
    str, the page; list of str, the warnings; and pandas.DataFrame, the points
    of `figures.aggregate`, or None.
  """
  evaluated = scores.select(runs, key=CONDITIONS['clean'])
  palette = drawing.colors(scores.methods(runs))
  drawn: dict = {}

  def draw(name, figure):
    if figure:
      name = ''.join(x if x.isalnum() or x in '-_' else '_' for x in name)
      drawn[name] = drawing.save(figure, folder, name[:80])
      return drawn[name]
    return None

  points = None
  shared, lines = _shared(evaluated)
  if evaluated:
    draw('learning_curves', figures.learning_curves(evaluated, palette))
  if shared:
    figure, points = figures.aggregate(shared, palette)
    draw('aggregate', figure)
    draw('profiles', figures.profiles(shared, palette))
  if len(scores.methods(evaluated)) > 1:
    draw('ablation', figures.ablation(evaluated, palette))
  robust, diagnosed = [], []
  for task in scores.tasks(runs):
    here = scores.select(runs, task)
    with_evaluation = [x for x in here if x.evaluation]
    if with_evaluation:
      figure = draw(
          f'robustness_{task}', robustness.figure(with_evaluation, palette))
      robust.append((task, with_evaluation, figure))
    figure = draw(f'diagnostics_{task}', diagnostics.figure(here, palette))
    if figure:
      diagnosed.append((task, here, figure, _late(here)))
  warnings = caveats.collect(found, runs, comparisons, studies)
  html = TEMPLATES.get_template('page.html').render(
      title=title, shown=shown, found=found, runs=runs, evaluated=evaluated,
      conditions=scores.conditions(evaluated), summary=_summary(found),
      episodes=_episodes(evaluated), warnings=warnings,
      result=_main_result(evaluated, comparisons), figures=drawn,
      aggregates=lines, comparisons=comparisons, tables=tables,
      arms=dict.fromkeys((x.method, x.baseline) for x in comparisons),
      left=_not_compared(evaluated, comparisons), seeds=_seeds,
      note=published.note(runs), blind=published.blind(runs),
      perturbed=run_settings.seen_in_training,
      robust=robust, checkpoints=robustness.checkpoints,
      strips=_strips(runs), studies=studies, diagnosed=diagnosed,
      differences=run_settings.by_task(runs))
  return html, warnings, points


def _summary(found):
  """Says what was run: a line per task and method."""
  lines = []
  for task in scores.tasks(found):
    here = scores.select(found, task)
    arms = [
        f'{m} ({_count(scores.select(here, method=m), "run")})'
        for m in scores.methods(here)]
    steps = {x.env_step for x in here}
    budgets = {x.budget for x in here if x.budget}
    planned = '' if budgets == steps or not budgets else (
        f' of {scores.span(budgets)}')
    lines.append(
        f'{task}: {", ".join(arms)}, {scores.span(steps)} environment steps'
        f'{planned}')
  bases = dict.fromkeys(
      x.base for y in scores.methods(found)
      for x in scores.select(found, method=y))
  return lines + [
      f'{x}: {text.rstrip(".")}' for x in bases if (text := methods.text(x))]


def _episodes(runs):
  counts = {
      x.config['eval_eps'] for x in runs
      if isinstance(x.config.get('eval_eps'), int)}
  if not counts:
    return ''
  return f'{scores.span(counts)} evaluation episode' + 's' * (counts != {1})


def _seeds(runs):
  parts = []
  for method in scores.methods(runs):
    counts = {
        len(scores.select(runs, t, method)) for t in scores.tasks(runs)} - {0}
    parts.append(f'{method} {scores.span(counts)}')
  return f'seeds per task: {", ".join(parts)}'


def _shared(evaluated):
  """Picks what is aggregated: dict of condition -> runs, and lines on it."""
  shared, lines = {}, []
  for condition in scores.conditions(evaluated):
    here = scores.shared(evaluated, condition)
    if not here:
      lines.append(f'{condition}: not shown, no task has runs of all methods')
      continue
    if len(here) == len(scores.methods(here)):
      lines.append(
          f'{condition}: not shown, there is one run of each method, so '
          'there is nothing to aggregate')
      continue
    shared[condition] = here
    others = scores.select(evaluated, key=CONDITIONS[condition])
    tasks = sorted({*scores.tasks(others)} - {*scores.tasks(here)})
    left = [f'{x}, which not all methods have' for x in tasks]
    left += [
        f'{x.task} {x.method} seed {x.seed}, which not all tasks have'
        for x in others if x not in here and x.task not in tasks]
    lines.append(
        f'{condition}: {", ".join(scores.tasks(here))}, {_seeds(here)}'
        + (f' (without {"; ".join(left)})' if left else ''))
  return shared, lines


def _main_result(runs, comparisons):
  """Says how the first method compares, or why there is no comparison."""
  lines = []
  for condition in CONDITIONS:
    here = [
        x for x in comparisons if x.method == comparisons[0].method
        and x.condition == condition]
    lines += [x.sentence() for x in here[-1:]]  # Over all tasks, if several.
  if lines:
    return lines
  if not runs:
    return ['No run has been evaluated yet, so there is nothing to compare.']
  names = scores.methods(runs)
  if comparison.BASELINE not in {x.base for x in runs}:
    why = f'there are no evaluated runs of the baseline, {comparison.BASELINE}'
  elif len(names) < 2:
    why = f'all evaluated runs are of {names[0]}, and it takes another method'
  else:
    why = 'no task has evaluated runs of both arms with the same settings'
  return [f'No comparison: {why}.']


def _not_compared(runs, comparisons):
  others = [x for x in runs if x.base != comparison.BASELINE]
  return [
      m for m in scores.methods(others)
      if not any(m in (x.method, x.baseline) for x in comparisons)]


def _strips(runs):
  """Lists (run, PNG), open-loop predictions: one seed of each arm."""
  found: dict = {}
  for run in sorted(runs, key=lambda x: x.seed):
    data = reconstructions.read_png(run.path / reconstructions.STRIP)
    if data:
      found.setdefault((run.task, run.method), (run, data))
  return [found[x] for x in sorted(found)]


def _late(runs):
  """Lists (diagnostic, list of values or of nothing for each method)."""
  means = diagnostics.late_means(runs).groupby(['metric', 'method'])['mean']
  values = {k: [*x] for k, x in means}
  names = scores.methods(runs)
  return [
      (f'{title}: {what}' if what else title,
       [values.get((key, x), []) for x in names])
      for title, _, _, metrics in diagnostics.PANELS
      for key, what, _ in metrics if any((key, x) in values for x in names)]
