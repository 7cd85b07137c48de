"""Checkpoints: everything a run needs to go on, without pickle.

A checkpoint holds the agent's variables, all optimizer moments, the slow
target and its counter, and one JSON text with the rest (steps, names of the
episodes, NumPy's random states). TensorFlow writes it beside its final name
and renames it, then rewrites the list of checkpoints the same way, so that a
killed process leaves the one before.
"""

import contextlib
import json

import tensorflow as tf

from .errors import UsageError


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


class Checkpoints:
  """The last few checkpoints of a run, and its best one."""

  def __init__(self, directory, agent=None, keep=3):
    """Opens a folder of checkpoints.

    Args:
      directory: pathlib.Path; `latest` and `best` are kept below it.
      agent: upstream's Agent or a subclass; None to read the plain state
        only.
      keep: int, how many of the latest stay on disk.

    Raises:
      UsageError: if there are checkpoints but no list of them.
    """
    for folder in (directory / 'latest', directory / 'best'):
      if any(folder.glob('ckpt-*')) and not tf.train.latest_checkpoint(folder):
        raise UsageError(
            f'{folder} has checkpoints, but its list of them, the file '
            f'`checkpoint`, is missing or damaged: write the line '
            f'model_checkpoint_path: "ckpt-NUMBER" into it, or choose another '
            f'folder with --logdir')
    self._state = _Json()
    parts = {} if agent is None else {'agent': agent}
    self._checkpoint = tf.train.Checkpoint(state=self._state, **parts)
    self._managers = {
        'latest': tf.train.CheckpointManager(
            self._checkpoint, str(directory / 'latest'), keep),
        'best': tf.train.CheckpointManager(
            self._checkpoint, str(directory / 'best'), 1)}

  def save(self, step, state, best=False):
    """Writes a checkpoint.

    Args:
      step: int, agent steps; the checkpoint's number. One that is there
        already stays as it is.
      state: dict of plain data.
      best: bool, whether to replace the best checkpoint as well.
    """
    self._state.value = state
    for which in ['latest'] + ['best'] * best:
      if not (self.path(which) or '').endswith(f'-{step}'):
        self._managers[which].save(checkpoint_number=step)

  def path(self, which='latest'):
    """Finds a checkpoint.

    Args:
      which: `latest`, `best`, or the agent step of a kept one.

    Returns:
      str path prefix, or None if there is none.
    """
    if which in self._managers:
      return self._managers[which].latest_checkpoint
    for path in self._kept():
      if path.endswith(f'-{which}'):
        return path
    return None

  def names(self):
    """Lists what `path` finds.

    Returns:
      list of str: the agent steps that are kept, `latest` and `best`.
    """
    steps = {int(x.rsplit('-', 1)[1]) for x in self._kept()}
    return [str(x) for x in sorted(steps)] + [
        x for x in self._managers if self.path(x)]

  def _kept(self):
    return [x for m in self._managers.values() for x in m.checkpoints]

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
    reader = _Json()
    with self._told(which):
      status = tf.train.Checkpoint(state=reader).restore(self.path(which))
      status.expect_partial()
    return reader.value

  def restore(self, which='latest'):
    """Loads a checkpoint into the agent, whose variables must exist.

    Args:
      which: see `path`.

    Returns:
      dict, the plain state.

    Raises:
      UsageError: if the files are damaged.
      AssertionError: if the checkpoint lacks a variable of the agent.
    """
    with self._told(which):
      status = self._checkpoint.restore(self.path(which))
    status.assert_existing_objects_matched()
    return self._state.value

  @contextlib.contextmanager
  def _told(self, which):
    try:
      yield
    except (tf.errors.OpError, IndexError, json.JSONDecodeError) as error:
      others = [x for x in self._kept() if x != self.path(which)]
      raise UsageError(
          f'the checkpoint {self.path(which)} is damaged; name an earlier one '
          f'in the file `checkpoint` beside it '
          f'({", ".join(others) or "there is none"}), or choose another '
          'folder with --logdir') from error
