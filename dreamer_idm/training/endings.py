"""How a training ends before its last step, and what is said of it then."""

import contextlib
import re

import tensorflow as tf

from ..errors import TrainingError
from ..runs import checkpoints


@contextlib.contextmanager
def told(logdir, note, way_on):
  """Context whose errors become one line, with what to do next behind it.

  Args:
    logdir: pathlib.Path of the run.
    note: function of str, told when it is interrupted.
    way_on: function that returns a str of one line.

  Raises:
    TrainingError: instead of an OSError or tf.errors.OpError, or behind one.
    KeyboardInterrupt: if it is interrupted, or nobody reads the output.
  """
  try:
    yield
  except BrokenPipeError as error:
    raise KeyboardInterrupt from error
  except KeyboardInterrupt:
    with contextlib.suppress(OSError):
      note(way_on())
    raise
  except TrainingError as error:
    raise TrainingError(f'{error}. {way_on()}') from error
  except (OSError, tf.errors.OpError) as error:
    words = last_words(error, logdir)
    raise TrainingError(f'{words}. {way_on()}') from error


def way_on(config, logdir, step):
  """Says what the same command will do after a run that stopped at a step."""
  where = (
      f'Stopped at env step {step * config.action_repeat:,}; the same command ')
  # The disk knows: a checkpoint may be whole and its copy have failed.
  kept = checkpoints.Checkpoints(logdir / 'checkpoints').step()
  if kept is None:
    return where + 'starts over, for nothing was learned yet.'
  if kept == step:
    return where + 'resumes from there.'
  return where + (
      'resumes from the last checkpoint, at env step '
      f'{kept * config.action_repeat:,}.')


def last_words(error, logdir):
  """Says in a line what went wrong.

  Args:
    error: OSError or tf.errors.OpError.
    logdir: pathlib.Path, named where the error names no file.

  Returns:
    str of at most 300 characters, unless a file's name is longer.
  """
  if isinstance(error, OSError) and error.strerror:
    return f'{error.filename or logdir}: {error.strerror}'
  # TensorFlow's last words stand behind a trace, between names of nodes.
  text = re.sub(r'\{\{.*?\}\}\s*|\s*\[Op:\w+\]', '', str(error))
  lines = [x.strip() for x in text.splitlines()]
  lines = [x for x in lines if x and not x.startswith(('[[', 'File '))]
  return lines[-1][:300] if lines else type(error).__name__
