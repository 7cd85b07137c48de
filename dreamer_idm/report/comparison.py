"""A method against the baseline, with the uncertainty of few runs."""

import dataclasses

import numpy as np

from .. import display
from . import run_settings
from . import scores
from . import statistics
from .runs import CONDITIONS

BASELINE = 'dreamer'
OVERALL = 'all tasks'


@dataclasses.dataclass
class Comparison:
  """A method against the baseline, at one task or over all of them.

  Attributes:
    mean, baseline_mean, difference: float, means over runs, then over tasks.
    interval: (float, float), 95%, or None if an arm has a single run in a
      task or no run differs from the others of its arm.
    smallest: float, the smallest difference that could have been shown (with
      a probability of 80%); None without an interval.
    p_value: float, of permuting arms within tasks; None if an arm has a
      single run in a task.
    smallest_p: float, the smallest that this p can be.
    correlation: float, of the two arms' scores with the same seed, within
      tasks; None with fewer than three such pairs.
    improvement: float, P(a run of the method beats one of the baseline).
    improvement_percentiles: (float, float), of its bootstrap, or None.
  """

  method: str
  baseline: str
  condition: str  # `clean` or `rotated`.
  task: str  # Or `all tasks`.
  steps: list[int]  # The environment step of each task's scores.
  ours: list[dict]  # Seed -> score of the method, for each task.
  theirs: list[dict]  # The baseline's.
  notes: list[str]  # What the reader must know.

  def __post_init__(self):
    ours, theirs = ([
        np.array([*x.values()]) for x in arm]
        for arm in (self.ours, self.theirs))
    self.mean = float(statistics.mean_of_means(ours))
    self.baseline_mean = float(statistics.mean_of_means(theirs))
    self.difference = self.mean - self.baseline_mean
    same = all(len(x) == len(y) for x, y in zip(ours, theirs))
    self.smallest_p = min(
        1.0, (1 + same) / statistics.permutations(ours, theirs))
    self.correlation = _correlation(self.ours, self.theirs)
    self.improvement = float(
        statistics.probability_of_improvement(ours, theirs))
    self.interval = self.smallest = self.improvement_percentiles = None
    self.p_value = None
    fewest = min(map(len, [*ours, *theirs]))
    if fewest > 1:
      self.p_value = statistics.permutation_p(ours, theirs)
      _, error, df = statistics.difference(ours, theirs)
      if error > 0:
        low, high = statistics.interval(ours, theirs)
        self.interval = float(low), float(high)
        self.smallest = statistics.smallest_shown(error, df)
    if fewest >= statistics.ENOUGH_FOR_BOOTSTRAP:
      self.improvement_percentiles = statistics.percentiles(
          [*ours, *theirs],
          lambda x: statistics.probability_of_improvement(
              x[:len(ours)], x[len(ours):]))

  @property
  def counts(self):
    """(str, str), runs per task of the method and of the baseline."""
    return tuple(
        scores.span([*map(len, x)]) for x in (self.ours, self.theirs))

  @property
  def excludes_zero(self):
    """bool, whether there is an interval that does not contain 0."""
    return self.interval is not None and (
        self.interval[0] > 0 or self.interval[1] < 0)

  def sentence(self):
    """Says the result; no difference unless the interval excludes 0."""
    ours, theirs = self.counts
    start = (
        f'{self.method} against {self.baseline}, {self.task}, '
        f'{self.condition}: {abs(self.difference):.1f} '
        f'{"higher" if self.difference >= 0 else "lower"} on average at '
        f'{scores.span(self.steps)} steps, {ours} against {theirs} '
        f'runs{" in each task" if len(self.steps) > 1 else ""}')
    if not self.interval:
      why = 'the runs of each arm are all alike' if min(
          map(len, [*self.ours, *self.theirs])) > 1 else (
              'a single run allows no interval')
      return f'{start}: no difference is shown; {why}.'
    low, high = self.interval
    found = (
        f'{start} (95% interval {low:+.1f} to {high:+.1f}, '
        f'p = {self.p_value:.3g})')
    able = f'the comparison could not have shown less than {self.smallest:.0f}'
    if not self.excludes_zero:
      return f'{found}: no difference is shown; {able}.'
    doubt = '' if (self.p_value or 0) < 0.05 else (
        ', but the permutation test does not confirm it' + (
            f' (with so few runs its p cannot be below {self.smallest_p:.2g})'
            if self.smallest_p >= 0.05 else ''))
    return f'{found}: the interval excludes 0{doubt}; {able}.'


def _correlation(ours, theirs):
  """Correlates deviations from the arm's mean in the task; see Comparison."""
  pairs: list = [[], []]
  for x, y in zip(ours, theirs):
    both = sorted({*x} & {*y})
    for found, arm in zip(pairs, (x, y)):
      values = np.array([arm[s] for s in both])
      found.extend(values - values.mean() if both else [])
  if len(pairs[0]) < 3 or not all(np.std(x) for x in pairs):
    return None
  return float(np.corrcoef(pairs)[0, 1])


def baseline(runs, method):
  """Finds the arm of the baseline that a method is compared with.

  Args:
    runs: list of Run.
    method: str.

  Returns:
    str, or None if the method is a baseline itself or no single arm has its
    settings: a baseline that was run with several settings is as many arms.
  """
  ours = scores.select(runs, method=method)[0]
  arms = {
      x.method for x in runs if x.base == BASELINE and all(
          run_settings.same_value(v, run_settings.value(ours, k))
          for k, v in x.variant.items())}
  return arms.pop() if len(arms) == 1 and ours.base != BASELINE else None


def compare(runs, method, condition, baseline=BASELINE):
  """Compares a method with the baseline.

  A run's score is its last evaluation at the budget, the step that was set
  beforehand; runs that have not reached it are left out as long as each arm
  keeps two. Else all runs are compared at the last step that all have.

  Args:
    runs: list of Run.
    method: str.
    condition: str, `clean` or `rotated`.
    baseline: str, the other arm.

  Returns:
    list of Comparison, one per task that has runs of both, and one over all
    tasks if there are several.
  """
  single: list = []
  for task in scores.tasks(runs):
    arms = [
        scores.select(runs, task, x, CONDITIONS[condition])
        for x in (method, baseline)]
    if not all(arms):
      continue
    step, notes = _step(arms, condition)
    found = [
        {x.seed: y for x in arm
         if (y := scores.score_at(x, condition, step))} for arm in arms]
    if not all(found):
      continue
    scored = sorted({x for arm in found for _, x in arm.values()})
    if scored != [step]:
      notes.append(f'evaluated at {scores.span(scored)}, not at {step:,}')
    if late := sum(map(len, arms)) - sum(map(len, found)):
      notes.append(
          f'{display.counted(late, "run")} without a score at {step:,}')
    differences = run_settings.differing({baseline: arms[1], method: arms[0]})
    names = f'{baseline} and {method}'
    notes = [*run_settings.notes(differences, names), *notes]
    ours, theirs = (
        {seed: score for seed, (score, _) in x.items()} for x in found)
    single.append(Comparison(
        method, baseline, condition, task, [step], [ours], [theirs], notes))
  if len(single) > 1:
    notes = [
        f'{x.task}: {y}' for x in single for y in x.notes if ' differ in ' in y]
    whole = [
        x for x in single if min(map(len, x.ours + x.theirs)) > 1] or single
    if left := len(single) - len(whole):
      notes.append(
          f'{display.counted(left, "task")} with a single run of an arm left '
          'out')
    single.append(Comparison(
        method, baseline, condition, OVERALL, [x.steps[0] for x in whole],
        [x.ours[0] for x in whole], [x.theirs[0] for x in whole], notes))
  return single


def _step(arms, condition):
  """Finds the step of the scores of two arms, and lists notes about it."""
  runs = [x for arm in arms for x in arm]
  budgets = {x.budget for x in runs}
  planned = None if None in budgets else min(budgets)
  done = [
      [x for x in arm if planned and scores.score_at(x, condition, planned)]
      for arm in arms]
  if planned and all(
      len(x) > 1 or len(x) == len(y) for x, y in zip(done, arms)):
    if len(budgets) == 1:
      return planned, []
    return planned, [
        f'compared at {planned:,}, the smallest of the budgets; the largest '
        f'is {max(budgets):,}']
  step = scores.common_step(runs, condition)
  last = [x.series(CONDITIONS[condition])[0][-1] for x in runs]
  behind = [x.name for x, end in zip(runs, last) if end == step]
  behind[3:] = [f'{len(behind) - 3} more'] if len(behind) > 4 else behind[3:]
  why = f'as far as {", ".join(behind)} got' if behind else (
      'the last step at which all were evaluated')
  return step, [
      f'compared at {step:,}, {why}, and not at a step that was set '
      'beforehand']
