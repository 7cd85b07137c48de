"""What a person sees: lines that stay, above one part that is redrawn.

Without a terminal there is no such part, and lines are plain. Nothing is
written by a thread, so that the caller gets the error of a closed stream.
"""

import contextlib
import errno
import os
import sys

import rich.console
import rich.live


def duration(seconds):
  """Writes a time span for people.

  Args:
    seconds: float >= 0.

  Returns:
    str such as `45s`, `12m`, `3h 05m`, `4d 11h`.
  """
  minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
  if minutes < 1:
    return f'{seconds:.0f}s'
  if hours < 1:
    return f'{minutes:.0f}m'
  if days < 1:
    return f'{int(hours)}h {int(minutes % 60):02d}m'
  return f'{int(days)}d {int(hours % 24):02d}h'


def counted(number, noun):
  """Writes a number of things: `1 update`, `1,200 updates`."""
  return f'{number:,.0f} {noun}{"" if number == 1 else "s"}'


class Display:
  """Writes to a stream.

  Attributes:
    live: bool, whether it is a terminal, so that `show` shows something.
  """

  def __init__(self, stream=None):
    """Writes nothing yet.

    Args:
      stream: text stream; None for standard output.
    """
    stream = stream or sys.stdout or open(os.devnull, 'w')
    terminal = stream.isatty()
    # Without a terminal tables are as wide as they are.
    self._console = _Console(
        file=stream, force_terminal=terminal, highlight=False, markup=False,
        emoji=False, width=None if terminal else 1000)
    self.live = terminal and not self._console.is_dumb_terminal
    self._live = None

  @property
  def height(self):
    """int, lines of the terminal."""
    return self._console.size.height

  def note(self, what):
    """Prints what stays.

    Args:
      what: str or a renderable of rich's.

    Raises:
      BrokenPipeError: if its reader is gone.
      ValueError: if the stream is closed.
    """
    with _broken_pipes():
      self._console.print(what, soft_wrap=isinstance(what, str))

  def show(self, what):
    """Replaces the part that is redrawn; nothing without a terminal.

    Args:
      what: str or a renderable of rich's.

    Raises:
      BrokenPipeError: if its reader is gone.
      ValueError: if the stream is closed.
    """
    if not self.live:
      return
    with _broken_pipes():
      if self._live is None:
        self._live = rich.live.Live(
            console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False)
        self._live.start()
        self._console.show_cursor()  # A kill would leave it hidden.
      self._live.update(what, refresh=True)

  def close(self):
    """Takes the part that is redrawn away; `show` may follow.

    Raises:
      BrokenPipeError: if its reader is gone.
      ValueError: if the stream is closed.
    """
    live, self._live = self._live, None
    if live is not None:
      with _broken_pipes():
        live.stop()


class _Console(rich.console.Console):

  def on_broken_pipe(self):
    """Says so: rich's own would exit the program."""
    raise BrokenPipeError


@contextlib.contextmanager
def _broken_pipes():
  try:
    yield
  except OSError as error:
    if error.errno == errno.EIO:  # Of a terminal that is gone.
      raise BrokenPipeError from error
    raise
