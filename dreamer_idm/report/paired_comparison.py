"""A method against the baseline, with the doubt that few seeds leave."""

import dataclasses

from . import run_settings
from . import scores
from . import statistics
from .runs import CONDITIONS

BASELINE = 'dreamer'
OVERALL = 'all tasks'


@dataclasses.dataclass
class PairedComparison:
  """A method against the baseline, at one task or over all of them.

  Attributes:
    method: str.
    baseline: str.
    condition: `clean` or `rotated`.
    task: str, or `all tasks`.
    steps: list of int, the environment step of each task's scores.
    seeds: list of lists of int, the paired seeds of each task.
    mean: float, the method's mean over its paired runs; None without pairs.
    baseline_mean: float, the same of the baseline.
    difference: float, mean of the paired differences; None without pairs.
    interval: (float, float), 95%, or None with too few pairs.
    interval_kind: `t` or `bootstrap`.
    p_value: float, of the sign-flip test of the differences; None without
      pairs.
    improvement: float, P(a run of the method beats one of the baseline).
    improvement_interval: (float, float) or None.
    notes: list of str, what the reader must know.
  """

  method: str
  baseline: str
  condition: str
  task: str
  steps: list
  seeds: list
  mean: float | None
  baseline_mean: float | None
  difference: float | None
  interval: tuple | None
  interval_kind: str
  p_value: float | None
  improvement: float
  improvement_interval: tuple | None
  notes: list

  @property
  def pairs(self):
    """int, the smallest number of paired seeds of a task."""
    return min(map(len, self.seeds))

  @property
  def excludes_zero(self):
    """bool, whether there is an interval that does not contain 0."""
    return bool(
        self.interval and (self.interval[0] > 0 or self.interval[1] < 0))

  @property
  def shows_difference(self):
    """bool, whether the interval excludes 0 and p is small as well."""
    return self.excludes_zero and bool(
        self.p_value is not None and self.p_value < statistics.SIGNIFICANCE)

  def sentence(self):
    """Says the result in one sentence.

    Returns:
      str; nothing is called a difference unless the interval excludes 0 and
      p < 0.05.
    """
    start = f'{self.method} against {self.baseline}, {self.task}, '
    start += f'{self.condition}: '
    if self.difference is None:
      return start + 'no seed in common, so nothing is paired.'
    seeds = f'{self.pairs} paired seed{"s" if self.pairs > 1 else ""}'
    if len(self.seeds) > 1:
      seeds += ' in each task' if len({*map(len, self.seeds)}) == 1 else (
          ' in the task with the fewest')
    steps = sorted({*self.steps})
    at = f'at {steps[0]:,}' if len(steps) == 1 else (
        f'at {steps[0]:,} to {steps[-1]:,}')
    side = 'higher' if self.difference >= 0 else 'lower'
    start += f'{abs(self.difference):.1f} {side} on average {at} steps'
    if not self.interval:
      return (
          f'{start} with {seeds}; a single pair allows no interval, so no '
          'difference is shown.')
    low, high = self.interval
    found = (
        f'{start} (95% interval {low:+.1f} to {high:+.1f}, '
        f'p = {self.p_value:.3g}, {seeds})')
    if self.shows_difference:
      return f'{found}: the interval excludes 0 and p < 0.05.'
    smallest = statistics.smallest_p(sum(map(len, self.seeds)))
    if smallest >= statistics.SIGNIFICANCE:
      why = f'with so few pairs p cannot be below {smallest:.3g}'
    elif self.excludes_zero:
      why = 'p is not below 0.05'
    else:
      why = 'the interval includes 0'
    return f'{found}: no difference is shown; {why}.'


def baseline(runs, method):
  """Finds what a method is compared with.

  Args:
    runs: list of Run.
    method: str.

  Returns:
    str, the arm of the baseline, or None if the method is one itself or no
    single arm has its settings: a baseline that was run with several settings
    is as many arms.
  """
  ours = scores.select(runs, method=method)[0]
  arms = {
      x.method for x in runs if x.base == BASELINE and all(
          run_settings.same_value(v, run_settings.value(ours, k))
          for k, v in x.variant.items())}
  return arms.pop() if len(arms) == 1 and ours.base != BASELINE else None


def compare(runs, method, condition, baseline=BASELINE):
  """Compares a method with the baseline.

  Pairs are runs of the same task and seed. In each task all runs of both
  methods are scored at one step, the last that all paired runs have.

  Args:
    runs: list of Run.
    method: str.
    condition: `clean` or `rotated`.
    baseline: str.

  Returns:
    list of PairedComparison, one per task that has runs of both, and one over
    all tasks if there are several.
  """
  single, groups = [], []
  for task in scores.tasks(runs):
    sides = [
        scores.select(runs, task, x, CONDITIONS[condition])
        for x in (method, baseline)]
    if not all(sides):
      continue
    both = set.intersection(*[{x.seed for x in side} for side in sides])
    # A run without a partner, just begun perhaps, decides nothing.
    paired = [x for y in sides for x in y if x.seed in both or not both]
    step = scores.common_step(paired, condition)
    # A run whose first evaluation is later than that has no score.
    found = [
        {x.seed: y for x in side
         if (y := scores.score_at(x, condition, step))} for side in sides]
    if not all(found):
      continue
    notes = [
        *run_settings.scoring_differences([*sides[0], *sides[1]]),
        *run_settings.method_differences(sides[1], sides[0]),
        *_notes(sides, paired, found, step, condition)]
    groups.append((step, *[
        {seed: score for seed, (score, _) in x.items()} for x in found]))
    single.append(_make(
        method, baseline, condition, task, groups[-1:], notes))
  if len(groups) > 1:
    paired = [x for x in groups if set(x[1]) & set(x[2])]
    notes = [
        f'{x.task}: {y}' for x in single for y in x.notes if ' differ in ' in y]
    if 0 < len(paired) < len(groups):
      notes.append(f'{len(groups) - len(paired)} tasks without pairs left out')
    single.append(_make(
        method, baseline, condition, OVERALL, paired or groups, notes))
  return single


def _make(method, baseline, condition, task, groups, notes):
  # groups: (step, {seed: score} of the method, the same of the baseline).
  seeds = [sorted(set(x) & set(y)) for _, x, y in groups]
  ours = [list(x.values()) for _, x, _ in groups]
  theirs = [list(y.values()) for _, _, y in groups]
  mean = baseline_mean = difference = interval = p_value = None
  kind = statistics.interval_kind(seeds)
  if all(seeds):
    pairs = [
        ([x[s] for s in here], [y[s] for s in here])
        for here, (_, x, y) in zip(seeds, groups)]
    mean, baseline_mean = (
        float(statistics.mean_of_means([p[i] for p in pairs]))
        for i in range(2))
    differences = [[a - b for a, b in zip(*p)] for p in pairs]
    difference, interval = statistics.difference_interval(differences)
    p_value = statistics.sign_flip_p(differences)
    if interval and kind == 'bootstrap' and (
        min(map(len, seeds)) < statistics.ENOUGH_FOR_BOOTSTRAP):
      notes = [
          *notes, f'fewer than {statistics.ENOUGH_FOR_BOOTSTRAP} paired seeds '
          'in a task: the bootstrap interval is too narrow']
  improvement, doubt = statistics.improvement_interval(ours, theirs)
  return PairedComparison(
      method, baseline, condition, task, [x[0] for x in groups], seeds,
      mean, baseline_mean, difference, interval, kind, p_value, improvement,
      doubt, notes)


def _notes(sides, paired, found, step, condition):
  notes = []
  ends = {x.name: x.series(CONDITIONS[condition])[0][-1] for x in paired}
  behind = [x for x, end in ends.items() if end == step]
  if max(ends.values()) > step:
    behind[3:] = [f'{len(behind) - 3} more'] if len(behind) > 4 else behind[3:]
    why = f'as far as {", ".join(behind)} got' if behind else (
        'the last step at which all were evaluated')
    notes.append(
        f'compared at {step:,}, {why}; others have up to '
        f'{max(ends.values()):,.0f}')
  scored = sorted({x for side in found for _, x in side.values()})
  if len(scored) > 1:
    notes.append(
        f'no step at which all were evaluated: {scored[0]:,} to '
        f'{scored[-1]:,}')
  alone = sorted(set(found[0]) ^ set(found[1]))
  if alone:
    notes.append(f'seeds without a partner: {", ".join(map(str, alone))}')
  late = sum(map(len, sides)) - sum(map(len, found))
  if late:
    notes.append(f'{late} runs have no score there')
  return notes
