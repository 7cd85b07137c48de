"""What all figures of the report use: look, panels, curves, bars, legend.

`palette` is a dict of method -> color, in the order of the legend; figures are
matplotlib's Figure.
"""

import io
import itertools
import math

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure

from ..runs import metrics_file
from . import scores

# Okabe and Ito's colors, which color-blind people tell apart.
COLORS = (
    '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9',
    '#8c564b', '#7f7f7f')
# Behind them, for more methods than these.
DARK = (
    '#003959', '#6a2f00', '#004f3a', '#663c54', '#735000', '#2b5a74',
    '#462b26', '#202020')
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
  others = iter(itertools.cycle(COLORS + DARK))
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
    palette: see the module.

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
