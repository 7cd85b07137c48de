"""Pictures of one run: learning curve, reconstructions, the policy's video."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..patches import gif
from . import files
from . import metrics_file

# A video is held in memory as it is written, enlarged: 0.1 GB of 64x64 pixels.
MOST_FRAMES = 500
RETURNS = (
    'train_return', 'eval_return', 'eval_return_std', 'eval_rotated_return')


def learning_curve(runs, path, title):
  """Draws returns over env steps, clean and rotated, of training without them.

  Args:
    runs: dict of label -> pathlib.Path of a run.
    path: pathlib.Path of the PNG; replaced as a whole.
    title: str.
  """
  # Not pyplot's: in a notebook it would switch the user's backend.
  figure = Figure(figsize=(6.4, 4), layout='constrained')
  axes = figure.subplots()
  returns: list = []
  colors = matplotlib.rcParams['axes.prop_cycle'].by_key()['color']
  for color, (label, logdir) in zip(colors, runs.items()):
    rows = metrics_file.read(logdir, RETURNS)
    steps, values = metrics_file.series(rows, 'train_return')
    returns.extend(values)
    evaluated = any('eval_return' in x for x in rows)
    axes.plot(
        steps, values, color=color, lw=1, alpha=0.25 if evaluated else 1,
        label=None if evaluated else f'{label}, training')
    for key, name, style in [
        ('eval_return', 'clean', '-'), ('eval_rotated_return', 'rotated', ':')]:
      steps, values = metrics_file.series(rows, key)
      if not len(steps):
        continue
      returns.extend(values)
      axes.plot(
          steps, values, style, color=color, marker='o', ms=3,
          label=f'{label}, {name}')
      _, std = metrics_file.series(rows, key + '_std')
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
  with files.replacing(path) as part:
    figure.savefig(part, dpi=130)


def from_zero(axes, values):
  """Lets an axis begin at zero, if no drawn value is negative.

  Args:
    axes: matplotlib's Axes.
    values: float [...], what is drawn, without bands and bars of spread.
  """
  if np.size(values) and np.nanmin(values) >= 0:
    axes.set_ylim(bottom=0)


def reconstruction(video, path, size, sequences=2, every=5, scale=2):
  """Lays out an open-loop prediction as a strip of frames.

  Args:
    video: float [T, 3 * h, n * w, 3 or 1] in [0, 1], upstream's `video_pred`:
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
  with files.replacing(path) as part:
    image.save(part)


def picked(length, most=MOST_FRAMES):
  """Picks frames of a video evenly.

  Args:
    length: int, of the video.
    most: int, frames at most.

  Returns:
    int array [min(length, most)], indices.
  """
  return np.linspace(0, length - 1, min(length, most)).round().astype(int)


def shown(frames):
  """Makes frames [T, ..., C] ones that can be shown.

  Returns:
    array [at most MOST_FRAMES, ..., 3 or 1]: frames evenly picked, and of more
    than three channels the first three (of a stack of frames the oldest one,
    of RGB and depth the colours), of two the first.
  """
  frames = frames[picked(len(frames))]
  return frames[..., :3 if frames.shape[-1] >= 3 else 1]


def policy_video(frames, path, fps=25, scale=4):
  """Writes an episode as a GIF, of MOST_FRAMES frames at most.

  Args:
    frames: uint8 [T, h, w, C], see `shown`.
    path: pathlib.Path of the GIF; replaced as a whole.
    fps: float, frames per second.
    scale: int, enlargement.
  """
  frames = shown(frames).repeat(scale, 1).repeat(scale, 2)
  with files.replacing(path) as part:
    part.write_bytes(gif.encode_gif(frames, fps))
