"""What keeps a run's folder from harm: a lock, and leaving at the right time.

Ctrl-C, SIGTERM (the goodbye of clusters) and SIGHUP (of terminals) end a run.
Within `held` they wait for the next `allowed`, or for its end, so that a step
is counted, stored and learned from as a whole or not at all.
"""

import contextlib
import fcntl
import math
import os
import signal
import socket
import sys
import time

from .errors import UsageError

BUSY = 'another run is at work'  # By these words `ab` knows the message.
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
AGAIN = 5  # Seconds in which a second signal says nothing new.


@contextlib.contextmanager
def locked(logdir):
  """Context in which no other run can enter a folder.

  Two runs in one folder would undo each other's work. The lock is the
  kernel's, so that it goes with its process, however that ends; the file that
  stays is no lock. Some shared file systems have no locks: there it says so
  and goes on without.

  Args:
    logdir: pathlib.Path; made if it is missing.

  Raises:
    UsageError: if another run is there, or nothing can be written.
  """
  try:
    logdir.mkdir(parents=True, exist_ok=True)
    file = (logdir / 'lock').open('a+')
  except OSError as error:
    raise UsageError(
        f'cannot write to {logdir}: {error.strerror}; choose another folder '
        'with --logdir') from error
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise UsageError(
          f'{BUSY} in {logdir}{_owner(file)}: wait for it, or choose another '
          'folder with --logdir') from error
    except OSError as error:
      # To refuse would keep everybody with such a home from training.
      print(
          f'warning: the file system of {logdir} cannot lock '
          f'({error.strerror}): see to it that no other run trains there',
          file=sys.stderr)
    with contextlib.suppress(OSError):  # For the message alone.
      file.truncate(0)
      file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
      file.flush()
    yield


def _owner(file):
  file.seek(0)
  text = file.read(200).strip()
  return f' ({text})' if text.isprintable() and text else ''


class _Signals:
  # Process-wide, as handlers are.
  held = False
  pending = False
  left = -math.inf


def listen():
  """Lets the signals raise KeyboardInterrupt, where they may.

  A second one within a few seconds is ignored: a cluster may tell every
  process, and a parent its children once more, while the first one is about
  to save.
  """
  for signum in SIGNALS:
    # Whoever started this with nohup wants no SIGHUP.
    if signal.getsignal(signum) != signal.SIG_IGN or signum == signal.SIGINT:
      signal.signal(signum, _on_signal)


def _on_signal(signum, frame):
  _Signals.pending = True
  if not _Signals.held:
    _leave()


def _leave():
  if _Signals.pending:
    _Signals.pending = False
    now = time.monotonic()
    if now - _Signals.left > AGAIN:
      _Signals.left = now
      raise KeyboardInterrupt


@contextlib.contextmanager
def held():
  """Context that is interrupted at its end only, or where it is `allowed`."""
  with _switched(True):
    yield
  if not _Signals.held:
    _leave()


@contextlib.contextmanager
def allowed():
  """Context within `held` that may be interrupted anywhere."""
  with _switched(False):
    _leave()
    yield


@contextlib.contextmanager
def _switched(value):
  before, _Signals.held = _Signals.held, value
  try:
    yield
  finally:
    _Signals.held = before


@contextlib.contextmanager
def undisturbed():
  """Context in which Ctrl-C and SIGTERM are ignored, for the last save."""
  before = [signal.signal(x, signal.SIG_IGN) for x in SIGNALS]
  try:
    yield
  finally:
    for signum, handler in zip(SIGNALS, before):
      signal.signal(signum, handler)
