"""The table of a comparison's trials, live on a terminal or now and then."""

import heapq
import shutil
import sys
import time

from ..display import duration

HEAD = ('task', 'method', 'seed', 'state', 'env steps', 'return', 'ETA')
STATES = (
    'complete', 'running', 'waiting', 'failed', 'in use', 'stopped')
# Who is shown first where there is no room for all.
FIRST = ('running', 'failed', 'in use', 'stopped', 'waiting', 'complete')


def forecast(trials, now, slots):
  """Estimates when each trial will be complete.

  Args:
    trials: list of Trials in the order in which they begin.
    now: float, seconds.
    slots: int, how many run at a time.

  Returns:
    dict of trial's index -> float, seconds from now, for running and waiting
    ones. Others, and those of which nothing is known yet, are missing.
  """
  paces: dict = {}
  for trial in trials:
    if trial.pace:
      paces.setdefault((trial.task, trial.method), []).append(trial.pace)
      paces.setdefault(trial.method, []).append(trial.pace)
  work = {}
  for index, trial in enumerate(trials):
    known = paces.get((trial.task, trial.method)) or paces.get(trial.method)
    pace = sum(known) / len(known) if known else None
    work[index] = trial.remaining(now, pace)
  running = [i for i, x in enumerate(trials) if x.state == 'running']
  eta = {i: work[i] for i in running if work[i] is not None}
  if len(eta) < len(running):
    return eta  # Nobody knows when that one makes room.
  free = [*eta.values(), *[0.0] * (slots - len(running))]
  heapq.heapify(free)
  for index, trial in enumerate(trials):
    if trial.state == 'waiting':
      if work[index] is None:
        break
      eta[index] = heapq.heappop(free) + work[index]
      heapq.heappush(free, eta[index])
  return eta


def rows(trials, now, slots):
  """Lays out the table.

  Args:
    trials: list of Trials.
    now: float, seconds.
    slots: int, how many run at a time.

  Returns:
    list of str: the head and a line per trial; and a str that sums them up.
  """
  eta = forecast(trials, now, slots)
  cells = [HEAD]
  for index, x in enumerate(trials):
    over = x.state not in ('running', 'waiting')
    left = '' if over else duration(eta[index]) if index in eta else 'n/a'
    cells.append((
        x.task, x.method, str(x.seed), x.state, f'{x.steps:,}/{x.target:,}',
        '-' if x.score is None else f'{x.score:.0f}', left))
  widths = [max(map(len, column)) for column in zip(*cells)]
  lines = ['  '.join(
      value.rjust(width) if column in (2, 4, 5, 6) else value.ljust(width)
      for column, (value, width) in enumerate(zip(line, widths))).rstrip()
      for line in cells]
  counts = [sum(x.state == state for x in trials) for state in STATES]
  total = ', '.join(f'{n} {s}' for n, s in zip(counts, STATES) if n)
  todo = sum(x.state in ('running', 'waiting') for x in trials)
  if todo:
    known = len(eta) == todo
    total += f'; ETA {duration(max(eta.values())) if known else "n/a"}'
  return lines, total


class Table:
  """Shows trials: redrawn in place on a terminal, else at intervals.

  Once nothing can be written any more, because the disk is full or whoever
  read it is gone (`| tee`, which Ctrl-C ends as well), it falls silent.
  """

  def __init__(self, trials, slots, interval=60, stream=None):
    """Shows nothing yet.

    Args:
      trials: list of Trials.
      slots: int, how many run at a time.
      interval: float, seconds between two tables where there is no terminal.
      stream: text stream; None for standard output.
    """
    self._trials, self._slots = trials, slots
    self._stream = stream or sys.stdout
    self._live = self._stream is not None and self._stream.isatty()
    self._interval = 1 if self._live else interval
    self._shown = float('-inf') if self._live else time.time()
    self._drawn = 0

  def note(self, text):
    """Prints a line that stays.

    Args:
      text: str, one line.
    """
    self._write([f'{time.strftime("%H:%M:%S")} {text}'])
    if self._live:
      self._shown = float('-inf')  # The table had to make room.

  def show(self, now):
    """Shows the table if it is time.

    Args:
      now: float, seconds.
    """
    if now - self._shown < self._interval:
      return
    self._shown = now
    lines, total = rows(self._trials, now, self._slots)
    if not self._live:
      # Of a log's many tables, each tells what moves.
      states = ['head', *(x.state for x in self._trials)]
      lines = [
          x for x, s in zip(lines, states) if s in ('head', 'running')]
      self._write([*(lines if len(lines) > 1 else []), total])
      return
    width, height = shutil.get_terminal_size()
    lines = [*self._fitting(lines, height - 3), total]
    self._write([])
    self._write([x[:width - 1] for x in lines])
    self._drawn = len(lines)

  def end(self, now):
    """Shows the whole table, to stay.

    Args:
      now: float, seconds.
    """
    lines, total = rows(self._trials, now, self._slots)
    self._write([*lines, total])

  def _fitting(self, lines, height):
    # The head and as many trials as there is room for, in their order.
    chosen = sorted(
        range(len(self._trials)),
        key=lambda i: FIRST.index(self._trials[i].state))[:max(0, height - 1)]
    return [lines[0], *(lines[1 + i] for i in sorted(chosen))]

  def _write(self, lines):
    if self._stream is None:
      return
    text = ''.join(f'{x}\n' for x in lines)
    if self._drawn:
      # Up to the table's first line, and everything from there away.
      text = f'\x1b[{self._drawn}F\x1b[J{text}'
      self._drawn = 0
    try:
      self._stream.write(text)
      self._stream.flush()
    except (OSError, ValueError):  # ValueError: it is closed.
      if self._stream is sys.stdout:
        sys.stdout = None  # Or Python complains at its end: exit code 120.
      self._stream = None
