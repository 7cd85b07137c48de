"""One attempt at a trial: a process, its log and its memory."""

import contextlib
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import traceback

import psutil

GB = 1e9
LEASH = pathlib.Path(__file__).with_name('leash.py')
LOG = 'ab.log'
HEAD = '== '  # Begins an attempt in the log.
POLL = 0.2  # Seconds between two checks of the process.


def attempt(command, logdir, environ, memory, asked, directory=None):
  """Runs a command to its end; its output is appended to `ab.log`.

  It has a session of its own, so that Ctrl-C in the terminal does not reach
  it beside our SIGTERM: a second signal would interrupt its saving.

  Args:
    command: list of str, beginning with an absolute path.
    logdir: pathlib.Path of the trial; made if missing.
    environ: dict of str, set in its environment.
    memory: float, GB that it and what it started may use; 0: no limit.
    asked: list of signals for it, which may grow while it runs.
    directory: str, where it runs; None: where this process does.

  Returns:
    int exit code (negative: the signal that ended it), and a str that says
    why it was killed here, if it was.

  Raises:
    OSError: if the log cannot be written, or no process started.
  """
  logdir.mkdir(parents=True, exist_ok=True)
  words = [*(f'{k}={v}' for k, v in environ.items()), *command]
  with (logdir / LOG).open('ab') as log:
    # This line also tells a watcher on another machine that it began.
    log.write(
        f'{HEAD}{time.strftime("%Y-%m-%d %H:%M:%S")} on '
        f'{socket.gethostname()}: {shlex.join(words)}\n'.encode())
    log.flush()
    popen = subprocess.Popen(
        [sys.executable, '-I', '-S', str(LEASH), str(os.getpid()), *command],
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True, cwd=directory, env={
            **os.environ, 'PYTHONPATH': python_path(), **environ})
  process, why = psutil.Process(popen.pid), ''
  try:
    # Not by popen.poll: once it is reaped, its number may be another's.
    while not why and process.status() != psutil.STATUS_ZOMBIE:
      while asked:
        process.send_signal(asked.pop(0))
      used = _resident(process) if memory else 0.0
      if used > memory:
        why = f'used {used:.1f} GB, more than --memory {memory:g}'
      else:
        time.sleep(POLL)
  finally:
    with contextlib.suppress(ProcessLookupError, PermissionError):
      os.killpg(popen.pid, signal.SIGKILL)  # What it started may outlast it.
    code = popen.wait()
  return code, why


def log_error(logdir, error):
  """Appends the traceback of an engine's own Exception to a trial's log."""
  with contextlib.suppress(OSError), (logdir / LOG).open('a') as log:
    log.writelines(traceback.format_exception(error))


def _resident(process):
  """Adds up memory in GB, pages that processes share once for each."""
  total = 0
  for one in (process, *process.children(recursive=True)):
    with contextlib.suppress(psutil.Error):  # It has ended by now.
      total += one.memory_info().rss
  return total / GB


def python_path():
  """Returns PYTHONPATH, str: what sys.path has beyond Python's own folders."""
  own = tuple(sysconfig.get_path(x) for x in ('stdlib', 'platstdlib'))
  return os.pathsep.join(dict.fromkeys(
      x for x in sys.path
      if os.path.isabs(x) and not x.startswith(own) and x[-4:] != '.zip'
      and not {'site-packages', 'dist-packages'} & {*pathlib.Path(x).parts}))


def last_output(logdir):
  """Reads the end of the output of the latest attempt at a trial, in logdir.

  Returns:
    str, the last line of its log; and a list of str, what stands before that
    from the innermost frame of a traceback on, if there is one.
  """
  try:
    text = (logdir / LOG).read_bytes()[-16384:].decode('utf-8', 'replace')
  except OSError:
    text = ''
  lines = [x.rstrip()[:300] for x in text.splitlines() if x.strip()]
  heads = [i for i, x in enumerate(lines) if x.startswith(HEAD)]
  lines = lines[heads[-1] + 1 if heads else 0:][-40:] or ['no output']
  frames = [i for i, x in enumerate(lines) if x.lstrip().startswith('File "')]
  return lines[-1].strip(), lines[frames[-1]:-1][:6] if frames else []
