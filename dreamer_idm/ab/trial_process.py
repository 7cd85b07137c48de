"""One attempt at a trial: a process, its log and its memory.

Both engines run a trial by this, on whatever machine. Nothing here imports
TensorFlow.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

GB = 1e9
LEASH = pathlib.Path(__file__).with_name('leash.py')
LOG = 'ab.log'


class TrialProcess:
  """A trial's process with all that it starts, in a session of its own.

  Of its own, so that Ctrl-C in the terminal does not reach it beside our
  SIGTERM: a second signal would interrupt its saving.
  """

  def __init__(self, command, logdir, memory=0.0, **environ):
    """Starts the process; its output is appended to `ab.log`.

    Args:
      command: list of str, beginning with an absolute path.
      logdir: str or pathlib.Path of the trial; made if missing.
      memory: float, GB that it may use; 0: no limit.
      **environ: str, set in its environment.

    Raises:
      OSError: if the log cannot be written, or no process started.
    """
    self._memory = memory
    logdir = pathlib.Path(logdir)
    logdir.mkdir(parents=True, exist_ok=True)
    with (logdir / LOG).open('ab') as log:
      # This line also tells a watcher on another machine that it began.
      log.write(
          f'== {time.strftime("%Y-%m-%d %H:%M:%S")} on {socket.gethostname()}: '
          f'{" ".join(command)}\n'.encode())
      log.flush()
      self._popen = subprocess.Popen(
          [sys.executable, '-I', '-S', str(LEASH), str(os.getpid()), *command],
          stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
          start_new_session=True, env={**os.environ, **environ})

  def poll(self):
    """Looks after the process.

    Returns:
      None while it runs, then its exit code (negative: the signal that ended
      it) and a str that says why it was killed here, if it was.
    """
    code, why = self._popen.poll(), ''
    if code is None and self._memory:
      used = resident(self._popen.pid)
      if used > self._memory:
        why = f'used {used:.1f} GB, more than --memory {self._memory:g}'
        code = self.kill()
    if code is None:
      return None
    self._sweep()
    return code, why

  def terminate(self):
    """Asks the process to save and exit."""
    with contextlib.suppress(ProcessLookupError):
      self._popen.send_signal(signal.SIGTERM)

  def kill(self):
    """Kills the process and all that it started.

    Returns:
      int, its exit code.
    """
    self._sweep()
    return self._popen.wait()

  def _sweep(self):
    # Environments in processes of their own may outlast a killed trial.
    with contextlib.suppress(ProcessLookupError, PermissionError):
      os.killpg(self._popen.pid, signal.SIGKILL)


def resident(session):
  """Adds up the resident memory of a session's processes.

  Memory that processes share counts once for each.

  Args:
    session: int, the session's id.

  Returns:
    float, GB; 0 where there is no /proc, or it cannot be read now.
  """
  pages = 0
  try:
    paths = list(pathlib.Path('/proc').glob('[0-9]*/stat'))
  except OSError:  # Too many open files, perhaps.
    return 0.0
  for path in paths:
    try:
      # Behind the name in parentheses, which may contain anything.
      fields = path.read_text('utf-8', 'replace').rpartition(')')[2].split()
    except OSError:
      continue  # It ended meanwhile.
    if int(fields[3]) == session:
      pages += int(fields[21])
  return pages * os.sysconf('SC_PAGE_SIZE') / GB


def last_words(logdir):
  """Finds what a trial said last.

  Args:
    logdir: pathlib.Path of the trial.

  Returns:
    str, the last line of its log that is not empty, at most 300 characters.
  """
  try:
    with (logdir / LOG).open('rb') as file:
      file.seek(max(0, os.path.getsize(file.name) - 4096))
      lines = file.read().decode('utf-8', 'replace').split('\n')
  except OSError:
    return 'no output'
  lines = [x.strip() for x in lines if x.strip()]
  if not lines or lines[-1].startswith('== '):
    return 'no output'
  return lines[-1][:300]
