"""What a run measured: reading its metrics.jsonl, and the spread of returns."""

import json

import numpy as np


def read(logdir, keys=(), name='metrics.jsonl'):
  """Reads a run's metrics.

  Args:
    logdir: pathlib.Path of the run.
    keys: collection of str, all that is wanted of the rows, which are large
      in a long run; none: everything.
    name: str, the file's.

  Returns:
    list of dicts, one per line of the file that is whole and has a
    number as its `step`, finite and not negative, and any of the keys.
  """
  return scan(logdir, keys, name)[0]


def scan(logdir, keys=(), name='metrics.jsonl'):
  """Reads a run's metrics, and counts the lines that are damaged.

  Args:
    logdir: pathlib.Path of the run.
    keys: see `read`.
    name: str, the file's.

  Returns:
    list of dicts, see `read`; int, how many lines are damaged: not a last one
    without its end, which is being written or whose writer was killed; and int,
    all lines.
  """
  rows: list = []
  damaged = lines = 0
  path = logdir / name
  if not path.exists():
    return rows, damaged, lines
  with path.open(encoding='utf-8', errors='replace') as file:
    for line in file:
      if not line.strip():
        continue
      lines += 1
      try:
        row = json.loads(line)
      except (ValueError, RecursionError):
        row = None
      step = row.get('step') if isinstance(row, dict) else None
      if not isinstance(step, (int, float)) or not 0 <= step < 2 ** 63:
        damaged += line.endswith('\n')
        continue
      if keys:
        row = {k: row[k] for k in ('step', *keys) if k in row}
      if len(row) > 1 or not keys:
        rows.append(row)
  return rows, damaged, lines


def series(rows, key):
  """Picks a metric out of a run's rows.

  Args:
    rows: list of dicts of `read`.
    key: str, the metric.

  Returns:
    float arrays [n], env steps and values; of two rows at the same step, the
    later one counts.

  Example:
    >>> rows = [{'step': 500, 'fps': 9.0}, {'step': 1000, 'eval_return': 41.5}]
    >>> series(rows, 'eval_return')
    (array([1000.]), array([41.5]))
  """
  found = {r['step']: r[key] for r in rows if key in r}
  steps = sorted(found)
  return np.array(steps, float), np.array([found[s] for s in steps], float)


def sample_std(values):
  """Computes the sample standard deviation, NaN of fewer than two values."""
  return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')
