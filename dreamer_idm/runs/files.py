"""Files that outlast a crash: on the disk, and whole or not there at all."""

import errno
import os
import tempfile

from ..errors import UsageError


def sync(path):
  """Waits until a file's content, or a folder's list of names, is on disk.

  Without it a file that was written and renamed may be empty after a power
  cut: the name reaches the disk before the content.

  Args:
    path: pathlib.Path or str.

  Raises:
    OSError: if it cannot be written, for want of space perhaps.
  """
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    # Some network file systems cannot sync, or not folders.
    if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
      raise
  finally:
    os.close(descriptor)


def move(source, path):
  """Gives a finished file its name, in place of what may be there.

  Args:
    source: pathlib.Path, on the same file system.
    path: pathlib.Path.

  Raises:
    OSError: if it cannot be written.
  """
  sync(source)
  os.replace(source, path)
  sync(path.parent)


def set_aside(path, suffix):
  """Renames a file so that nothing takes it for its kind, nor overwrites it.

  Args:
    path: pathlib.Path.
    suffix: str, behind its name, with a number if that is taken.

  Returns:
    pathlib.Path, the new name.
  """
  aside, number = path.with_name(f'{path.name}.{suffix}'), 1
  while aside.exists() or aside.is_symlink():
    number += 1
    aside = path.with_name(f'{path.name}.{suffix}.{number}')
  path.rename(aside)
  return aside


def folder(path):
  """Makes a folder for results.

  Args:
    path: pathlib.Path.

  Raises:
    UsageError: if nothing can be written there.
  """
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise UsageError(
        f'cannot write to {path}: {error.strerror}; choose another folder with '
        '--out') from error


def save(path, write):
  """Writes a file as a whole: a reader never finds half of it.

  Args:
    path: pathlib.Path; what is there stays if the disk is full.
    write: function of an open binary file.
  """
  part = path.with_name(path.name + '.part')
  try:
    with part.open('wb') as f:
      write(f)
    os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)
