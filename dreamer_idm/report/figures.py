"""The report's figures of returns; `palette`: see `drawing`."""

import itertools

import numpy as np
import pandas as pd

from . import drawing
from . import scores
from . import statistics
from .runs import CONDITIONS


def learning_curves(runs, palette):
  """Draws returns over environment steps, a row per task.

  Args:
    runs: list of Run, of which at least one has a clean evaluation.
    palette: see `drawing`.

  Returns:
    Figure: mean over seeds, band: their standard deviation.
  """
  conditions = scores.conditions(runs)
  tasks = scores.tasks(scores.select(runs, key='eval_return'))
  figure, axes = drawing.grid(
      len(tasks), len(conditions), 4.6 * max(1.3, len(conditions)))
  for row, task in zip(axes, tasks):
    for ax, condition in zip(row, conditions):
      for method in scores.methods(runs):
        drawing.seed_curve(
            ax, scores.select(runs, task, method), CONDITIONS[condition],
            palette[method], method)
      ax.set_title(f'{task}, {condition}')
      drawing.steps_axis(ax, task == tasks[-1])
    row[0].set_ylabel('return')
    drawing.same_scale(row)
  return drawing.finish(figure, palette)


def aggregate(shared, palette):
  """Draws the IQM over all tasks.

  Each line ends where the slowest of its runs is; band: 2.5% to 97.5%
  percentiles of a stratified bootstrap.

  Args:
    shared: dict of condition -> list of Run of `scores.shared`, not empty.
    palette: see `drawing`.

  Returns:
    (Figure, pandas.DataFrame with condition, method, env_step, value, low,
    high and runs).
  """
  figure, axes, _ = drawing.panels(len(shared), len(shared), 3.0)
  points = []
  for ax, (condition, runs) in zip(axes, shared.items()):
    for method in scores.methods(runs):
      line = _iqm_line(scores.select(runs, method=method), condition)
      points.append(line.assign(condition=condition, method=method))
      ax.plot(
          line.env_step, line.value, color=palette[method], label=method,
          marker='o', markersize=3)
      ax.fill_between(
          line.env_step, line.low, line.high, color=palette[method],
          alpha=0.15, lw=0)
    count = len(scores.tasks(runs))
    ax.set_title(f'{count} task{"s" if count > 1 else ""}, {condition}')
    drawing.steps_axis(ax)
  axes[0].set_ylabel('return, IQM')
  drawing.same_scale(axes)
  return drawing.finish(figure, palette), pd.concat(points)


def _iqm_line(runs, condition):
  """A table of env_step, value, low, high and runs of one method."""
  last = scores.common_step(runs, condition)
  values = scores.curves(runs, CONDITIONS[condition]).loc[:last].dropna()
  # The columns are the runs; an array for each task.
  names = np.array([x.task for x in runs])
  line = []
  for step, row in values.iterrows():
    groups = [row.to_numpy()[names == x] for x in scores.tasks(runs)]
    low, high = statistics.percentiles(groups, statistics.iqm) or (np.nan,) * 2
    line.append((int(step), float(statistics.iqm(groups)), low, high))
  return pd.DataFrame(
      line, columns=['env_step', 'value', 'low', 'high']).assign(
          runs=len(runs))


def profiles(shared, palette):
  """Draws which fraction of all runs scores above each return (rliable).

  Args:
    shared: see `aggregate`; scored at the last step of each task that all its
      runs have.
    palette: see `drawing`.

  Returns:
    Figure.
  """
  figure, axes, _ = drawing.panels(len(shared), len(shared), 3.0)
  for ax, (condition, runs) in zip(axes, shared.items()):
    found: dict = {m: [] for m in scores.methods(runs)}
    for task in scores.tasks(runs):
      here = scores.select(runs, task)
      step = scores.common_step(here, condition)
      for method, values in found.items():
        values += [y for y, _ in scores.scores_at(
            scores.select(here, method=method), condition, step)]
    every = [*itertools.chain(*found.values())]
    levels = np.unique([min(0, *every), *every])
    for method, values in found.items():
      ax.step(
          levels, statistics.performance_profile([values], levels),
          where='post', color=palette[method], label=method)
    ax.set_title(condition)
    ax.set_xlabel('return τ')
  axes[0].set_ylabel('fraction of runs above τ')
  return drawing.finish(figure, palette)


def ablation(runs, palette):
  """Draws all methods on one axis, as the paper's Figure 5 does.

  Args:
    runs: list of Run, each with a clean evaluation.
    palette: see `drawing`.

  Returns:
    Figure, a row per task: on the left the clean curves, on the right the
    scores at the step that all runs of the task have.
  """
  tasks = scores.tasks(runs)
  figure, axes = drawing.grid(len(tasks), 2)
  for (left, right), task in zip(axes, tasks):
    here = scores.select(runs, task)
    for method in scores.methods(here):
      drawing.seed_curve(
          left, scores.select(here, method=method), 'eval_return',
          palette[method], method, band=False)
    left.set_title(f'{task}, clean')
    left.set_ylabel('return')
    drawing.steps_axis(left, task == tasks[-1])
    step = min(
        scores.common_step(scores.select(here, key=CONDITIONS[x]), x)
        for x in scores.conditions(here))
    names = scores.methods(here)
    drawing.bars(right, [[
        [x for x, _ in scores.scores_at(
            scores.select(here, method=method), condition, step)]
        for condition in scores.conditions(here)] for method in names],
        [[(palette[method], x > 0) for x in (0, 1)] for method in names])
    right.set_xticks(
        range(len(names)), names, rotation=20 * (sum(map(len, names)) > 45))
    right.set_title(f'{task}, at {step:,} steps')
    drawing.same_scale([left, right])
  return drawing.finish(figure, palette)
