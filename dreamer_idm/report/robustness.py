"""Returns under perturbations, from the runs' evaluation/evaluation.json."""

import numpy as np
import pandas as pd

from ..config import methods
from ..runs import metrics_file
from . import drawing
from . import scores

CLEAN = 'clean'
# The others leave no edges to fill.
FILLED = ('rotation', 'shift', 'zoom', 'background')
COLUMNS = [
    'task', 'method', 'seed', 'env_step', 'checkpoint', 'kind', 'strength',
    'per', 'fill', 'episodes', 'return', 'std_over_episodes',
    'seen_in_training']


def table(runs):
  """Lists the evaluations under perturbations: a DataFrame with COLUMNS."""
  return pd.DataFrame([
      (run.task, run.method, run.seed, run.evaluation['env_step'],
       run.evaluation['checkpoint'], x['kind'], x['strength'], x['per'],
       x['fill'], len(x['returns']), np.mean(x['returns']),
       metrics_file.sample_std(x['returns']),
       methods.seen_in_training(run.config))
      for run in runs if run.evaluation
      for x in run.evaluation['conditions']], columns=COLUMNS)


def checkpoints(runs):
  """Says which checkpoints of a task's runs, all evaluated, the figures show.

  Returns a dict of method -> `latest at 50,000 environment steps`.
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
  """Draws the robustness of a task's runs.

  Curves for kinds with several strengths, with the clean return as a dashed
  line, and bars for the others and for clean.

  Args:
    runs: list of Run, those of the task.
    palette: dict of method -> color.

  Returns:
    matplotlib's Figure, or None if no run was evaluated.
  """
  found = table(runs)
  if found.empty:
    return None
  found['name'] = [*map(_name, found.itertuples())]
  strengths = found.groupby('name')['strength'].nunique()
  sweeps = [*strengths[strengths > 1].index]
  # Clean alone is no panel of its own: it is in the others as a line.
  single = sorted({*found.name} - {*sweeps}, key=lambda x: (x != CLEAN, x))
  bars = bool(single) and (single != [CLEAN] or not sweeps)
  count = len(sweeps) + bars
  wide = bars and count > 1 and len(single) > 5  # Its labels need a row.
  made, axes, _ = drawing.panels(count + wide, 2)
  if wide:
    whole = made.add_subplot(axes[0].get_gridspec()[0, :])
    for ax in axes[:2]:
      ax.remove()
    axes = [whole, *axes[2:]]
  if bars:
    _bars(axes[0], single, found, palette)
  for ax, name in zip(axes[bars:], sweeps):
    _sweep(ax, name, found, palette)
  for ax in axes:
    ax.set_ylabel('return')
  drawing.same_scale(axes)
  return drawing.finish(made, palette)


def _name(row):
  """Names a kind with how often it is drawn and how it fills, if known."""
  about = [f'per {row.per}'] if row.per else []
  if row.fill and row.kind in FILLED:
    about.append(f'fill {row.fill.rpartition("/")[2]}')
  return f'{row.kind} ({", ".join(about)})' if (
      about and row.kind != CLEAN) else row.kind


def _bars(axes, names, found, palette):
  """Draws kinds of one strength, a bar for each method."""
  methods = [x for x in palette if x in {*found.method}]
  labels, groups = [], []
  for name in names:
    here = found[found.name == name]
    # Long names take several lines.
    first, *rest = name.rstrip(')').split(' (')
    strength = '' if name == CLEAN else f'{here.strength.iloc[0]:g}'
    labels.append('\n'.join([first, strength, *', '.join(rest).split(', ')]))
    groups.append([here.loc[here.method == x, 'return'] for x in methods])
  drawing.bars(
      axes, groups, [[(palette[x], False) for x in methods]] * len(groups))
  for method in methods:
    _legend(axes, method, palette)
  axes.set_title('one strength')
  many = len(labels) > 8  # They would lie upon each other.
  axes.set_xticks(
      range(len(labels)),
      [x.replace('\n', ' ') for x in labels] if many else labels, fontsize=7,
      rotation=90 if many else 0)


def _sweep(axes, name, found, palette):
  """Draws one kind against its strength: mean and spread over seeds."""
  for method, here in found.groupby('method'):
    color = palette[method]
    values = here[here.name == name].groupby('strength')['return']
    mean, std = values.mean(), values.std()
    if mean.empty:
      continue
    axes.plot(mean, color=color, marker='o', markersize=3)
    axes.fill_between(
        mean.index, mean - std, mean + std, color=color, alpha=0.15, lw=0)
    clean = here.loc[here.kind == CLEAN, 'return']
    if len(clean):
      axes.axhline(clean.mean(), color=color, ls='--', lw=0.8)
    _legend(axes, method, palette)
  axes.set_title(name)
  axes.set_xlabel('strength')


def _legend(axes, method, palette):
  """Gives a method its entry in the legend."""
  axes.bar(0, 0, 0, color=palette[method], alpha=0.75, label=method)
