"""Published scores, for a look beside our own; weak evidence."""

import functools
import pathlib

from ..config import sources
from . import run_settings

# Entries have `method`, `task` (without a domain's prefix), `steps` of the
# environment, `condition`, `mean` and `std` over seeds (std may be None),
# `seeds` and `table` (int or None), `source`, `about` (how it differs from the
# papers' tables) and `input` (`pixels`, the default, or `vectors`).
FILE = pathlib.Path(__file__).parent / 'published.yaml'
# Dreamer's own, as the preset `dmc` has them.
USUAL = {'render_size': (64, 64), 'eval_eps': 10, 'action_repeat': 2}
PAPER_STEPS = (100_000, 500_000)  # The columns of the paper's tables.


@functools.cache
def load():
  """The entries of FILE, a tuple of dicts; `source` includes `about`."""
  found = sources.parse(FILE)
  for x in found:
    about = x.pop('about', '')
    x['source'] += f' ({about})' if about else ''
    x.setdefault('input', 'pixels')
  return tuple(found)


def scores(task, condition, step):
  """Finds the published scores of one row of the paper's tables.

  Args:
    task: str.
    condition: str, `clean` or `rotated`.
    step: int, environment steps.

  Returns:
    dict of (source, method) -> entry of `load`; those within 6% of the step
    count, because some sources have 105,000 steps where others have 100,000.
    Of several of one source and method, the nearest.
  """
  near = [
      x for x in load() if x['task'] == task.removeprefix('dmc_')
      and x['condition'] == condition and abs(x['steps'] - step) < 0.06 * step]
  near.sort(key=lambda x: -abs(x['steps'] - step))
  return {(x['source'], x['method']): x for x in near}


def note(runs):
  """Says what published numbers are worth beside runs, a list of Run."""
  others = []
  for key, usual in USUAL.items():
    # Without images, their size is of no effect.
    values = {
        str(x.config[key]) for x in runs if key in x.config
        and not run_settings.same_value(x.config[key], usual)
        and (key != 'render_size' or run_settings.sees_images(x))}
    if values:
      others.append(f'{key} {" or ".join(sorted(values))} instead of {usual}')
  settings = (
      f" Here, settings differ from Dreamer's usual ones: {', '.join(others)}."
      if others else '')
  return (
      'Published numbers are weak evidence here: they were got with other '
      'code, and the tables contradict each other in places.'
      f'{settings} They are shown beside ours and used in no comparison.')


def blind(runs):
  """Says which runs see no images: a list of one str, or of none."""
  others = [x for x in runs if not run_settings.sees_images(x)]
  if not others:
    return []
  if len(others) == len(runs):
    return [
        'No run here sees images: the published scores are from pixels, but '
        'for those that say vectors; ours are from vectors.']
  names = sorted({f'{x.task}, {x.method}' for x in others})
  return [
      'The published scores are from pixels, but for those that say vectors; '
      f'these runs see no images: {"; ".join(names)}.']
