"""The report's figures of returns, and what all of its figures use.

`palette` is a dict of method -> color, in the order of the legend; figures are
matplotlib's Figure.
"""

import io
import itertools
import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.figure import Figure

from ..runs import metrics_file
from . import scores
from . import statistics
from .runs import CONDITIONS

# Okabe and Ito's colors, which color-blind people tell apart.
COLORS = (
    '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9',
    '#8c564b', '#7f7f7f')
BASELINE_COLOR = '#444444'
STYLE: dict = {
    'font.size': 9, 'axes.titlesize': 9, 'axes.spines.top': False,
    'axes.spines.right': False, 'axes.grid': True, 'grid.alpha': 0.25,
    'figure.constrained_layout.h_pad': 0.06,
    'figure.constrained_layout.w_pad': 0.08,
    'legend.frameon': False, 'lines.linewidth': 1.5,
    'text.parse_math': False,  # A dollar in a method's name is a dollar.
    'svg.hashsalt': 'dreamer_idm'}  # The same figure gives the same file.


def style():
  """Sets the figures' look: a context around making and saving them."""
  return matplotlib.rc_context(STYLE)


def colors(methods):
  """Gives each method its color, the same in every figure: a palette."""
  others = iter(itertools.cycle(COLORS))
  return {
      x: BASELINE_COLOR if x == 'dreamer' else next(others) for x in methods}


def grid(rows, columns, width=9.0, height=2.7):
  """An empty Figure, rows `height` inches high, and Axes [rows, columns]."""
  figure = Figure((width, height * rows + 0.4), layout='constrained')
  return figure, figure.subplots(rows, columns, squeeze=False)


def panels(count, most, height=2.7):
  """Makes an empty figure of several panels.

  Args:
    count: int, how many.
    most: int, most columns.
    height: float, of a row, in inches.

  Returns:
    Figure, array of Axes [count], and int, the number of columns.
  """
  columns = min(most, count)
  figure, axes = grid(
      math.ceil(count / columns), columns, 4.6 * max(1.3, columns), height)
  for ax in axes.flat[count:]:
    ax.set_axis_off()
  return figure, axes.flat[:count], columns


def finish(figure, palette):
  """Gives a figure one legend for all its panels.

  Args:
    figure: Figure.
    palette: see above.

  Returns:
    Figure, the same.
  """
  entries: dict = {}
  for axes in figure.axes:
    for handle, label in zip(*axes.get_legend_handles_labels()):
      entries.setdefault(label, handle)
  labels = [x for x in palette if x in entries]
  if labels:
    # As many columns as fit, at about 12 characters to an inch.
    room = 12 * figure.get_figwidth() / (max(map(len, labels)) + 6)
    figure.legend(
        [entries[x] for x in labels], labels, loc='outside upper center',
        ncols=max(1, min(len(labels), 6, int(room))))
  return figure


def save(figure, folder, name):
  """Writes a figure as PNG and SVG.

  Args:
    figure: Figure.
    folder: pathlib.Path, existing.
    name: str, of the files, without a suffix.

  Returns:
    bytes, the SVG.
  """
  figure.draw_without_rendering()
  figure.set_layout_engine('none')  # It is laid out; not again for each file.
  figure.savefig(folder / f'{name}.png', dpi=150, metadata={'Software': None})
  image = io.BytesIO()
  figure.savefig(image, format='svg', metadata={'Date': None})
  (folder / f'{name}.svg').write_bytes(image.getvalue())
  return image.getvalue()


def steps_axis(axes, label=True):
  """Makes the horizontal axis one of environment steps.

  Args:
    axes: Axes.
    label: bool, whether the axis says so.
  """
  axes.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(_thousands))
  if label:
    axes.set_xlabel('environment steps')


def seed_curve(axes, runs, key, color, label, line='-', band=True):
  """Draws the mean over seeds, and their standard deviation as a band.

  Where some runs have not reached a step, the line is thin and the mean is over
  the others.

  Args:
    axes: Axes.
    runs: list of Run, of one task and method.
    key: str, the metric.
    color: matplotlib's.
    label: str in the legend, None: it has no entry.
    line: matplotlib's line style.
    band: bool, whether the standard deviation is drawn.
  """
  values = scores.curves(runs, key)
  if values.empty:
    return
  steps, mean, std = values.index, values.mean(axis=1), values.std(axis=1)
  marker = {'marker': 'o', 'markersize': 3} if len(steps) < 30 else {}
  whole = mean.where(values.notna().all(axis=1))
  if values.shape[1] > 1:
    axes.plot(steps, mean, line, color=color, lw=0.7)
  axes.plot(steps, whole, line, color=color, label=label, **marker)
  if band:
    axes.fill_between(
        steps, mean - std, mean + std, color=color, alpha=0.15, lw=0)


def learning_curves(runs, palette):
  """Draws returns over environment steps, a row per task.

  Args:
    runs: list of Run, of which at least one has a clean evaluation.
    palette: see above.

  Returns:
    Figure: mean over seeds, band: their standard deviation.
  """
  conditions = scores.conditions(runs)
  tasks = scores.tasks(scores.select(runs, key='eval_return'))
  figure, axes = grid(
      len(tasks), len(conditions), 4.6 * max(1.3, len(conditions)))
  for row, task in zip(axes, tasks):
    for ax, condition in zip(row, conditions):
      for method in scores.methods(runs):
        seed_curve(
            ax, scores.select(runs, task, method), CONDITIONS[condition],
            palette[method], method)
      ax.set_title(f'{task}, {condition}')
      steps_axis(ax, task == tasks[-1])
    row[0].set_ylabel('return')
    same_scale(row)
  return finish(figure, palette)


def aggregate(shared, palette):
  """Draws the IQM over all tasks.

  Each line ends where the slowest of its runs is; band: 2.5% to 97.5%
  percentiles of a stratified bootstrap.

  Args:
    shared: dict of condition -> list of Run of `scores.shared`, not empty.
    palette: see above.

  Returns:
    (Figure, pandas.DataFrame with condition, method, env_step, value, low,
    high and runs).
  """
  figure, axes, _ = panels(len(shared), len(shared), 3.0)
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
    steps_axis(ax)
  axes[0].set_ylabel('return, IQM')
  same_scale(axes)
  return finish(figure, palette), pd.concat(points)


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
    palette: see above.

  Returns:
    Figure.
  """
  figure, axes, _ = panels(len(shared), len(shared), 3.0)
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
  return finish(figure, palette)


def ablation(runs, palette):
  """Draws all methods on one axis, as the paper's Figure 5 does.

  Args:
    runs: list of Run, each with a clean evaluation.
    palette: see above.

  Returns:
    Figure, a row per task: on the left the clean curves, on the right the
    scores at the step that all runs of the task have.
  """
  tasks = scores.tasks(runs)
  figure, axes = grid(len(tasks), 2)
  for (left, right), task in zip(axes, tasks):
    here = scores.select(runs, task)
    for method in scores.methods(here):
      seed_curve(
          left, scores.select(here, method=method), 'eval_return',
          palette[method], method, band=False)
    left.set_title(f'{task}, clean')
    left.set_ylabel('return')
    steps_axis(left, task == tasks[-1])
    step = min(
        scores.common_step(scores.select(here, key=CONDITIONS[x]), x)
        for x in scores.conditions(here))
    names = scores.methods(here)
    bars(right, [[
        [x for x, _ in scores.scores_at(
            scores.select(here, method=method), condition, step)]
        for condition in scores.conditions(here)] for method in names],
        [[(palette[method], x > 0) for x in (0, 1)] for method in names])
    right.set_xticks(
        range(len(names)), names, rotation=20 * (sum(map(len, names)) > 45))
    right.set_title(f'{task}, at {step:,} steps')
    same_scale([left, right])
  return finish(figure, palette)


def bars(axes, groups, looks):
  """Draws bars: means of runs, their standard deviations, the runs as dots.

  Args:
    axes: Axes.
    groups: list, for each place on the axis, of lists, for each bar, of the
      scores of its runs.
    looks: the same of (color, bool, whether it is hatched).
  """
  for place, (group, look) in enumerate(zip(groups, looks)):
    width = 0.8 / len(group)
    for index, (points, (color, light)) in enumerate(zip(group, look)):
      if len(points):
        x = place + (index - (len(group) - 1) / 2) * width
        bar(axes, x, width, points, color, light)
  axes.grid(axis='x', visible=False)


def bar(axes, x, width, points, color, light=False):
  """Draws one of `bars`, centred at x, of points, a list of float."""
  std = metrics_file.sample_std(points)
  axes.bar(
      x, np.mean(points), 0.92 * width, color=color,
      alpha=0.35 if light else 0.75, hatch='///' if light else None,
      edgecolor='white', lw=0, yerr=std if np.isfinite(std) else None,
      error_kw={'lw': 1, 'ecolor': '#222222'})
  if len(points) > 1:
    shift = np.linspace(-0.2, 0.2, len(points)) * width
    axes.plot(
        x + shift, points, 'o', color='white', markeredgecolor='#222222',
        markersize=3.5, markeredgewidth=0.8)


def same_scale(axes):
  """Gives panels that are to be compared one scale, from 0 if none is below.

  Bands and bars of spread count as well.
  """
  low = min(x.get_ylim()[0] for x in axes)
  high = max(x.get_ylim()[1] for x in axes)
  # Without data, the limits are infinite and the wrong way round.
  below = any(x.dataLim.y0 < 0 and np.isfinite(x.dataLim.y0) for x in axes)
  for ax in axes:
    ax.set_ylim(low if below else 0, high)


def _thousands(value, _):
  if abs(value) >= 1e6:
    return f'{value / 1e6:g}M'
  return f'{value / 1e3:g}K' if abs(value) >= 1000 else f'{value:g}'
