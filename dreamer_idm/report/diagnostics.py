"""What goes on inside the methods and the critic: curves and late means."""

import math

import pandas as pd

from ..config import methods
from . import figures
from . import scores

# Panel, lower and upper end of its axis, and its metrics as (key, what it
# says beyond the panel, line).
PANELS = (
    *methods.panels(),
    ('value at evaluation states', None, None,
     [('eval_value_predicted', 'predicted', '-'),
      ('eval_value_realised', 'realised', ':')]),
    ('value-estimation error', 0, None, [('eval_value_error', '', '-')]),
)
# The fraction of a run, its end, over which a diagnostic is averaged.
LATE = 0.4


def figure(runs, palette):
  """Draws the diagnostics of one task.

  Args:
    runs: list of Run of the task.
    palette: dict of method -> color.

  Returns:
    Figure, or None if no run has any of them; mean over seeds, band: their
    standard deviation.
  """
  panels = [
      x for x in PANELS
      if any(scores.select(runs, key=key) for key, _, _ in x[-1])]
  if not panels:
    return None
  columns = min(2, len(panels))
  made, axes = figures.grid(
      math.ceil(len(panels) / columns), columns, 4.6 * max(1.3, columns), 2.1)
  for ax, (title, low, high, metrics) in zip(axes.flat, panels):
    for key, _, line in metrics:
      for method in scores.methods(runs):
        figures.seed_curve(
            ax, scores.select(runs, method=method), key, palette[method],
            method if line == '-' else None, line, band=line == '-')
    kinds = [f'{"solid" if x[2] == "-" else "dotted"}: {x[1]}'
             for x in metrics if x[1]]
    ax.set_title(title + (f'\n{", ".join(kinds)}' if kinds else ''))
    ax.set_ylim(low, high)
    figures.steps_axis(ax, False)
  for ax in axes.flat[len(panels):]:
    ax.set_axis_off()
  for ax in axes.flat[max(0, len(panels) - columns):len(panels)]:
    ax.set_xlabel('environment steps')
  figures.finish(made, palette)
  return made


def late_means(runs):
  """Averages every diagnostic over the last steps of each run.

  Args:
    runs: list of Run.

  Returns:
    pandas.DataFrame with task, method, seed, metric, env_step_first and
    env_step_last (of the values that were averaged), values (how many) and
    mean: of the values in the last 40% of the steps that the run has come.
  """
  found = []
  for run in runs:
    for key in (x[0] for panel in PANELS for x in panel[-1]):
      steps, values = run.series(key)
      late = steps > (1 - LATE) * run.env_step
      if late.any():
        found.append((
            run.task, run.method, run.seed, key, int(steps[late][0]),
            int(steps[late][-1]), int(late.sum()), values[late].mean()))
  return pd.DataFrame(found, columns=[
      'task', 'method', 'seed', 'metric', 'env_step_first', 'env_step_last',
      'values', 'mean'])
