"""The report's sections: what is shown, and in which words."""

from . import caveats
from . import comparison
from . import diagnostics
from . import figures
from . import published
from . import reconstructions
from . import robustness
from . import scores
from . import statistics
from . import table_sections
from .runs import CONDITIONS
from .web_page import Page

BAND = (
    'line: mean over seeds; band: one sample standard deviation over seeds '
    '(none for a single seed); thin line: not all seeds have come so far')


class ReportPage:
  """The page, and the figures written along with it."""

  def __init__(self, title, shown, found, runs, folder, studies):
    """Takes what is to be shown.

    Args:
      title: str.
      shown: str, the folder that was searched, as the user calls it.
      found: list of Run, all.
      runs: list of Run, those that take part.
      folder: pathlib.Path for the figures, existing.
      studies: list of reconstructions.Study.
    """
    self.warnings: list[str] = []
    self._found, self._runs, self._folder = found, runs, folder
    self._studies = studies
    self._evaluated = scores.select(runs, key='eval_return')
    self._palette = figures.colors(scores.methods(runs))
    self._page = Page(
        title, f'{_count(found, "run")} found in {shown}: '
        f'{_count(scores.tasks(found), "task")}, '
        f'{_count(scores.methods(found), "method")}.')

  def html(self):
    """Returns the page as str."""
    return self._page.html()

  def write(self, comparisons, tables):
    """Writes all sections and figures.

    Args:
      comparisons: list of Comparison.
      tables: dict of the paper's table number -> list of scores.Row.

    Returns:
      list of dicts, the points of `figures.aggregate`.
    """
    self.warnings = caveats.collect(
        self._found, self._runs, comparisons, self._studies)
    self._summary(comparisons)
    self._page.section('Runs')
    table_sections.runs(self._page, self._found)
    points = self._curves()
    self._page.section('Scores beside the published ones')
    self._page.text(published.note(self._runs))
    self._page.points('', published.blind(self._runs))
    for number, rows in tables.items():
      table_sections.scores_table(
          self._page, number, rows, scores.methods(self._runs))
    self._comparison(comparisons)
    self._ablation()
    self._robustness()
    self._reconstructions()
    self._diagnostics()
    self._reading()
    return points

  def _summary(self, comparisons):
    lines = []
    for task in scores.tasks(self._found):
      here = scores.select(self._found, task)
      arms = [
          f'{m} ({_count(scores.select(here, method=m), "run")})'
          for m in scores.methods(here)]
      lines.append(f'{task}: {", ".join(arms)}, {_reached(here)}')
    episodes = _episodes(self._evaluated)
    if episodes:
      lines.append(f'each score is the mean of {episodes}')
    self._page.points('What was run', lines, top=True)
    self._page.points(
        'Main result', _main_result(self._evaluated, comparisons), 'result',
        top=True)
    self._page.points('Warnings', self.warnings, 'warning', top=True)

  def _curves(self):
    self._page.section('Learning curves')
    if not self._evaluated:
      self._page.text('No run has been evaluated yet.')
      return []
    self._figure(
        'learning_curves',
        figures.learning_curves(self._evaluated, self._palette),
        f'Return over environment steps, clean{self._rotated()}; '
        f'{self._seeds(self._evaluated)}; {BAND}. Each point is the mean of '
        f'{_episodes(self._evaluated) or "an evaluation"}; nothing is '
        'smoothed.')
    self._page.heading('All tasks together')
    return self._aggregate()

  def _aggregate(self):
    shared, lines = {}, []
    for condition in figures.shown_conditions(self._evaluated):
      here = scores.shared(self._evaluated, condition)
      if not here:
        lines.append(
            f'{condition}: not shown, no task has runs of all methods')
      elif len(here) == len(scores.methods(here)):
        lines.append(
            f'{condition}: not shown, there is one run of each method, so '
            'there is nothing to aggregate')
      else:
        shared[condition] = here
        lines.append(
            f'{condition}: {", ".join(scores.tasks(here))}, '
            f'{self._seeds(here)}{self._left_out(here, condition)}')
    if not shared:
      self._page.points('', lines)
      return []
    figure, points = figures.aggregate(shared, self._palette)
    self._figure(
        'aggregate', figure,
        'Interquartile mean (IQM) of the returns of all runs. '
        f'{"; ".join(lines)}. Band: 2.5% to 97.5% percentiles of a bootstrap '
        '(runs drawn within each task; none if any task has a single run), '
        'which is narrower than a 95% interval. Each line ends where its '
        'slowest run is.')
    return points

  def _left_out(self, shared, condition):
    here = scores.select(self._evaluated, key=CONDITIONS[condition])
    tasks = sorted({*scores.tasks(here)} - {*scores.tasks(shared)})
    left = [f'{x}, which not all methods have' for x in tasks]
    left += [
        f'{x.task} {x.method} seed {x.seed}, which not all tasks have'
        for x in here if x not in shared and x.task not in tasks]
    return f' (without {"; ".join(left)})' if left else ''

  def _comparison(self, comparisons):
    self._page.section(f'Against {comparison.BASELINE}')
    if not comparisons:
      self._page.text(_why_no_comparison(self._evaluated))
      return
    self._page.text(
        "A run's score is one number: the mean return of its last evaluation "
        'at the budget that was set beforehand; where too few runs have come '
        'so far, at the last step that all have, which the warnings name.')
    intervals = sum(x.interval is not None for x in comparisons)
    if intervals > 1:
      self._page.text(
          f'There are {intervals} comparisons here. Without any effect, one '
          'interval of twenty excludes 0 all the same; nothing is corrected '
          'for the number of comparisons.')
    arms = dict.fromkeys((x.method, x.baseline) for x in comparisons)
    for method, baseline in arms:
      self._page.heading(f'{method} against {baseline}')
      table_sections.comparison_table(
          self._page, [x for x in comparisons if x.method == method])
    others = [
        x for x in self._evaluated if x.base != comparison.BASELINE]
    left = [
        x for x in scores.methods(others)
        if not any(x in arm for arm in arms)]
    if left:
      self._page.text(
          f'Not compared, because no one arm of {comparison.BASELINE} '
          f'has their tasks and settings: {", ".join(left)}.')

  def _ablation(self):
    self._page.section('All methods on one axis')
    if len(scores.methods(self._evaluated)) < 2:
      self._page.text('Not shown: it takes runs of two methods or more.')
      return
    self._figure(
        'ablation', figures.ablation(self._evaluated, self._palette),
        "As the paper's Figure 5. Left: clean return, mean over seeds. Right: "
        'scores at the step that all runs of the task have, plain: clean, '
        'hatched: rotated; bar: mean, line: sample standard deviation over '
        f'seeds, dots: single seeds; {self._seeds(self._evaluated)}.')

  def _robustness(self):
    self._page.section('Robustness')
    evaluated = [x for x in self._runs if x.evaluation]
    if not evaluated:
      self._page.text(
          'No run has an evaluation/evaluation.json: python -m dreamer_idm '
          'evaluate writes it.')
    for task in scores.tasks(evaluated):
      here = scores.select(evaluated, task)
      figure = robustness.figure(here, self._palette)
      if not figure:
        self._page.text(f'{task}: the evaluations are empty.')
        continue
      counts = sorted({
          len(y['returns']) for x in here
          for y in x.evaluation['conditions']})
      self._figure(
          f'robustness_{_file(task)}', figure,
          f'{task}: return under disturbances that training never saw; '
          f'{self._seeds(here)}, {_range(counts)} episodes per run and '
          f'strength; checkpoints: {_checkpoints(here)}; mean and sample '
          'standard deviation over seeds. Dashed: the clean return.')

  def _reconstructions(self):
    self._page.section('Reconstructions')
    shown = False
    for task in scores.tasks(self._runs):
      for method in scores.methods(self._runs):
        for run in scores.select(self._runs, task, method):
          data = reconstructions.read_png(run.path / reconstructions.STRIP)
          if data:
            shown = True
            self._page.picture(
                data, 'png',
                f'{task}, {method}, seed {run.seed}: truth, open-loop '
                'prediction and error of two sequences, every fifth step; the '
                'first column is reconstructed, the others are predicted '
                'from actions alone.', pixels=True)
            break  # One seed per arm is enough to look at.
    for study in self._studies:
      shown = True
      self._page.heading(study.name)
      for name, data in study.pictures.items():
        self._page.picture(
            data, 'png', f'{study.name}/{name}, as reconstruct drew it: '
            'decoding of states under noise.')
      table_sections.drift(self._page, study)
    if not shown:
      self._page.text('No run has left pictures of its world model.')

  def _diagnostics(self):
    self._page.section('Diagnostics')
    shown = False
    for task in scores.tasks(self._runs):
      here = scores.select(self._runs, task)
      figure = diagnostics.figure(here, self._palette)
      if figure:
        shown = True
        self._figure(
            f'diagnostics_{_file(task)}', figure,
            f'{task}: what methods and critic log, {self._seeds(here)}; '
            f'{BAND}. Evaluator probabilities: of being real, for real and '
            'for open-loop predicted transitions. Value-estimation error: '
            'mean absolute difference of the predicted value and the '
            'discounted return that the policy got, at states of the clean '
            'evaluation episodes.')
        table_sections.late_diagnostics(self._page, here)
    table_sections.values(self._page, self._runs)
    if not shown:
      self._page.text('No run logs diagnostics of its method or critic.')

  def _reading(self):
    self._page.section('How it was computed')
    self._page.points('', [
        'A score at a step is the last evaluation at or before it, of a run '
        'that has come so far.',
        "Difference: of the arms' mean scores; over all tasks, the mean of "
        "the tasks' differences, so that tasks count alike. 95% interval: "
        "Welch's, each arm of each task with a variance of its own; over all "
        'tasks with the degrees of freedom of Welch and Satterthwaite. In '
        'simulations with 3 to 10 runs and 1 to 6 tasks it holds the true '
        'difference in 93% to 97% of cases for normal scores and for scores '
        'of skewness 1, whether the arms vary alike or one three times as '
        'much. For scores of skewness 2 (an exponential distribution) it is '
        'none of 95%: 95% to 98% where the arms vary alike, 90% to 95% where '
        'one varies three times as much; nothing that was tried does better '
        'there but more runs. Three runs cannot tell how skewed their scores '
        'are.',
        'A difference is called shown only if this interval excludes 0. '
        'Could not have shown less than: the true difference for which the '
        'interval would exclude 0 in 80% of repetitions, estimated from how '
        'much these runs differ.',
        'p: the fraction of all permutations of the arms within the tasks '
        'whose mean difference is as far from 0 or further, two-sided; exact '
        f'up to {statistics.RESAMPLES:,} permutations, beyond that of so many '
        'random ones.',
        'Runs of the same seed share only the initial states and the random '
        'prefill, so they are not taken as pairs; how far their scores '
        'correlate is shown.',
        'IQM: mean of the middle half of all runs of all tasks. Its band is '
        "rliable's stratified bootstrap (2,000 resamples of the runs within "
        'each task). It is no 95% interval: in the same simulations it holds '
        'the true IQM in 71% to 88% of cases with 3 runs per task, in 79% to '
        '92% with 5, and in 88% to 94% with 10.',
        'P(improvement): fraction of all pairs of a run of the method and one '
        'of the baseline in which the method scores higher, ties counting one '
        'half, averaged over tasks.',
        'Averages over tasks are of raw returns.',
        'Beside this page: figures/ (PNG and SVG), runs.csv, curves.csv, '
        'aggregate.csv, comparison.csv, tables.csv, robustness.csv, '
        'diagnostics.csv, and scores.json and scores_rotated.json in the '
        "format of dreamerv2's scores."])

  def _figure(self, name, figure, caption):
    self._page.picture(
        figures.save(figure, self._folder, name), 'svg+xml', caption)

  def _seeds(self, runs):
    parts = []
    for method in scores.methods(runs):
      counts = {
          len(scores.select(runs, t, method)) for t in scores.tasks(runs)}
      parts.append(f'{method} {_range(sorted(counts - {0}))}')
    return f'seeds per task: {", ".join(parts)}'

  def _rotated(self):
    if 'rotated' not in figures.shown_conditions(self._evaluated):
      return ' (no run was evaluated on rotated images)'
    return ' and on rotated images'


def _main_result(runs, comparisons):
  first = next((x.method for x in comparisons), None)
  lines = []
  for condition in ('clean', 'rotated'):
    here = [
        x for x in comparisons
        if x.method == first and x.condition == condition]
    if here:
      lines.append(here[-1].sentence())  # Over all tasks, if several.
  return lines or [_why_no_comparison(runs)]


def _why_no_comparison(runs):
  if not runs:
    return 'No run has been evaluated yet, so there is nothing to compare.'
  names = scores.methods(runs)
  if comparison.BASELINE not in {x.base for x in runs}:
    return (
        f'No comparison: there are no evaluated runs of the baseline, '
        f'{comparison.BASELINE}.')
  if len(names) < 2:
    return (
        f'No comparison: all evaluated runs are of {names[0]}, and it takes '
        'another method.')
  return (
      'No comparison: no task has evaluated runs of both arms with the same '
      'settings.')


def _reached(runs):
  steps = sorted({x.env_step for x in runs})
  budgets = sorted({x.budget for x in runs if x.budget})
  text = f'{_range(steps)} environment steps'
  return text if budgets == steps or not budgets else (
      f'{text} of {_range(budgets)}')


def _checkpoints(runs):
  arms = robustness.checkpoints(runs)
  if len({*arms.values()}) == 1:
    return next(iter(arms.values()))
  return ', '.join(f'{method} {x}' for method, x in arms.items())


def _episodes(runs):
  counts = sorted({
      x.config['eval_eps'] for x in runs
      if isinstance(x.config.get('eval_eps'), int)})
  if not counts:
    return ''
  return f'{_range(counts)} evaluation episode{"s" if counts != [1] else ""}'


def _range(values):
  if not values:
    return 'unknown'
  if values[0] == values[-1]:
    return f'{values[0]:,}'
  return f'{values[0]:,} to {values[-1]:,}'


def _count(items, what):
  return f'{len(items)} {what}{"" if len(items) == 1 else "s"}'


def _file(name):
  # A task's name as part of a file's.
  return ''.join(x if x.isalnum() or x in '-_' else '_' for x in name)[:80]
