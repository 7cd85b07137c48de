"""What a person sees of a training: a bar, or a line a minute."""

import contextlib
import errno
import sys
import threading
import time

import tqdm

from ..display import duration


@contextlib.contextmanager
def _told():
  try:
    yield
  except OSError as error:
    if error.errno == errno.EIO:  # Of a terminal that is gone.
      raise BrokenPipeError from error
    raise


class Progress:
  """A bar on a terminal, otherwise a line at least every so many seconds."""

  def __init__(self, total, interval=30, stream=None):
    """Shows nothing yet.

    Args:
      total: int, env steps of the whole run.
      interval: float, most seconds between two lines.
      stream: text stream; None for standard output.
    """
    self._stream = stream or sys.stdout
    self._total = total
    self._interval = interval
    self._fields = {}
    self._shown = time.time()
    self._speed = None
    self._bar = None
    self.begin(0)

  def begin(self, step):
    """Starts the clock.

    Args:
      step: int, env steps done before this process.
    """
    self._step = step
    self._mark = (time.time(), step)
    if self._bar is not None:
      self._bar.close()
    if self._stream.isatty():
      self._bar = tqdm.tqdm(
          total=self._total, initial=step, unit=' env steps', file=self._stream,
          dynamic_ncols=True, smoothing=0.05)

  def note(self, text):
    """Prints a line that stays.

    Args:
      text: str, one line.

    Raises:
      BrokenPipeError: if nobody reads it any more.
    """
    if self._bar is None:
      self._print(text)
      self._shown = time.time()
      return
    with _told():
      self._bar.write(text, file=self._stream)

  def tick(self, step=None, doing=None, **fields):
    """Takes notice of progress; shows it if it is time.

    Args:
      step: int, env steps done, or None if the number has not changed.
      doing: str, what is going on if it is not the training itself.
      **fields: name -> number, kept and shown until replaced.
    """
    self._fields.update(fields)
    if step is not None:
      moved, self._step = step - self._step, step
      if self._bar is not None:
        self._bar.update(moved)
    if self._bar is not None:
      self._bar.set_postfix_str(
          ' '.join([*self._numbers(), doing or '']), refresh=False)
      if time.time() - self._shown >= 0.5:
        self._shown = time.time()
        self._bar.refresh()
      return
    now = time.time()
    if now - self._shown >= self._interval:
      self._shown = now
      self._print(self._line(now, doing))

  def _print(self, text):
    with _told():
      print(text, file=self._stream, flush=True)

  @contextlib.contextmanager
  def during(self, doing):
    """Context of one long call, in which nothing else could call `tick`.

    Args:
      doing: str, what is going on.
    """
    over = threading.Event()

    def beat():
      while not over.wait(1):
        self.tick(doing=doing)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
      yield
    finally:
      over.set()
      thread.join()

  def close(self):
    """Takes the bar down."""
    if self._bar is not None:
      self._bar.close()

  def _numbers(self):
    return [
        f'{k.replace("_", " ")} {v:.0f}' for k, v in self._fields.items()]

  def _line(self, now, doing):
    parts = [f'env step {self._step:,} of {self._total:,}']
    since, before = self._mark
    if self._step > before:
      self._speed = (self._step - before) / (now - since)
      self._mark = (now, self._step)
    if doing:
      parts.append(doing)
    elif self._speed:
      parts.append(f'{self._speed:.1f} env steps/s')
      left = (self._total - self._step) / self._speed
      parts.append(f'{duration(left)} left')
    return ' | '.join(parts + self._numbers())
