"""Figures and videos of what `evaluate` and `reconstruct` find."""

import numpy as np
from matplotlib.figure import Figure

from ..envs import perturbations
from ..runs import files
from ..runs import metrics_file
from ..runs import plots


def label(condition):
  """Names a condition of evaluation.json: `clean`, `rotation 5`."""
  if condition['kind'] == 'clean':
    return 'clean'
  return f'{condition["kind"]} {condition["strength"]:.4g}'


def video(agent, result, path):
  """Writes what the agent saw beside what its model reconstructs, as a GIF.

  Args:
    agent: upstream's Agent or a subclass.
    result: rollout.Evaluation.
    path: pathlib.Path of the GIF.

  Returns:
    bool, False if the agent decodes no images, so that nothing was written.
  """
  decoder = agent.wm.heads['decoder']
  if not decoder.cnn_keys:
    return False
  key = decoder.cnn_keys[0]
  frames = plots.picked(len(result.feat))
  feat = result.feat[frames]
  made = pixels(np.concatenate([
      decoder(feat[i:i + 50])[key].mode() for i in range(0, len(feat), 50)]))
  seen = result.episode[key][frames]
  plots.policy_video(np.concatenate([seen, made], 2), path)
  return True


def pixels(decoded):
  """Makes uint8 of decoded images, an array [...] from -0.5 to 0.5."""
  return np.clip(255 * (decoded + 0.5), 0, 255).astype(np.uint8)


def draw(results, path):
  """Draws returns by perturbation; against strength where there are several.

  Args:
    results: dict, that of evaluation.json.
    path: pathlib.Path of the PNG.
  """
  clean, *others = results['conditions']
  kinds: dict = {}
  for condition in others:
    kinds.setdefault(_name(condition, others), []).append(condition)
  curves = {k: v for k, v in kinds.items() if len(v) > 1}
  bars = {label(clean): clean} | {
      f'{k} {v[0]["strength"]:.4g}': v[0] for k, v in kinds.items()
      if len(v) == 1}
  if curves and len(bars) == 1:
    bars = {}  # Clean alone is a line in the other panels.
  panels = len(curves) + bool(bars)
  columns = min(3, panels)
  rows = -(-panels // columns)
  figure = Figure(
      (max(5.6, 3.4 * columns), 3.3 * rows), layout='constrained')
  flat = figure.subplots(rows, columns, squeeze=False).flat
  panel = iter(flat)
  if bars:
    ax, (means, stds) = next(panel), _statistics(bars.values())
    ax.bar(
        list(bars), means, capsize=3, yerr=stds, error_kw={'lw': 1},
        color=['C7'] + ['C0'] * (len(bars) - 1))
    ax.tick_params(axis='x', labelrotation=90 if len(bars) > 3 else 0)
    plots.from_zero(ax, means)
  for ax, (name, found) in zip(panel, curves.items()):
    found = sorted(found, key=lambda x: x['strength'])
    strengths = [x['strength'] for x in found]
    means, stds = _statistics(found)
    ax.axhline(
        np.mean(clean['returns']), color='C7', lw=1, ls=':', label='clean')
    ax.plot(strengths, means, marker='o', ms=3)
    ax.fill_between(strengths, means - stds, means + stds, alpha=0.15, lw=0)
    ax.set_xlabel(f'{name}\n{perturbations.KINDS[found[0]["kind"]].unit}')
    plots.from_zero(ax, means)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)
  for ax in flat[:panels]:
    ax.set_ylabel('episode return')
  for ax in panel:
    ax.set_axis_off()
  seen = results.get('seen_in_training')
  figure.suptitle(
      f'{results["task"]}, {results["method"]}, seed {results["seed"]}, '
      f'{results["env_step"]:,} env steps; {results["episodes"]} episodes, '
      'sample standard deviation over them'
      + f'\ntrained on perturbed images: {seen}' * bool(seen), fontsize=9)
  _save(figure, path)


def _name(condition, conditions):
  """A kind, with how it is drawn and what fills the edges if that differs."""
  kind = condition['kind']
  about = [
      f'{x} {condition[x]}' for x in ('per', 'fill')
      if len({y[x] for y in conditions if y['kind'] == kind}) > 1]
  return f'{kind} ({", ".join(about)})' if about else kind


def _statistics(conditions):
  """Means and standard deviations of the returns, float [conditions] each."""
  returns = [x['returns'] for x in conditions]
  return (np.array([np.mean(x) for x in returns]),
          np.array([metrics_file.sample_std(x) for x in returns]))


def draw_figure1(rows, title, path):
  """Draws the paper's Figure 1: frames, and decodings with and without noise.

  Args:
    rows: dict of label -> uint8 [frames, height, width, channels].
    title: str.
    path: pathlib.Path of the PNG.
  """
  columns = len(next(iter(rows.values())))
  figure = Figure(
      (1.1 * columns + 0.8, 1.1 * len(rows) + 0.4), layout='constrained')
  axes = figure.subplots(len(rows), columns)
  for row, (name, images) in zip(axes, rows.items()):
    row[0].set_ylabel(name, rotation=0, ha='right', va='center', fontsize=8)
    for ax, image in zip(row, plots.shown(images)):
      ax.imshow(image if image.shape[-1] > 1 else image[..., 0], cmap='gray')
      ax.set(xticks=[], yticks=[])
  figure.suptitle(title, fontsize=9)
  _save(figure, path)


def draw_drift(results, path):
  """Draws the drift of decoders over sigma.

  Args:
    results: dict, that of drift.json.
    path: pathlib.Path of the PNG.
  """
  figure = Figure((8, 3.4), layout='constrained')
  axes = figure.subplots(1, 2)
  for ax, key, text in zip(axes, ('kl', 'pixel_error'), (
      'KL from the clean decoding, nats',
      'root mean square change per output')):
    for drift in results['runs']:
      ax.plot(
          results['sigma'], drift[key], marker='o', ms=3,
          label=f'{drift["label"]}, {drift["env_step"]:,} env steps')
    ax.set(xlabel='sigma of the noise on h and s', ylabel=text)
    plots.from_zero(ax, 0)
    ax.grid(alpha=0.3)
  axes[0].legend(frameon=False, fontsize=8)
  figure.suptitle(f'{results["task"]}: drift of the decoder', fontsize=9)
  _save(figure, path)


def _save(figure, path):
  with files.replacing(path) as part:
    figure.savefig(part, dpi=130)
