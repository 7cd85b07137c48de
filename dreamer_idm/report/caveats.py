"""What a reader of the report has to know: missing, damaged, too little."""

from . import robustness
from . import run_settings
from . import runs as run_folders
from . import scores

# With fewer, a mean says little.
FEW_SEEDS = 5


def collect(found, runs, comparisons, studies):
  """Names everything that is missing, damaged or too little.

  Args:
    found: list of Run, all.
    runs: list of Run, those that take part.
    comparisons: list of Comparison.
    studies: list of reconstructions.Study.

  Returns:
    list of str, the most serious ones first.
  """
  warnings = _few_seeds(runs)
  warnings += [
      f'{x.name}: {x.state}' for x in found
      if x.state != 'complete' and not (x.notes and not x.rows)]
  for task, method, seeds in run_folders.missing(found):
    several = 's' if len(seeds) > 1 else ''
    warnings.append(
        f'missing: {task}, {method}, seed{several} '
        f'{", ".join(map(str, seeds))}')
  warnings += [f'{x.name}: {note}' for x in found for note in x.notes]
  warnings += run_settings.midway(runs)
  warnings += [
      f'{x}; evaluations on perturbed images ask something else of it than of '
      'a method that saw clean images alone'
      for x in run_settings.seen_in_training(runs)]
  warnings += run_settings.sentences(runs)
  same: dict = {}  # Mostly, clean and rotated have the same to say.
  for x in comparisons:
    for note in x.notes:
      if ' also differ in ' in note or (
          {note, f'{x.task}: {note}'} & {*warnings}):
        continue  # It is listed already.
      same.setdefault((x.method, x.baseline, x.task, note), []).append(
          x.condition)
  warnings += [
      f'{method} against {baseline}, {task}, {" and ".join(where)}: {note}'
      for (method, baseline, task, note), where in same.items()]
  tasks = scores.tasks(runs)
  for task in tasks:
    here = [x for x in scores.select(runs, task) if x.evaluation]
    arms = robustness.checkpoints(here)
    if len({*arms.values()}) > 1:
      warnings.append(
          f'{task}, robustness: the methods were evaluated at different '
          f'checkpoints: {"; ".join(f"{k} {v}" for k, v in arms.items())}')
  # Returns of dm_control's tasks all lie between 0 and 1000.
  if len(tasks) > 1 and not all(x.startswith('dmc_') for x in tasks):
    warnings.append(
        'not all tasks are of dm_control, so their returns may be of '
        'different scales; averages over them are of raw returns, so the '
        'task with the largest returns counts most')
  return warnings + [y for x in studies for y in x.notes]


def _few_seeds(runs):
  """Names the cells with FEW_SEEDS or less, in a list of one str or none."""
  cells = {
      (t, m): len(scores.select(runs, t, m))
      for t in scores.tasks(runs) for m in scores.methods(runs)}
  few = {k: n for k, n in cells.items() if 0 < n < FEW_SEEDS}
  if not few:
    return []
  where = 'every task and method' if len(few) == sum(
      map(bool, cells.values())) else '; '.join(
          f'{t}, {m} ({n})' for (t, m), n in few.items())
  return [
      f'fewer than {FEW_SEEDS} seeds ({scores.span(few.values())}): '
      f'{where}. Returns of single runs differ by chance as much as methods '
      'do; the smallest difference that a comparison could have shown is given '
      'beside it.']
