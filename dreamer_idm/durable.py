"""Files that outlast a crash: on the disk, and whole or not there at all."""

import errno
import os


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
