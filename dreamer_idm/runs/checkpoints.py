"""Checkpoints: everything a run needs to go on, without pickle.

A checkpoint holds the agent's variables, all optimizer moments, the slow
target and its counter, and one JSON text with the rest (steps, names of the
episodes, NumPy's random states). It counts from one rename on:

  writing-N/   TensorFlow writes here, then everything is synced to the disk;
               a kill leaves this, which the next start deletes
  whole-N/     the same, renamed: now it counts; a kill leaves this, and the
               next start does the last step
  ckpt-N.*     where its files are moved to; only then older ones are deleted
"""

import contextlib
import json
import os
import pathlib
import re
import shutil

import tensorflow as tf

from ..errors import UsageError
from . import files

BROKEN = 'damaged'  # Suffix of checkpoints that were set aside.


class _Json(tf.train.experimental.PythonState):
  """Plain data as an entry of a checkpoint."""

  def __init__(self):
    self.value = {}

  def serialize(self):
    """Returns the data as JSON text."""
    return json.dumps(self.value)

  def deserialize(self, string_value):
    """Reads the data from JSON text."""
    self.value = json.loads(string_value)


def _step(path):
  return int(path.rpartition('-')[2])


class Checkpoints:
  """The last few checkpoints of a run, and its best one."""

  def __init__(self, directory, agent=None, keep=3):
    """Opens a folder of checkpoints; changes nothing in it.

    Args:
      directory: pathlib.Path; `latest` and `best` are kept below it.
      agent: upstream's Agent or a subclass; None to read the plain state
        only.
      keep: int, how many of the latest stay on disk.
    """
    self._state, self._keep = _Json(), keep
    parts = {} if agent is None else {'agent': agent}
    self._checkpoint = tf.train.Checkpoint(state=self._state, **parts)
    self._folders = {x: directory / x for x in ('latest', 'best')}

  def save(self, step, state, best=False):
    """Writes a checkpoint, in place of one that has its number.

    Args:
      step: int, agent steps; the checkpoint's number.
      state: dict of plain data; if it names a `best_step`, that is the step
        of the best checkpoint.
      best: bool, whether to replace the best checkpoint as well.

    Raises:
      OSError or tf.errors.OpError: if it cannot be written; then the ones
        before are as they were.
    """
    self._state.value = state
    self._write('latest', step, self._checkpoint.write)
    for old in self._kept('latest')[:-self._keep]:
      self._delete(old)
    if best:
      self._copy_to('best', self.path())

  def _copy_to(self, which, source):
    def copy(prefix):
      for path in _files(source):
        shutil.copyfile(path, prefix + path.name[path.name.index('.'):])
    self._write(which, _step(source), copy)
    for old in self._kept(which) if which == 'best' else ():
      if _step(old) != _step(source):
        self._delete(old)

  def _write(self, which, step, write):
    folder = self._folders[which]
    part = folder / f'writing-{step}'
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
      write(str(part / f'ckpt-{step}'))
      for path in (*part.iterdir(), part):
        files.sync(path)
      part.rename(folder / f'whole-{step}')
    except BaseException:
      shutil.rmtree(part, ignore_errors=True)
      raise
    self._finish(folder)

  @staticmethod
  def _finish(folder):
    # The list that earlier versions kept would name what is gone.
    (folder / 'checkpoint').unlink(missing_ok=True)
    for whole in folder.glob('whole-*'):
      for path in sorted(whole.iterdir()):  # The data before its index.
        os.replace(path, folder / path.name)
      whole.rmdir()
    files.sync(folder)

  @staticmethod
  def _delete(prefix):
    for path in reversed(_files(prefix)):  # The index first.
      path.unlink(missing_ok=True)

  def recover(self, problem=lambda state: ''):
    """Makes the newest checkpoint that is whole the latest one.

    For the training only, which has the folder to itself. What was being
    written when a process was killed is finished or removed; what is damaged
    is renamed to `*.damaged`.

    Args:
      problem: function of a plain state, returns what is wrong with it, or
        nothing.

    Returns:
      list of str, what was found, one line each.

    Raises:
      UsageError: if all are damaged; then nothing is set aside or deleted.
    """
    folders = [x for x in self._folders.values() if x.exists()]
    for folder in folders:
      self._finish(folder)
    # The newest first; a latest one before the best one of its step.
    kept = sorted(
        [*self._kept('best'), *self._kept('latest')], key=_step)[::-1]
    orphans = [
        data for folder in folders
        for data in folder.glob('ckpt-*.data-*-of-?????')
        if not data.with_suffix('.index').exists()]
    if orphans and not kept:
      raise UsageError(
          f'{orphans[0]} has no .index beside it, and there is no other '
          'checkpoint: restore it from a backup, or choose another folder '
          'with --logdir')
    wrong: dict = {}
    for prefix in kept:
      wrong[prefix] = _damage(prefix, problem)
      if not wrong[prefix]:
        break
    damaged = [x for x in wrong if wrong[x]]
    if kept and len(damaged) == len(kept):
      raise UsageError(
          f'no checkpoint in {self._folders["latest"].parent} can be read '
          f'({wrong[kept[0]]}): restore one of its ckpt-* from a backup, or '
          'choose another folder with --logdir')
    for data in orphans:
      data.unlink()  # Half deleted: the index goes first.
    for folder in folders:
      for part in folder.glob('writing-*'):
        shutil.rmtree(part)
    for best in self._kept('best'):
      if best not in wrong and _damage(best, problem):
        damaged.append(best)
    notes = [self._set_aside(x) for x in damaged]
    whole = next((x for x in wrong if not wrong[x]), None)
    if whole in self._kept('best'):
      self._copy_to('latest', whole)
    self._restore_best()
    return notes

  def _set_aside(self, prefix):
    for path in _files(prefix):
      files.quarantine(path, BROKEN)
    return f'The checkpoint {prefix} is damaged; set aside (*.{BROKEN}).'

  def _restore_best(self):
    # A kill between the two copies of a best checkpoint leaves it out.
    path = self.path()
    step = self.state().get('best_step') if path else None
    if step is not None and step not in map(_step, self._kept('best')):
      for latest in self._kept('latest'):
        if _step(latest) == step and not _damage(latest):
          self._copy_to('best', latest)

  def path(self, which='latest'):
    """Finds a checkpoint.

    Args:
      which: `latest`, `best`, or the agent step of a kept one.

    Returns:
      str path prefix, or None if there is none.
    """
    if which in self._folders:
      return (self._kept(which) or [None])[-1]
    for path in self._all():
      if path.endswith(f'-{which}'):
        return path
    return None

  def step(self):
    """Finds where a run would go on.

    Returns:
      int, agent step of the latest checkpoint, or None if there is none.
    """
    path = self.path()
    return _step(path) if path else None

  def names(self):
    """Lists what `path` finds.

    Returns:
      list of str: the agent steps that are kept, `latest` and `best`.
    """
    return [str(x) for x in sorted({*map(_step, self._all())})] + [
        x for x in self._folders if self.path(x)]

  def _all(self):
    return self._kept('latest') + self._kept('best')

  def _kept(self, which):
    found = [
        str(x.with_suffix('')) for x in self._folders[which].glob('*.index')
        if re.fullmatch(r'ckpt-\d+\.index', x.name)]
    return sorted(found, key=_step)

  def state(self, which='latest'):
    """Reads a checkpoint's plain state without touching the agent.

    Args:
      which: see `path`.

    Returns:
      dict, or None if there is no checkpoint.

    Raises:
      UsageError: if the files are damaged.
    """
    if not self.path(which):
      return None
    with self._told(which):
      return _state(self.path(which))

  def restore(self, which='latest'):
    """Loads a checkpoint into the agent, whose variables must exist.

    Args:
      which: see `path`.

    Returns:
      dict, the plain state.

    Raises:
      UsageError: if the files are damaged, or a variable has another type.
      AssertionError: if the checkpoint lacks a variable of the agent.
      ValueError: if a variable has another shape.
    """
    logger = tf.get_logger()
    level = logger.level
    # If it fails, that is told in one line, not by more for each variable
    # when the program ends: it stays quiet then.
    logger.setLevel('ERROR')
    with self._told(which):
      status = self._checkpoint.read(self.path(which)).expect_partial()
    logger.setLevel(level)
    status.assert_existing_objects_matched()
    return self._state.value

  @contextlib.contextmanager
  def _told(self, which):
    try:
      yield
    except (tf.errors.OpError, IndexError, json.JSONDecodeError) as error:
      others = [str(_step(x)) for x in self._all() if x != self.path(which)]
      raise UsageError(
          f'the checkpoint {self.path(which)} is damaged, or another version '
          'of this program wrote it; others that are '
          f'kept: {", ".join(others) or "none"}. A training falls back to the '
          'one before by itself; or choose another folder with --logdir'
      ) from error


def _files(prefix):
  # The data, then the index.
  path = pathlib.Path(prefix)
  pattern = re.escape(path.name) + r'\.(data-\d+-of-\d+|index)'
  return sorted(
      x for x in path.parent.iterdir() if re.fullmatch(pattern, x.name))


def _state(prefix):
  reader = _Json()
  tf.train.Checkpoint(state=reader).read(prefix).expect_partial()
  return reader.value


def _damage(prefix, problem=lambda state: ''):
  # What is wrong with a checkpoint, or nothing. Reading a tensor compares it
  # with its checksum.
  try:
    reader = tf.train.load_checkpoint(prefix)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
    state = _state(prefix)
  except Exception as error:  # Damage shows in a dozen kinds of them.
    return ' '.join(str(error).split())[:200] or type(error).__name__
  if not isinstance(state, dict) or state.get('step') != _step(prefix):
    return 'it is not of this program'
  return problem(state)
