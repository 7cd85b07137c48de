"""How training ends before its last step, and what the user reads then."""

import contextlib
import re

import tensorflow as tf

from ..errors import TrainingError
from ..runs import checkpoints


@contextlib.contextmanager
def reported(logdir, note, how_to_resume):
  """Context whose errors become one line that ends with what to do next.

  Args:
    logdir: pathlib.Path of the run.
    note: function of str, called when it is interrupted.
    how_to_resume: function that returns a str of one line.

  Raises:
    TrainingError: instead of an OSError or tf.errors.OpError, or behind one.
    KeyboardInterrupt: if it is interrupted, or its output pipe is closed.
  """
  try:
    yield
  except BrokenPipeError as error:
    raise KeyboardInterrupt from error
  except KeyboardInterrupt:
    with contextlib.suppress(OSError):
      note(how_to_resume())
    raise
  except TrainingError as error:
    raise TrainingError(f'{error}. {how_to_resume()}') from error
  except (OSError, tf.errors.OpError) as error:
    line = described(error, logdir)
    raise TrainingError(f'{line}. {how_to_resume()}') from error


def how_to_resume(config, logdir, step):
  """Says what the same command will do next.

  Args:
    config: upstream's Config with our keys.
    logdir: pathlib.Path of the run.
    step: int, the agent step at which it stopped.

  Returns:
    str of one line.
  """
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


def described(error, logdir):
  """Describes an error in one line.

  Args:
    error: OSError or tf.errors.OpError.
    logdir: pathlib.Path, named where the error names no file.

  Returns:
    str of at most 300 characters, unless a file's name is longer.
  """
  if isinstance(error, OSError) and error.strerror:
    return f'{error.filename or logdir}: {error.strerror}'
  # TensorFlow's message follows a trace, between names of nodes.
  text = re.sub(r'\{\{.*?\}\}\s*|\s*\[Op:\w+\]', '', str(error))
  lines = [x.strip() for x in text.splitlines()]
  lines = [x for x in lines if x and not x.startswith(('[[', 'File '))]
  return lines[-1][:300] if lines else type(error).__name__
