"""IDM's Figure 4: DrQ under rotations that a stack of frames shares, or not.

  dreamer-idm train --configs cpu drq --task dmc_cartpole_balance
  python bench/drq_rotations.py --logdir logdir/dmc_cartpole_balance/drq/0

Evaluates a run of DrQ that was trained on clean images:

  clean   no rotation
  stack   at each step the policy sees its clean frames rotated all by one
          angle, drawn afresh for that step
  frame   each frame is rotated once, when it is rendered, by an angle of its
          own; a stack has frames of different angles

Angles are from U(-d, d) degrees. Initial states are the same in all conditions.
Writes rotations.csv, a row an episode, and figure4.png.
"""

import argparse
import csv
import pathlib
import sys

import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from dreamer_idm.config import load as config_lib  # noqa: E402
from dreamer_idm.envs import distortions  # noqa: E402
from dreamer_idm.envs import environments  # noqa: E402
from dreamer_idm.envs import perturbations  # noqa: E402
from dreamer_idm.envs import rendering  # noqa: E402

FIELDS = ('condition', 'degrees', 'episode', 'return', 'env_step', 'checkpoint')
LABELS = {
    'clean': 'clean', 'stack': 'one angle for a stack',
    'frame': 'one angle for each frame'}


class StackRotation:
  """The agent's stack of frames, seen rotated; it stays as it is."""

  def __init__(self, stack, degrees, seed):
    """Draws nothing yet.

    Args:
      stack: FrameStack of an agent.
      degrees: float, the largest angle.
      seed: int.
    """
    self._stack, self._degrees = stack, degrees
    self._random = np.random.default_rng(seed)

  def __getattr__(self, name):
    return getattr(self._stack, name)

  def get_feat(self, state):
    """The stacks, uint8 [n, H, W, k * C], each rotated by an angle."""
    import tensorflow as tf
    clean = self._stack.get_feat(state)
    turned = tf.numpy_function(self._turned, [clean], tf.uint8)
    return tf.ensure_shape(turned, clean.shape)

  def _turned(self, stacks):
    return np.stack([
        distortions.rotate(
            x, self._random.uniform(-self._degrees, self._degrees))
        for x in stacks])


def returns(args, condition, degrees):
  """Evaluates in one condition.

  Args:
    args: namespace of the command line.
    condition: str, a key of LABELS.
    degrees: float.

  Returns:
    float64 [episodes]; int, the environment step of the agent; and str, its
    checkpoint.
  """
  from dreamer_idm.evaluation import load
  from dreamer_idm.evaluation import rollout
  config = config_lib.saved(args.logdir)
  load.set_up(config, args.threads, args.seed)
  trained = load.load_trained(args.logdir, args.checkpoint)
  if condition == 'stack':
    model = trained.agent.wm
    model.rssm = StackRotation(model.rssm, degrees, args.seed)
  env, = environments.make_envs(
      config, 'eval', 1, args.seed + 5000, perturbations.check(
          'rotation', degrees, 'frame') if condition == 'frame' else None)
  try:
    found = rollout.evaluate(trained.agent, env, args.episodes).returns
  finally:
    env.close()
  return found, trained.env_step, trained.checkpoint


def draw(rows, title, path):
  """Draws returns over angles, clean at 0: episodes, and their means.

  Args:
    rows: list of dicts, of rotations.csv.
    title: str.
    path: pathlib.Path of the PNG.
  """
  figure = Figure(figsize=(6.4, 4), layout='constrained')
  axes = figure.subplots()
  found: dict = {}
  for row in rows:
    found.setdefault(row['condition'], {}).setdefault(
        float(row['degrees']), []).append(float(row['return']))
  for name, color, shift in (('stack', 'C0', -0.1), ('frame', 'C3', 0.1)):
    line = {**found['clean'], **found[name]}  # From 0 degrees on.
    for degrees, values in line.items():
      axes.plot(
          [degrees + shift] * len(values), values, '.', color=color, alpha=0.4,
          ms=4)
    axes.plot(
        [*line], [np.mean(x) for x in line.values()], 'o-', color=color,
        label=LABELS[name])
  axes.set(
      xlabel='largest angle, degrees', ylabel='episode return', title=title)
  axes.set_ylim(0, 1.05 * max(float(x['return']) for x in rows))
  axes.grid(alpha=0.3)
  axes.legend(frameon=False, loc='lower left')
  figure.savefig(path, dpi=130)


def main():
  """Evaluates, writes the files and prints the means."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--logdir', type=pathlib.Path, required=True)
  parser.add_argument('--checkpoint', default='latest')
  parser.add_argument('--degrees', type=float, nargs='+', default=[5, 10, 20])
  parser.add_argument('--episodes', type=int, default=10)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--threads', type=int, default=0)
  parser.add_argument('--out', type=pathlib.Path)
  args = parser.parse_args()
  config = config_lib.saved(args.logdir)
  if config.agent != 'drq':
    parser.error(f'{args.logdir} is a run of {config.agent}, not of drq')
  out = args.out or args.logdir / 'rotations'
  out.mkdir(parents=True, exist_ok=True)
  rendering.choose_backend(environments.renders(config))
  rows: list = []
  for condition, degrees in [('clean', 0.0), *(
      (x, y) for y in args.degrees for x in ('stack', 'frame'))]:
    found, *which = returns(args, condition, degrees)
    rows += [
        dict(zip(FIELDS, (condition, degrees, i, round(x, 2), *which)))
        for i, x in enumerate(found.tolist())]
    print(
        f'{LABELS[condition]}, {degrees:g} degrees: {found.mean():.1f} ± '
        f'{found.std(ddof=1) if len(found) > 1 else 0:.1f}', flush=True)
  with (out / 'rotations.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
  draw(
      rows, f'DrQ on {config.task} at {rows[0]["env_step"]:,} env steps, '
      f'{args.episodes} episodes', out / 'figure4.png')


if __name__ == '__main__':
  main()
