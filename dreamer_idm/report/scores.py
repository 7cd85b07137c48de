"""Returns of several runs at one step: curves, common steps, tables."""

import dataclasses
import functools

import numpy as np

from . import published
from .runs import CONDITIONS

# The rest follows by name.
ORDER = (
    'idm', 'dreamer', 'wo_eva', 'wo_dm', 'wo_cst_dm', 'doubled', 'clion',
    'bird', 'soft_bird', 'planet', 'no_value', 'contrastive', 'reward_only')


def methods(runs):
  """Lists the methods, in the order in which they are shown.

  Args:
    runs: list of Run.

  Returns:
    list of str.
  """
  bases = {x.method: x.base for x in runs}
  return sorted(sorted(bases), key=lambda x: (
      ORDER.index(bases[x]) if bases[x] in ORDER else len(ORDER)))


def tasks(runs):
  """Lists the tasks.

  Args:
    runs: list of Run.

  Returns:
    list of str, sorted.
  """
  return sorted({x.task for x in runs})


def select(runs, task=None, method=None, key=None):
  """Picks runs.

  Args:
    runs: list of Run.
    task: str or None for all.
    method: str or None for all.
    key: str, a metric that must have a value somewhere, or None.

  Returns:
    list of Run.
  """
  return [
      x for x in runs
      if task in (None, x.task) and method in (None, x.method)
      and (key is None or len(x.series(key)[0]))]


def shared(runs, condition):
  """Picks runs in which each task has the same weight for every method.

  Args:
    runs: list of Run.
    condition: `clean` or `rotated`; only methods count that were evaluated
      under it at all.

  Returns:
    list of Run, with evaluations under the condition: of the tasks that every
    method has, and of each method the seeds that it has in all of these.
  """
  here = select(runs, key=CONDITIONS[condition])
  names = methods(here)
  complete = [t for t in tasks(here) if methods(select(here, t)) == names]
  kept = []
  for task in complete:
    for name in names:
      seeds = set.intersection(*[
          {x.seed for x in select(here, t, name)} for t in complete])
      kept += [x for x in select(here, task, name) if x.seed in seeds]
  return kept


def score_at(run, condition, step):
  """Reads a run's score at a step: that of the last evaluation until then.

  Args:
    run: Run.
    condition: `clean` or `rotated`.
    step: int, environment steps.

  Returns:
    (float, int), return and the environment step of that evaluation, or None
    if the run has not come so far or was not evaluated until then.
  """
  steps, values = run.series(CONDITIONS[condition])
  index = np.searchsorted(steps, step, 'right') - 1
  if index < 0 or run.env_step < step:
    return None
  return float(values[index]), int(steps[index])


def common_step(runs, condition):
  """Finds the largest step at which all runs have a score.

  Args:
    runs: list of Run, each with an evaluation; at least one.
    condition: `clean` or `rotated`.

  Returns:
    int, environment steps: the last at which all were evaluated; if there is
    none, the last evaluation of the run that is furthest behind.
  """
  steps = [x.series(CONDITIONS[condition])[0] for x in runs]
  common = functools.reduce(np.intersect1d, steps)
  return int(common[-1] if len(common) else min(x[-1] for x in steps))


def curves(runs, key):
  """Puts the runs' values of a metric on one axis of steps.

  Args:
    runs: list of Run, each with a value of the metric.
    key: str, the metric.

  Returns:
    steps, float [n], all at which any run has a value; and values, float
    [n, runs]: each run's latest value, and NaN before its first and behind
    its last one. Nothing is smoothed.
  """
  series = [x.series(key) for x in runs]
  steps = np.unique(np.concatenate([x for x, _ in series]))
  values = np.full((len(steps), len(runs)), np.nan)
  for column, (own, found) in zip(values.T, series):
    inside = (steps >= own[0]) & (steps <= own[-1])
    column[inside] = found[np.searchsorted(own, steps[inside], 'right') - 1]
  return steps, values


def mean_std(values):
  """Averages over runs, where there are any.

  Args:
    values: float [..., runs], NaN where a run has none.

  Returns:
    mean, float [...]; sample standard deviation, float [...], NaN with fewer
    than two runs; and count, int [...].
  """
  values = np.asarray(values, float)
  count = np.isfinite(values).sum(-1)
  with np.errstate(all='ignore'):
    mean = np.nansum(values, -1) / count
    square = np.nansum((values - mean[..., None]) ** 2, -1)
    std = np.sqrt(np.where(count > 1, square / (count - 1), np.nan))
  return mean, std, count


@dataclasses.dataclass
class Row:
  """One line of a table: a task at a step.

  Attributes:
    task: str.
    condition: `clean` or `rotated`.
    step: int, environment steps.
    about: str, why this step.
    scores: dict of method -> list of (return, env step of the evaluation,
      seed); empty where no run has come so far.
    published: dict of (source, method) -> entry of `published.load`.
  """

  task: str
  condition: str
  step: int
  about: str
  scores: dict
  published: dict


def table(runs, condition):
  """Builds the paper's Table 1 (rotated) or 2 (clean).

  Args:
    runs: list of Run.
    condition: `clean` or `rotated`.

  Returns:
    list of Row: for each task 100K and 500K steps where published or reached,
    the runs' budget, and the step that all of them have.
  """
  rows = []
  for task in tasks(runs):
    here = select(runs, task, key=CONDITIONS[condition])
    if not here:
      continue
    about = {
        common_step(here, condition): 'all runs have it',
        max(x.budget or x.env_step for x in here): "the runs' budget"}
    for step in published.PAPER_STEPS:
      reached = any(score_at(x, condition, step) for x in here)
      if reached or published.scores(task, condition, step):
        about[step] = "the paper's"
    for step, why in sorted(about.items()):
      scores: dict = {x: [] for x in methods(runs)}
      for run in here:
        score = score_at(run, condition, step)
        if score:
          scores[run.method].append((*score, run.seed))
      rows.append(Row(
          task, condition, step, why, scores,
          published.scores(task, condition, step)))
  return rows


def span(values):
  """Writes a range of whole numbers.

  Args:
    values: list of int, sorted.

  Returns:
    str such as `5` or `3 to 1,000`; `unknown` of none.
  """
  return ' to '.join(
      f'{x:,.0f}' for x in dict.fromkeys([*values[:1], *values[-1:]])
  ) or 'unknown'
