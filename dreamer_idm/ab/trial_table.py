"""The table of a comparison's trials: live on a terminal, else at the end."""

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
    'stopped': 'yellow', 'waiting': 'none', 'complete': 'green'}


def forecast(trials):
  """Estimates when the trials that run, and all that wait, will be complete.

  Args:
    trials: list of Trials.

  Returns:
    dict of trial's index -> float, seconds from now, for running ones, with
    that of the whole comparison as None; empty as long as none has a pace.
  """
  paces = [x.pace for x in trials if x.pace]
  todo = {
      i: x for i, x in enumerate(trials) if x.state in ('running', 'waiting')}
  if not paces or not todo:
    return {}
  mean = statistics.mean(paces)
  eta: dict = {
      i: x.left / (x.pace or mean) for i, x in todo.items()
      if x.state == 'running'}
  together = sum(todo[i].pace or mean for i in eta) or mean
  total = sum(x.left for x in todo.values()) / together
  return {**eta, None: max(total, *eta.values(), 0)}


def render(trials, room=None):
  """Lays out the table.

  Args:
    trials: list of Trials.
    room: int, most rows, for which `STATES` has the order; None: no limit.

  Returns:
    rich.table.Table, and a str that sums it up.
  """
  eta = {k: display.duration(x) for k, x in forecast(trials).items()}
  table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
  for name, side in COLUMNS.items():
    table.add_column(name, justify=side, no_wrap=True)
  urgency = list(STATES)
  order = sorted(
      range(len(trials)), key=lambda i: urgency.index(trials[i].state))
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
  """Shows trials: redrawn in place on a terminal, else a line now and then.

  Once nothing can be written any more, because the disk is full or whoever
  read it is gone (`| tee`, which Ctrl-C ends as well), it falls silent.
  """

  def __init__(self, trials, interval=600, stream=None):
    """Shows nothing yet.

    Args:
      trials: list of Trials.
      interval: float, seconds between two lines where there is no terminal.
      stream: text stream; None for standard output.
    """
    self._trials, self._interval = trials, interval
    self._stream = stream or sys.stdout
    self._display: display.Display | None = display.Display(stream)
    self._shown = time.time()

  def note(self, text):
    """Prints lines that stay.

    Args:
      text: str.
    """
    self._write('note', f'{time.strftime("%H:%M:%S")} {text}')

  def show(self):
    """Shows how far the trials are, if it is time."""
    if self._display and self._display.live:
      room = max(0, self._display.height - 3)
      self._write('show', rich.console.Group(*render(self._trials, room)))
    elif time.time() - self._shown >= self._interval:
      self._shown = time.time()
      self.note(render(self._trials)[1])

  def end(self):
    """Shows the whole table, to stay."""
    self._write('close')
    for part in render(self._trials):
      self._write('note', part)

  def _write(self, method, *args):
    """Calls a method of the display, unless nobody reads it any more."""
    try:
      if self._display:
        getattr(self._display, method)(*args)
    except (OSError, ValueError):  # ValueError: it is closed.
      if self._stream is sys.stdout:
        sys.stdout = None  # Or Python complains at its end: exit code 120.
      self._display = None
