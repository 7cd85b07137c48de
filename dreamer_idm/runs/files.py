"""Files and folders that are on the disk as a whole, or not there at all."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile

from ..errors import UsageError


def expanded(path):
  """Makes a pathlib.Path of what people write, with `~` for the home folder.

  A shell does not see that behind `--logdir=` or in quotes.
  Raises UsageError for a URL, which would become a local folder.
  """
  if '://' in str(path):
    raise UsageError(
        f'a folder of this machine is expected, but {str(path)!r} is a URL: '
        'write into a folder, then copy it')
  return pathlib.Path(os.path.expanduser(path))


def sync(path):
  """Waits until a file's content, or a folder's list of names, is on disk.

  Without it a file that was written and renamed may be empty after a power
  cut: the name reaches the disk before the content.
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
  """Gives a finished file or folder its name.

  Args:
    source: pathlib.Path, on the same file system.
    path: pathlib.Path; a file that is there is replaced, a folder is not.
  """
  for part in (*source.rglob('*'), source):
    sync(part)
  os.replace(source, path)
  sync(path.parent)


@contextlib.contextmanager
def replacing(path):
  """Context that writes a file or folder as a whole, or not at all.

  What is there stays until the end, and if anything fails, such as a full
  disk. After a kill, a hidden `.<stem>.part<suffix>` may be left beside it,
  which nothing reads and the next time replaces.

  Args:
    path: pathlib.Path; see `move` for what may be there.

  Yields:
    pathlib.Path to write to; it does not exist, and has the same suffix.

  Example:
    with files.replacing(folder / 'note.txt') as part:
      part.write_text('all of it')
  """
  part = path.with_name(f'.{path.stem}.part{path.suffix}')
  _remove(part)
  try:
    yield part
    move(part, path)
  finally:
    _remove(part)


def _remove(path):
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def quarantine(path, suffix):
  """Renames what nothing shall take for its kind; overwrites nothing.

  Args:
    path: pathlib.Path of a file or folder.
    suffix: str, see `free_name`.

  Returns:
    pathlib.Path, the new name.
  """
  new = free_name(path, suffix)
  path.rename(new)
  return new


def free_name(path, suffix):
  """Finds a name beside a file or folder that nothing has.

  Args:
    path: pathlib.Path.
    suffix: str, behind its name, with a number if that is taken.

  Returns:
    pathlib.Path.
  """
  new, number = path.with_name(f'{path.name}.{suffix}'), 1
  while new.exists() or new.is_symlink():
    number += 1
    new = path.with_name(f'{path.name}.{suffix}.{number}')
  return new


def folder(path):
  """Makes a folder for results, or raises UsageError if it is read-only."""
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise UsageError(
        f'cannot write to {path}: {error.strerror}; choose another folder with '
        '--out') from error
