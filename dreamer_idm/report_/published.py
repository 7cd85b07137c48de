"""Published scores, for a look beside our own; weak evidence."""

import functools
import pathlib

from patches import ruamel_yaml

FILE = pathlib.Path(__file__).parent / 'published.yaml'
NOTE = (
    'Published numbers are weak evidence here: they were got with other '
    'settings (64x64 images, 10 evaluation episodes, other code), and the '
    'tables contradict each other in places. They stand beside ours and are '
    'part of no comparison.')
PAPER_STEPS = (100_000, 500_000)  # The columns of the paper's tables.


@functools.cache
def load():
  """Reads the published scores.

  Returns:
    tuple of dicts with `method`, `task` (without a domain's prefix), `steps`
    (environment steps), `condition` (`clean` or `rotated`), `mean` and `std`
    over seeds, `seeds` (int or None), `source` and `table` (int or None).
  """
  return tuple(ruamel_yaml.safe_load(FILE.read_text('utf-8')))


def scores(task, condition, step):
  """Finds the published scores of one row of the paper's tables.

  Args:
    task: str as in a run's config, such as `dmc_walker_walk`.
    condition: `clean` or `rotated`.
    step: int, environment steps.

  Returns:
    dict of (source, method) -> entry; entries within 6% of the step count,
    because some sources have 105,000 steps where others have 100,000.
  """
  return {
      (x['source'], x['method']): x for x in load()
      if x['task'] == task.removeprefix('dmc_')
      and x['condition'] == condition and abs(x['steps'] - step) < 0.06 * step}
