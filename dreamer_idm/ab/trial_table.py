"""The table of a comparison's trials: live on a terminal, and at the end."""

import statistics
import sys
import time
from typing import Any

import rich.console
import rich.table

from .. import display

# Column -> how it is justified.
COLUMNS: dict[str, Any] = {
    'task': 'left', 'method': 'left', 'seed': 'right', 'state': 'left',
    'env steps': 'right', 'return': 'right', 'ETA': 'right'}
# State -> style. Where there is no room for all, the first come first.
STATES = {
    'running': 'bold', 'failed': 'red', 'in use': 'yellow',
    'stopped': 'yellow', 'waiting': 'none', 'pruned': 'dim',
    'complete': 'green'}


def forecast(trials):
  """Estimates in how many seconds running trials will be complete.

  Args:
    trials: list of Trials.

  Returns:
    dict of trial's index -> float, with that of the whole comparison as None;
    empty as long as none has a pace.
  """
  paces = [x.pace for x in trials if x.pace]
  left = {
      i: max(0, x.target - x.steps) for i, x in enumerate(trials)
      if x.state in ('running', 'waiting')}
  if not paces or not left:
    return {}
  mean = statistics.mean(paces)
  pace = {
      i: trials[i].pace or mean for i in left if trials[i].state == 'running'}
  eta: dict = {i: left[i] / pace[i] for i in pace}
  total = sum(left.values()) / (sum(pace.values()) or mean)
  return {**eta, None: max(total, *eta.values(), 0)}


def render(trials, room=None):
  """Lays out the table, and sums it up in a str.

  Args:
    trials: list of Trials.
    room: int, most rows, for which `STATES` has the order; None: no limit.
  """
  eta = {k: display.duration(x) for k, x in forecast(trials).items()}
  table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
  for name, side in COLUMNS.items():
    table.add_column(name, justify=side, no_wrap=True)
  urgency = [*STATES].index
  order = sorted(range(len(trials)), key=lambda i: urgency(trials[i].state))
  for index in sorted(order[:room]):
    x = trials[index]
    table.add_row(
        x.task, x.method, str(x.seed), x.state, f'{x.steps:,}/{x.target:,}',
        '-' if x.score is None else f'{x.score:.0f}', eta.get(index),
        style=STATES[x.state])
  states = [x.state for x in trials]
  total = ', '.join(f'{states.count(s)} {s}' for s in STATES if s in states)
  return table, total + (f'; ETA {eta[None]}' if eta else '')


class Table:
  """Shows trials: redrawn in place on a terminal, else lines alone.

  It writes nothing more once it cannot: the disk is full, or the reader is gone
  (`| tee`, which Ctrl-C ends as well).
  """

  def __init__(self, trials, stream=None):
    """Shows nothing yet; stream is a text stream, None: standard output."""
    self._trials, self._stream = trials, stream or sys.stdout
    self._display: display.Display | None = display.Display(stream)

  def note(self, text):
    """Prints text, a str, with the time of day; it stays."""
    self._write('note', f'{time.strftime("%H:%M:%S")} {text}')

  def show(self):
    """Shows how far the trials are, on a terminal."""
    if self._display and self._display.live:
      room = max(0, self._display.height - 3)
      self._write('show', rich.console.Group(*render(self._trials, room)))

  def end(self):
    """Shows the whole table, to stay."""
    self._write('close')
    for part in render(self._trials):
      self._write('note', part)

  def _write(self, method, *args):
    """Calls a method of the display, unless its stream is closed."""
    try:
      if self._display:
        getattr(self._display, method)(*args)
    except (OSError, ValueError):  # ValueError: it is closed.
      if self._stream is sys.stdout:
        sys.stdout = None  # Or Python complains at its end: exit code 120.
      self._display = None
