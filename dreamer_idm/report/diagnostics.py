"""What methods and critic log: curves, and means over the last steps."""

import pandas as pd

from ..config import methods
from . import drawing
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
COLUMNS = [
    'task', 'method', 'seed', 'metric', 'env_step_first', 'env_step_last',
    'values', 'mean']


def figure(runs, palette):
  """Draws the diagnostics of a task.

  Args:
    runs: list of Run, those of the task.
    palette: dict of method -> color.

  Returns:
    matplotlib's Figure, or None if nothing was logged.
  """
  panels = [
      x for x in PANELS
      if any(scores.select(runs, key=key) for key, _, _ in x[-1])]
  if not panels:
    return None
  made, axes, columns = drawing.panels(len(panels), 2, 2.1)
  for ax, (title, low, high, metrics) in zip(axes, panels):
    for key, _, line in metrics:
      for method in scores.methods(runs):
        drawing.seed_curve(
            ax, scores.select(runs, method=method), key, palette[method],
            method if line == '-' else None, line, band=line == '-')
    kinds = [f'{"solid" if x[2] == "-" else "dotted"}: {x[1]}'
             for x in metrics if x[1]]
    ax.set_title(title + (f'\n{", ".join(kinds)}' if kinds else ''))
    ax.set_ylim(low, high)
    drawing.steps_axis(ax, ax in axes[-columns:])
  return drawing.finish(made, palette)


def late_means(runs):
  """Averages every diagnostic over the last LATE of the steps of each run.

  Returns a DataFrame with COLUMNS: the steps of the first and the last value,
  how many there are, and their mean.
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
  return pd.DataFrame(found, columns=COLUMNS)
