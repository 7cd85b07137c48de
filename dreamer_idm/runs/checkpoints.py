"""Checkpoints: everything a run needs to resume, without pickle.

`checkpoints/<step>/` holds the agent's variables, all optimizer moments, the
slow target and its counter, and one JSON text with the rest (steps, names of
the episodes, NumPy's random states, which checkpoint is the best). It appears
by one rename, when all of it is on the disk, and goes by one: a kill leaves
hidden folders at most, which nothing reads and the next save deletes. A second
checkpoint of the same step is `<step>-2`.
"""

import contextlib
import json
import re
import shutil

import tensorflow as tf

from ..errors import UsageError
from . import files

BROKEN = 'damaged'  # Suffix of checkpoints in quarantine.
PREFIX = 'ckpt'  # Of the files in a checkpoint's folder.


class _Json(tf.train.experimental.PythonState):
  """Plain data as an entry of a checkpoint, JSON text on the disk."""

  def __init__(self):
    self.value = {}

  def serialize(self):
    """Writes the text."""
    return json.dumps(self.value)

  def deserialize(self, string_value):
    """Reads the text."""
    self.value = json.loads(string_value)


def _number(path):
  # (step, how many of this step): the order of writing.
  step, _, again = path.name.partition('-')
  return int(step), int(again or 1)


def _step(path):
  return _number(path)[0]


class Checkpoints:
  """The last few checkpoints of a run, and its best one."""

  def __init__(self, directory, agent=None, keep=3):
    """Opens a folder of checkpoints; changes nothing in it.

    Args:
      directory: pathlib.Path; it need not exist.
      agent: upstream's Agent or a subclass; None to read the plain state
        only.
      keep: int, how many of the latest stay on disk.
    """
    self._directory, self._keep, self._state = directory, keep, _Json()
    parts = {} if agent is None else {'agent': agent}
    self._checkpoint = tf.train.Checkpoint(state=self._state, **parts)

  def save(self, step, state):
    """Writes a checkpoint, in place of one of the same step.

    Args:
      step: int, agent steps, not below those that are kept.
      state: dict of plain data; `best_step` is the step of the best one.

    Raises:
      OSError or tf.errors.OpError: if it cannot be written; those before stay.
    """
    self._state.value = state
    for left in self._directory.glob('.*.part'):
      shutil.rmtree(left)
    again = max((_number(x)[1] for x in self._kept() if _step(x) == step),
                default=0)
    name = f'{step}-{again + 1}' if again else str(step)
    with files.replacing(self._directory / name) as part:
      part.mkdir(parents=True)
      self._checkpoint.write(str(part / PREFIX))
    latest = {_step(x): x for x in self._kept()}
    wanted = {*sorted(latest)[-self._keep:], state.get('best_step')}
    for old in self._kept():
      if old != latest[_step(old)] or _step(old) not in wanted:
        shutil.rmtree(old.rename(self._directory / '.old.part'))

  def recover(self, problem=lambda state: ''):
    """Makes the newest checkpoint that is whole the latest one.

    For the training only, which has the folder to itself. Damaged ones are
    renamed to `*.damaged`, unless all are: then UsageError, and nothing is
    changed.

    Args:
      problem: function of a plain state, returns what is wrong with it, or ''.

    Returns:
      list of str, what was found, one line each.
    """
    wrong: dict = {}
    for path in reversed(self._kept()):
      wrong[path] = _damage(path, problem)
      if not wrong[path]:
        break
    damaged = [x for x in wrong if wrong[x]]
    if damaged and len(damaged) == len(wrong):
      raise UsageError(
          f'no checkpoint in {self._directory} can be read '
          f'({wrong[damaged[0]]}): restore one from a backup, or choose '
          'another folder with --logdir')
    notes = [self._quarantine(x) for x in damaged]
    best = self.path('best')
    if best and best not in wrong and _damage(best, problem):
      notes.append(self._quarantine(best))
    return notes

  @staticmethod
  def _quarantine(path):
    kept = files.quarantine(path, BROKEN)
    return f'The checkpoint {path} is damaged; quarantined as {kept.name}.'

  def path(self, which='latest'):
    """Finds a checkpoint.

    Args:
      which: `latest`, `best`, or the agent step of a kept one.

    Returns:
      pathlib.Path of its folder, or None if there is none.

    Raises:
      UsageError: if the latest one has to be read, and is damaged.
    """
    kept = {str(_step(x)): x for x in self._kept()}
    if which == 'latest':
      return list(kept.values())[-1] if kept else None
    if which == 'best':
      which = str((self.state() or {}).get('best_step'))
    return kept.get(str(which))

  def step(self):
    """Finds the agent step where a run would resume, or None."""
    path = self.path()
    return _step(path) if path else None

  def names(self):
    """Lists what `path` finds: agent steps as str, `latest` and `best`."""
    return [str(x) for x in dict.fromkeys(map(_step, self._kept()))] + [
        x for x in ('latest', 'best') if self.path(x)]

  def _kept(self):
    # In the order of writing.
    if (self._directory / 'latest').is_dir():
      raise UsageError(
          f'{self._directory} has checkpoints in latest/ and best/, as an '
          'earlier version wrote them; this one cannot read them: use that '
          'version, or another --logdir')
    return sorted(
        (x for x in self._directory.glob('*')
         if re.fullmatch(r'\d+(-\d+)?', x.name)), key=_number)

  def state(self, which='latest'):
    """Reads a checkpoint's plain state without touching the agent.

    Returns:
      dict, or None if there is no checkpoint `which`, see `path`.

    Raises:
      UsageError: if the files are damaged.
    """
    path = self.path(which)
    if not path:
      return None
    with self._damage_reported(path):
      return _state(path)

  def restore(self, which='latest'):
    """Loads a checkpoint, see `path`, into the agent, whose variables exist.

    Returns:
      dict, the plain state.

    Raises:
      UsageError: if the files are damaged, or a variable has another type.
      AssertionError: if the checkpoint lacks a variable of the agent.
      ValueError: if a variable has another shape.
    """
    path, logger = self.path(which), tf.get_logger()
    level = logger.level
    # If it fails, one line tells it, not one for each variable at the end.
    logger.setLevel('ERROR')
    with self._damage_reported(path):
      status = self._checkpoint.read(str(path / PREFIX)).expect_partial()
    logger.setLevel(level)
    status.assert_existing_objects_matched()
    return self._state.value

  @contextlib.contextmanager
  def _damage_reported(self, path):
    try:
      yield
    except (tf.errors.OpError, IndexError, json.JSONDecodeError) as error:
      others = [str(_step(x)) for x in self._kept() if x != path]
      raise UsageError(
          f'the checkpoint {path} is damaged, or another version of this '
          f'program wrote it; others that are kept: '
          f'{", ".join(others) or "none"}. A training falls back to the one '
          'before by itself; or choose another folder with --logdir'
      ) from error


def _state(path):
  reader = _Json()
  tf.train.Checkpoint(state=reader).read(str(path / PREFIX)).expect_partial()
  return reader.value


def _damage(path, problem=lambda state: ''):
  # What is wrong with a checkpoint, or nothing. Reading a tensor compares it
  # with its checksum.
  try:
    reader = tf.train.load_checkpoint(str(path / PREFIX))
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
    state = _state(path)
  except Exception as error:  # Damage shows in a dozen kinds of them.
    return ' '.join(str(error).split())[:200] or type(error).__name__
  if not isinstance(state, dict) or state.get('step') != _step(path):
    return 'it is not of this program'
  return problem(state)
