"""A lock on a run's folder."""

import contextlib
import fcntl
import os
import socket
import sys

from ..errors import UsageError

BUSY = 'another run is training'  # By these words `ab` knows the message.


@contextlib.contextmanager
def locked(logdir):
  """Context in which no other run can enter a folder.

  Two runs in one folder would undo each other's work. The lock is the
  kernel's, so that it goes with its process, however that ends; the file that
  stays is not a lock. Some shared file systems have no locks: there it says so
  and continues without.

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


def in_use(logdir):
  """Whether a run is training in a folder, as far as locks can tell."""
  try:
    with (logdir / 'lock').open('r+') as file:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    return isinstance(error, BlockingIOError)
  return False


def _owner(file):
  file.seek(0)
  text = file.read(200).strip()
  return f' ({text})' if text.isprintable() and text else ''
