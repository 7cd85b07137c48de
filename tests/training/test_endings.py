"""What is said of a training that ends before its last step."""

import errno

import pytest
import tensorflow as tf

from dreamer_idm.config import load as config_lib
from dreamer_idm.errors import TrainingError
from dreamer_idm.runs import checkpoints
from dreamer_idm.training import endings


def config():
  return config_lib.load(['--configs', 'cpu', '--steps', '1000'])


def test_how_to_resume_is_what_the_disk_says(tmp_path):
  saved = checkpoints.Checkpoints(
      tmp_path / 'checkpoints', tf.train.Checkpoint(x=tf.Variable(1.0)), 3)
  said = lambda step: endings.how_to_resume(config(), tmp_path, step)
  assert said(60) == (
      'Stopped at env step 240; the same command starts over, for nothing was '
      'learned yet.')
  saved.save(60, {'step': 60})
  assert said(60).endswith('resumes from there.')
  assert said(75).startswith('Stopped at env step 300;')
  assert said(75).endswith('from the last checkpoint, at env step 240.')


@pytest.mark.parametrize('error, words', [
    (OSError(errno.ENOSPC, 'No space left', 'a/file'), 'a/file: No space left'),
    (OSError(errno.ENOSPC, 'No space left'), 'run: No space left'),
    (tf.errors.AbortedError(None, None, (
        'Trace:\n  File "x.py", line 1\nthe cause \n\t [[node/name]]\n')),
     'the cause'),
    (tf.errors.AbortedError(None, None, 'x' * 999), 'x' * 300),
    (tf.errors.AbortedError(None, None, (
        '{{function_node x}} file; No space left [Op:Save]')),
     'file; No space left'),
    (tf.errors.AbortedError(None, None, ''), 'AbortedError')])
def test_errors_are_described_in_one_line(error, words):
  assert endings.described(error, 'run') == words


@pytest.mark.parametrize('error, kind, words', [
    (BrokenPipeError(), KeyboardInterrupt, ''),
    (KeyboardInterrupt(), KeyboardInterrupt, ''),
    (TrainingError('it is bad'), TrainingError, 'it is bad. Do this.'),
    (OSError(errno.ENOSPC, 'full'), TrainingError, 'run: full. Do this.'),
    (KeyError('own'), KeyError, "'own'")])
def test_errors_become_a_line_that_says_how_to_resume(error, kind, words):
  notes = []
  with pytest.raises(kind) as found:
    with endings.reported('run', notes.append, lambda: 'Do this.'):
      raise error
  assert str(found.value) == words
  assert notes == (['Do this.'] if type(error) is KeyboardInterrupt else [])
