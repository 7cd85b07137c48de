"""Returns under perturbations, from the runs' evaluation/evaluation.json."""

import collections
import math

import numpy as np

from ..runs import metrics_file
from . import figures
from . import scores

CLEAN = 'clean'
FILLED = ('rotation', 'shift', 'zoom')  # The others leave no edges to fill.


def returns(runs):
  """Collects the evaluations of one task.

  Args:
    runs: list of Run of the task.

  Returns:
    dict of kind -> dict of strength -> dict of method -> list of float, one
    mean return per run. A kind is named with how often it is drawn and how
    it fills, where the evaluations say so.
  """
  found: dict = collections.defaultdict(
      lambda: collections.defaultdict(
          lambda: collections.defaultdict(list)))
  for run in runs:
    episodes: dict = collections.defaultdict(list)
    for x in (run.evaluation or {}).get('conditions', []):
      kind = x['kind']
      about = [f'per {x["per"]}'] if x['per'] else []
      about += [f'fill {x["fill"]}'] if x['fill'] and kind in FILLED else []
      if kind != CLEAN and about:
        kind += f' ({", ".join(about)})'
      strength = 0.0 if kind == CLEAN else x['strength']
      episodes[kind, strength] += x['returns']
    for (kind, strength), values in episodes.items():
      found[kind][strength][run.method].append(float(np.mean(values)))
  return found


def checkpoints(runs):
  """Says which checkpoints were evaluated.

  Args:
    runs: list of Run of one task, each with an evaluation.

  Returns:
    dict of method -> str, such as `latest at 50,000 environment steps`.
  """
  arms = {}
  for method in scores.methods(runs):
    found = [x.evaluation for x in scores.select(runs, method=method)]
    names = sorted({x['checkpoint'] or 'unknown' for x in found})
    steps = sorted({x['env_step'] for x in found if x['env_step'] is not None})
    at = ', '.join(f'{x:,}' for x in steps) or 'an unknown number of'
    arms[method] = f'{" and ".join(names)} at {at} environment steps'
  return arms


def figure(runs, palette):
  """Draws the robustness of one task.

  Args:
    runs: list of Run of the task.
    palette: dict of method -> color.

  Returns:
    Figure, or None without evaluations: curves for kinds with several
    strengths, with the clean return as a dashed line, and bars for the others
    and for clean.
  """
  found = returns(runs)
  if not found:
    return None
  sweeps = sorted(x for x in found if len(found[x]) > 1)
  single = sorted(
      (x for x in found if len(found[x]) == 1),
      key=lambda x: (x != CLEAN, x))
  # Clean alone is no panel of its own: it is in the others as a line.
  bars = bool(single) and (single != [CLEAN] or not sweeps)
  panels = len(sweeps) + bars
  columns = min(2, panels)
  wide = bars and columns > 1 and len(single) > 5  # Its labels need a row.
  made, axes = figures.grid(
      math.ceil((panels + wide) / columns), columns, 4.6 * max(1.3, columns))
  flat = list(axes.flat)
  if wide:
    for ax in axes[0]:
      ax.remove()
    flat[:2] = [made.add_subplot(axes[0][0].get_gridspec()[0, :])]
  if bars:
    _bars(flat[0], {x: found[x] for x in single}, runs, palette)
  for ax, kind in zip(flat[bars:], sweeps):
    _sweep(ax, kind, found, runs, palette)
  for ax in flat[panels:]:
    ax.set_axis_off()
  for ax in flat[:panels]:
    ax.set_ylabel('return')
  figures.same_scale(flat[:panels])
  figures.finish(made, palette)
  return made


def _bars(axes, found, runs, palette):
  methods = scores.methods(runs)
  width = 0.8 / len(methods)
  labels = []
  for place, (kind, strengths) in enumerate(found.items()):
    (strength, values), = strengths.items()
    # Long names go on several lines.
    first, *rest = kind.rstrip(')').split(' (')
    labels.append('\n'.join(
        [first, '' if kind == CLEAN else f'{strength:g}',
         *', '.join(rest).split(', ')]))
    for index, method in enumerate(methods):
      if values.get(method):
        x = place + (index - (len(methods) - 1) / 2) * width
        figures.bar(axes, x, width, values[method], palette[method])
  for method in methods:  # For the legend.
    axes.bar(0, 0, 0, color=palette[method], alpha=0.75, label=method)
  axes.set_title('one strength')
  axes.set_xticks(range(len(labels)), labels, fontsize=7)
  axes.grid(axis='x', visible=False)


def _sweep(axes, kind, found, runs, palette):
  for method in scores.methods(runs):
    points = [
        (x, np.mean(y[method]), metrics_file.sample_std(y[method]))
        for x, y in sorted(found[kind].items()) if y.get(method)]
    if not points:
      continue
    x, mean, std = np.array(points, float).T
    axes.plot(x, mean, color=palette[method], marker='o', markersize=3)
    axes.fill_between(
        x, mean - std, mean + std, color=palette[method], alpha=0.15, lw=0)
    clean = found.get(CLEAN, {}).get(0.0, {}).get(method)
    if clean:
      axes.axhline(np.mean(clean), color=palette[method], ls='--', lw=0.8)
    axes.bar(0, 0, 0, color=palette[method], alpha=0.75, label=method)
  axes.set_title(kind)
  axes.set_xlabel('strength')
