"""What a person sees of a training: a live line, or a line now and then."""

import collections
import contextlib
import time

import rich.progress_bar
import rich.table
import rich.text

from .. import display

REDRAWN = 0.5  # Seconds between two states of the live line.
WIDTH = 20  # Of its bar, in characters.


class Progress:
  """A live line on a terminal, else a line at least every so many seconds.

  The caller's thread writes it, and gets a BrokenPipeError when the reader is
  gone.
  """

  def __init__(self, total, interval=30, stream=None):
    """Shows nothing yet.

    Args:
      total: int, env steps of the whole run.
      interval: float, most seconds between two lines, and what the speed is
        the mean over.
      stream: text stream; None for standard output.
    """
    self._display = display.Display(stream)
    self._total, self._interval = total, interval
    self._period = REDRAWN if self._display.live else interval
    self._fields: dict[str, float] = {}
    self.begin(0)

  def begin(self, step):
    """Starts the clock, after so many env steps of earlier processes."""
    self._step = step
    self._shown = time.monotonic()
    self._marks = collections.deque([(self._shown, step)])

  def note(self, text):
    """Prints a line that stays."""
    self._display.note(text)
    if not self._display.live:
      self._shown = time.monotonic()

  def tick(self, step=None, doing=None, **fields):
    """Takes notice of progress; shows it if it is time.

    Args:
      step: int, env steps done, or None if the number has not changed.
      doing: str, what happens, if it is not training itself.
      **fields: name -> number, kept and shown until replaced.
    """
    self._fields.update(fields)
    self._step = self._step if step is None else step
    now = time.monotonic()
    if now - self._shown < self._period:
      return
    self._shown = now
    line = self._line(now, doing)
    if self._display.live:
      row = rich.table.Table.grid(padding=(0, 1))
      row.add_column()
      row.add_column(no_wrap=True, overflow='ellipsis')
      row.add_row(rich.progress_bar.ProgressBar(
          self._total, self._step, WIDTH), rich.text.Text(line))
      self._display.show(row)
    else:
      self._display.note(line)

  def close(self):
    """Takes the live line away."""
    with contextlib.suppress(OSError, ValueError):
      self._display.close()

  def _line(self, now, doing):
    self._marks.append((now, self._step))
    while len(self._marks) > 2 and now - self._marks[1][0] >= self._interval:
      self._marks.popleft()
    since, before = self._marks[0]
    parts = [f'env step {self._step:,} of {self._total:,}']
    if doing:
      parts.append(doing)
    elif self._step > before and now > since:
      speed = (self._step - before) / (now - since)
      left = max(0, self._total - self._step) / speed
      parts += [
          f'{speed:.1f} env steps/s', f'{display.duration(left)} left']
    return ' | '.join(parts + [
        f'{k.replace("_", " ")} {v:.0f}' for k, v in self._fields.items()])
