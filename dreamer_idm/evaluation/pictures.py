"""Figure and videos of an evaluation under perturbations."""

import matplotlib
import numpy as np

from ..envs import perturbations
from ..runs import files
from ..runs import metrics_file
from ..runs import plots


def label(condition):
  """Names a condition.

  Args:
    condition: dict with `kind` and `strength`.

  Returns:
    str such as `clean` or `rotation 5`.
  """
  if condition['kind'] == 'clean':
    return 'clean'
  return f'{condition["kind"]} {condition["strength"]:.4g}'


def video(agent, result, path):
  """Writes what the agent saw beside what its model reconstructs.

  Args:
    agent: upstream's Agent or a subclass.
    result: rollout.Evaluation.
    path: pathlib.Path of the GIF.

  Returns:
    bool, whether it was written: not if the agent decodes no images.
  """
  import tensorflow as tf
  decoder = agent.wm.heads['decoder']
  if not decoder.cnn_keys:
    return False
  key = decoder.cnn_keys[0]
  frames = plots.picked(len(result.feat))
  feat = tf.constant(result.feat[frames])
  made = np.concatenate([
      decoder(x)[key].mode().numpy() for x in tf.split(feat, [
          min(50, len(feat) - i) for i in range(0, len(feat), 50)])])
  made = np.clip(255 * (made + 0.5), 0, 255).astype(np.uint8)
  seen = result.episode[key][frames]
  plots.policy_video(np.concatenate([seen, made], 2), path)
  return True


def _name(condition, conditions):
  # How it is drawn and what fills the edges, where that differs.
  kind = condition['kind']
  about = [
      f'{x} {condition[x]}' for x in ('per', 'fill')
      if len({y[x] for y in conditions if y['kind'] == kind}) > 1]
  return f'{kind} ({", ".join(about)})' if about else kind


def draw(results, path):
  """Draws returns by perturbation; against strength where there are several.

  Args:
    results: dict, the contents of evaluation.json.
    path: pathlib.Path of the PNG.
  """
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  clean, *others = results['conditions']
  kinds: dict = {}
  for condition in others:
    kinds.setdefault(_name(condition, others), []).append(condition)
  curves = {k: v for k, v in kinds.items() if len(v) > 1}
  bars = {label(clean): clean} | {
      f'{k} {v[0]["strength"]:.4g}': v[0] for k, v in kinds.items()
      if len(v) == 1}
  panels = len(curves) + bool(len(bars) > 1 or not curves)
  columns = min(3, panels)
  figure, axes = plt.subplots(
      -(-panels // columns), columns, squeeze=False, layout='constrained',
      figsize=(max(5.6, 3.4 * columns), 3.3 * -(-panels // columns)))
  panel = iter(axes.flat)
  if len(bars) > 1 or not curves:
    ax = next(panel)
    returns = [x['returns'] for x in bars.values()]
    means = [np.mean(x) for x in returns]
    ax.bar(
        list(bars), means, capsize=3,
        yerr=[metrics_file.sample_std(x) for x in returns],
        color=['C7'] + ['C0'] * (len(bars) - 1), error_kw={'lw': 1})
    ax.tick_params(axis='x', labelrotation=90 if len(bars) > 3 else 0)
    ax.set_ylabel('episode return')
    plots.from_zero(ax, means)
  for ax, (name, found) in zip(panel, curves.items()):
    found = sorted(found, key=lambda x: x['strength'])
    strengths = [x['strength'] for x in found]
    middle = np.array([np.mean(x['returns']) for x in found])
    std = np.array([
        metrics_file.sample_std(x['returns']) for x in found])
    ax.axhline(
        np.mean(clean['returns']), color='C7', lw=1, ls=':', label='clean')
    ax.plot(strengths, middle, marker='o', ms=3)
    ax.fill_between(strengths, middle - std, middle + std, alpha=0.15, lw=0)
    ax.set(
        xlabel=f'{name}\n{perturbations.KINDS[found[0]["kind"]].unit}',
        ylabel='episode return')
    plots.from_zero(ax, middle)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)
  for ax in panel:
    ax.set_axis_off()
  figure.suptitle(
      f'{results["task"]}, {results["method"]}, seed {results["seed"]}, '
      f'{results["env_step"]:,} env steps; {results["episodes"]} episodes, '
      'sample standard deviation over them', fontsize=9)
  with files.replacing(path) as part:
    figure.savefig(part, dpi=130)
  plt.close(figure)
