"""Pictures of one run: learning curve, reconstructions, the policy's video."""

import json
import os
import tempfile

import matplotlib
import numpy as np
from PIL import Image

from patches import gif

from .errors import UsageError

RETURNS = (
    'train_return', 'eval_return', 'eval_return_std', 'eval_rotated_return')


def read_metrics(logdir, keys=()):
  """Reads a run's metrics.

  Args:
    logdir: pathlib.Path of the run.
    keys: collection of str, all that is wanted of the rows, which are large
      in a long run; none: everything.

  Returns:
    list of dicts, one per line of metrics.jsonl that is whole and has a
    number as its `step`, finite and not negative, and any of the keys.
  """
  rows: list = []
  path = logdir / 'metrics.jsonl'
  if not path.exists():
    return rows
  with path.open(encoding='utf-8', errors='replace') as file:
    for line in file:
      try:
        row = json.loads(line)
      except (ValueError, RecursionError):
        continue  # The last line of a killed run may be cut off.
      step = row.get('step') if isinstance(row, dict) else None
      if not isinstance(step, (int, float)) or not 0 <= step < 2 ** 63:
        continue
      if keys:
        row = {k: row[k] for k in ('step', *keys) if k in row}
      if len(row) > 1 or not keys:
        rows.append(row)
  return rows


def series(rows, key):
  """Picks one metric out of a run's rows.

  Args:
    rows: list of dicts from `read_metrics`.
    key: str, the metric's name.

  Returns:
    float arrays [n], env steps and values; of two rows at the same step, the
    later one counts.
  """
  found = {r['step']: r[key] for r in rows if key in r}
  steps = sorted(found)
  return np.array(steps, float), np.array([found[s] for s in steps], float)


def learning_curve(runs, path, title):
  """Draws returns over env steps, clean and rotated.

  Args:
    runs: dict of label -> pathlib.Path of a run.
    path: pathlib.Path of the PNG; replaced as a whole.
    title: str.
  """
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  figure, axes = plt.subplots(figsize=(6.4, 4), layout='constrained')
  returns: list = []
  colors = plt.rcParams['axes.prop_cycle'].by_key()['color']
  for color, (label, logdir) in zip(colors, runs.items()):
    rows = read_metrics(logdir, RETURNS)
    steps, values = series(rows, 'train_return')
    returns.extend(values)
    axes.plot(steps, values, color=color, alpha=0.25, lw=1)
    for key, name, style in [
        ('eval_return', 'clean', '-'), ('eval_rotated_return', 'rotated', ':')]:
      steps, values = series(rows, key)
      if not len(steps):
        continue
      returns.extend(values)
      axes.plot(
          steps, values, style, color=color, marker='o', ms=3,
          label=f'{label}, {name}')
      _, std = series(rows, key + '_std')
      if key == 'eval_return' and len(std) == len(values):
        axes.fill_between(
            steps, values - std, values + std, color=color, alpha=0.12, lw=0)
  axes.set(xlabel='env steps', ylabel='episode return', title=title)
  from_zero(axes, returns)
  axes.grid(alpha=0.3)
  if axes.get_legend_handles_labels()[0]:
    axes.legend(frameon=False)
  figure.text(
      0.99, 0.005, 'faint: training episodes; band: std over eval episodes',
      ha='right', va='bottom', fontsize=6, color='gray')
  save(path, lambda f: figure.savefig(f, format='png', dpi=130))
  plt.close(figure)


def from_zero(axes, values):
  """Lets an axis begin at zero, if none of the values is negative.

  Args:
    axes: matplotlib Axes; bands and bars of spread in it do not count.
    values: array of float, what is drawn.
  """
  if np.size(values) and np.nanmin(values) >= 0:
    axes.set_ylim(bottom=0)


def reconstruction(video, path, size, sequences=2, every=5, scale=2):
  """Lays out an open-loop prediction as a strip of frames.

  Args:
    video: float [T, 3 * h, n * w, C] in [0, 1], upstream's `video_pred`:
      truth above model above error, n sequences side by side. Its first five
      frames are reconstructed, the others predicted from actions alone.
    path: pathlib.Path of the PNG; replaced as a whole.
    size: (h, w) of one frame.
    sequences: int, how many sequences are shown.
    every: int, time steps between two columns.
    scale: int, enlargement.
  """
  height, width = 3 * size[0], size[1]
  strips = []
  for index in range(min(sequences, video.shape[2] // width)):
    frames = video[::every, :height, index * width:(index + 1) * width]
    strips.append(np.concatenate(list(frames), 1))
  image = np.clip(255 * np.concatenate(strips, 0), 0, 255).astype(np.uint8)
  image = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  image = image.resize(
      (image.width * scale, image.height * scale), Image.Resampling.NEAREST)
  save(path, lambda f: image.save(f, format='PNG'))


def policy_video(frames, path, fps=25, scale=4):
  """Writes an episode as a GIF.

  Args:
    frames: uint8 [T, h, w, C].
    path: pathlib.Path of the GIF; replaced as a whole.
    fps: float, frames per second.
    scale: int, enlargement.
  """
  frames = frames.repeat(scale, 1).repeat(scale, 2)
  save(path, lambda f: f.write(gif.encode_gif(frames, fps)))


def folder(path):
  """Makes a folder for results.

  Args:
    path: pathlib.Path.

  Raises:
    UsageError: if nothing can be written there.
  """
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise UsageError(
        f'cannot write to {path}: {error.strerror}; choose another folder with '
        '--out') from error


def save(path, write):
  """Writes a file as a whole: a reader never finds half of it.

  Args:
    path: pathlib.Path; what is there stays if the disk is full.
    write: function of an open binary file.
  """
  part = path.with_name(path.name + '.part')
  try:
    with part.open('wb') as f:
      write(f)
    os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)
