"""Draws docs/perturbations.jpg: every perturbation of images at every strength.

  python docs/contact_sheet.py
"""

import pathlib
import sys

import numpy as np
from matplotlib.figure import Figure

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'perturbations.jpg'
sys.path.insert(0, str(ROOT))

from dreamer_idm.config import load as config_lib  # noqa: E402
from dreamer_idm.envs import environments  # noqa: E402
from dreamer_idm.envs import perturbations  # noqa: E402

DRAWS = 3
GAP = 6  # Pixels between the strengths.
SCALE = 1.4  # Dots of the sheet for each pixel of a frame.


def frames(config, perturb):
  """The first frames of some episodes, side by side: uint8 [H, W, C]."""
  env, = environments.make_envs(config, 'eval', 1, 3, perturb)
  found = [env.reset()['image'] for _ in range(DRAWS)]
  env.close()
  return np.concatenate(found, 1)


def main():
  """Draws the sheet."""
  config = config_lib.load([
      '--configs', 'dmc', '--task', 'dmc_walker_walk'])
  clean = frames(config, None)
  rows = {'clean': [clean] * len(perturbations.LEVELS)}
  for kind, rule in perturbations.KINDS.items():
    if rule.of != 'vector':
      strengths = [
          perturbations.check(kind, x)['strength']
          for x in perturbations.LEVELS]
      name = f'{kind}\n{", ".join(f"{x:g}" for x in strengths)}'
      rows[name] = [
          frames(config, {'kind': kind, 'strength': x}) for x in strengths]
  size, width = clean.shape[0], clean.shape[1] + GAP
  sheet = np.concatenate([
      np.concatenate([np.pad(
          x, ((0, 2), (0, GAP), (0, 0)), constant_values=255) for x in row], 1)
      for row in rows.values()])
  figure = Figure(
      (sheet.shape[1] * SCALE / 100 + 1.2, sheet.shape[0] * SCALE / 100 + 0.3),
      dpi=100, layout='constrained')
  ax = figure.subplots()
  ax.imshow(sheet, aspect='auto')
  ax.set_yticks(
      [(size + 2) * (i + 0.5) for i in range(len(rows))], list(rows),
      fontsize=7)
  ax.set_xticks(
      [width * (i + 0.5) for i in range(len(perturbations.LEVELS))],
      list(perturbations.LEVELS))
  ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
  ax.spines[:].set_visible(False)
  ax.tick_params(length=0)
  figure.savefig(PAGE, pil_kwargs={'quality': 80})


if __name__ == '__main__':
  main()
