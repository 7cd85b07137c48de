"""Environments in threads and processes of their own."""

import atexit
import contextlib
import signal
import sys
import threading
import time

from ..errors import UsageError
from ..upstream import envs as upstream_envs

_USAGE = f'{UsageError.__module__}.{UsageError.__qualname__}: '


class WorkerLost(RuntimeError):
  """A worker that ended or does not answer; never raised by user code."""


class Worker(upstream_envs.Async):
  """Upstream's Async, which ends when either side of it does.

  Upstream waits forever for a process that died at its start, and leaves
  processes that outlive their parent and threads that keep it from ending.
  """

  patience = 5  # Seconds for a process to end by itself.
  timeout = 600  # Seconds for an answer; a process that takes longer hangs.

  def __init__(self, constructor, strategy):
    """Starts the worker and waits until its environment is built.

    Args:
      constructor: function without arguments, returns an environment.
      strategy: str, 'thread' or 'process'.

    Raises:
      WorkerLost: if the process ends instead, or hangs.
      UsageError: if the constructor raises one.
      Exception: if it fails otherwise; has its traceback as message.
    """
    with _main_hidden():
      super().__init__(constructor, strategy)

  def __getstate__(self):
    # Without the pipe: a process that holds both of its ends never notices
    # that the parent is gone.
    return {k: getattr(self, k) for k in ('_pickled_ctor', '_strategy')}

  def reset(self, blocking=True):
    """Begins an episode; blocks by default, as upstream's Driver needs it."""
    return super().reset(blocking)

  def close(self):
    """Ends the worker; may be called again."""
    atexit.unregister(self.close)
    if self._process.is_alive():
      with contextlib.suppress(OSError):
        self._conn.send((self._CLOSE, None))
      # The pipe stays open until then: a last observation may be on its way.
      self._process.join(self.patience)
      if self._strategy == 'process' and self._process.is_alive():
        self._process.kill()
        self._process.join()
    self._conn.close()

  def access(self, name):
    """Returns a function that waits for an attribute of the environment."""
    with self._death_reported():
      return super().access(name)

  def call(self, name, *args, **kwargs):
    """Returns a function that waits for a call of the environment's method."""
    with self._death_reported():
      return super().call(name, *args, **kwargs)

  def _receive(self):
    asked = time.monotonic()
    with self._death_reported():
      while not self._conn.poll(0.5):
        if not self._process.is_alive() and not self._conn.poll():
          raise EOFError
        if self._strategy == 'process' and (
            time.monotonic() - asked > self.timeout):
          break  # Of a thread nothing would ever get rid.
      else:
        return self._unpacked()
    self._process.kill()
    raise WorkerLost(
        f'An environment process did not answer for {self.timeout} s and was '
        'ended.')

  def _unpacked(self):
    try:
      return super()._receive()
    except RuntimeError:
      raise
    except Exception as error:
      # What was raised over there arrives as the text of its traceback.
      last = (str(error).splitlines() or [''])[-1]
      if last.startswith(_USAGE):
        raise UsageError(last[len(_USAGE):]) from None
      raise

  @contextlib.contextmanager
  def _death_reported(self):
    try:
      yield
    except (RuntimeError, OSError, EOFError):
      self._process.join(self.patience)
      raise WorkerLost(
          f'An environment {self._strategy} ended unexpectedly, exit code '
          f'{self._process.exitcode}; its own messages are above.') from None

  def _worker(self, conn):
    if self._strategy == 'process':
      # Ctrl-C goes to every process of the terminal, and Slurm's SIGUSR1 to
      # every process of the job; ours ends with the parent.
      for signum in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_IGN)
    else:
      conn = _ThreadPipe(conn)
    super()._worker(conn)


class _ThreadPipe:
  # A thread's end of the pipe, closed when the main thread ends, as a
  # process's is. Python waits for the thread before it runs atexit functions.

  def __init__(self, conn):
    self._conn = conn

  def __getattr__(self, name):
    return getattr(self._conn, name)

  def poll(self, timeout):
    if not threading.main_thread().is_alive():
      raise EOFError
    return self._conn.poll(timeout)


@contextlib.contextmanager
def _main_hidden():
  # A spawned process imports the parent's main script again, with all that
  # the script does and imports, TensorFlow for one. Ours needs none of it.
  main = vars(sys.modules['__main__'])
  before: dict = {k: main[k] for k in ('__spec__', '__file__') if k in main}
  main.update(dict.fromkeys(before))
  try:
    yield
  finally:
    main.update(before)
