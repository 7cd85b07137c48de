"""Returns of several runs at one step: curves, common steps, tables.

Runs are lists of `runs.Run`; a condition is `clean` or `rotated`; steps are
environment steps.
"""

import collections
import functools

import numpy as np
import pandas as pd

from ..config import methods as declared
from . import published
from .runs import CONDITIONS

# One line of a table: a task at a step. about: str, why this step. scores:
# dict of method -> list of (return, step of the evaluation); empty where no
# run has reached it. published: dict of (source, method) -> entry of
# `published.load`.
Row = collections.namedtuple(
    'Row', ['task', 'condition', 'step', 'about', 'scores', 'published'])


def methods(runs):
  """Lists the methods, str, in the order in which they are shown."""
  bases = {x.method: x.base for x in runs}
  return sorted(bases, key=lambda x: (declared.place(bases[x]), x))


def tasks(runs):
  """Lists the tasks, str, sorted."""
  return sorted({x.task for x in runs})


def select(runs, task=None, method=None, key=None):
  """Picks runs.

  Args:
    runs: list of Run.
    task: str, the only task; None: any.
    method: str, the only method; None: any.
    key: str, a metric that the runs must have; None: none.

  Returns:
    list of Run.
  """
  return [
      x for x in runs
      if task in (None, x.task) and method in (None, x.method)
      and (key is None or len(x.series(key)[0]))]


def conditions(runs):
  """Lists the conditions that any run was evaluated under."""
  return [x for x, key in CONDITIONS.items() if select(runs, key=key)]


def shared(runs, condition):
  """Picks runs in which each task has the same weight for every method.

  Of those that were evaluated under the condition: the tasks that every method
  has, and of each method the seeds that it has in all of these.

  Args:
    runs: list of Run.
    condition: str.

  Returns:
    list of Run.
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
    condition: str.
    step: int.

  Returns:
    (float, int), the return and the step of that evaluation, or None if the
    run has not reached the step or was not evaluated until then.
  """
  steps, values = run.series(CONDITIONS[condition])
  index = np.searchsorted(steps, step, 'right') - 1
  if index < 0 or run.env_step < step:
    return None
  return float(values[index]), int(steps[index])


def scores_at(runs, condition, step):
  """Reads the scores of runs at a step.

  Args:
    runs: list of Run.
    condition: str.
    step: int.

  Returns:
    list of what `score_at` finds, for the runs that have reached the step.
  """
  return [y for x in runs if (y := score_at(x, condition, step))]


def common_step(runs, condition):
  """Finds the last step at which all runs were evaluated.

  Args:
    runs: list of Run, not empty; each has an evaluation.
    condition: str.

  Returns:
    int; if there is none, the last evaluation of the run furthest behind.
  """
  steps = [x.series(CONDITIONS[condition])[0] for x in runs]
  common = functools.reduce(np.intersect1d, steps)
  return int(common[-1] if len(common) else min(x[-1] for x in steps))


def curves(runs, key):
  """Puts the runs' values of a metric on one axis of steps.

  Args:
    runs: list of Run.
    key: str, the metric.

  Returns:
    pandas.DataFrame, a row for each step at which any run has a value and a
    column for each run that has any: its latest value, and NaN before its first
    and behind its last one. Nothing is smoothed.
  """
  columns = [x.series(key) for x in select(runs, key=key)]
  found = pd.DataFrame({
      i: pd.Series(values, steps) for i, (steps, values) in enumerate(columns)})
  return found.sort_index().ffill(limit_area='inside')


def table(runs, condition):
  """Builds the paper's Table 1 (rotated) or 2 (clean).

  Args:
    runs: list of Run.
    condition: str.

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
      if scores_at(here, condition, step) or (
          published.scores(task, condition, step)):
        about[step] = "the paper's"
    rows += [
        Row(task, condition, step, why, {
            m: scores_at(select(here, method=m), condition, step)
            for m in methods(runs)}, published.scores(task, condition, step))
        for step, why in sorted(about.items())]
  return rows


def span(values):
  """Writes a range of whole numbers: `5`, `3 to 1,000`; of none `unknown`."""
  return ' to '.join(
      f'{x:,.0f}' for x in sorted({min(values), max(values)})
  ) if values else 'unknown'
