"""Describes errors that a user's environment raises."""

import os
import pathlib
import traceback

import gymnasium

from ..envs import workers
from ..upstream import path as upstream_path

# Where the frames between the training and a user's environment are.
_WRAPPERS = tuple(str(x) + os.sep for x in (
    pathlib.Path(__file__).parents[1], upstream_path.directory(),
    pathlib.Path(gymnasium.__file__).parent))


def described(error):
  """Describes an error by its type and message, and by its traceback.

  Args:
    error: Exception.

  Returns:
    str of one line, and str of several; the traceback begins with the first
    frame that is neither ours nor a wrapper's, and is empty for a lost worker.
  """
  if isinstance(error, workers.WorkerLost):
    return str(error), ''
  text = str(error).strip()
  if text.startswith('Traceback'):  # From a worker, which sends it as text.
    return text.splitlines()[-1], text
  words = f'{type(error).__name__}: {text}'.splitlines()[0].rstrip(': ')
  frames = error.__traceback__
  while frames and frames.tb_frame.f_code.co_filename.startswith(_WRAPPERS):
    frames = frames.tb_next
  return words, ''.join(traceback.format_exception(
      type(error), error, frames or error.__traceback__))


class Notes:
  """Reports failures; `once` reports each kind a single time."""

  def __init__(self, note):
    """Reports to a function of str."""
    self._note, self._reported = note, set()

  def __call__(self, text):
    """Reports a line."""
    self._note(text)

  def once(self, kind, text):
    """Reports lines, unless something of this kind was reported before.

    Args:
      kind: str.
      text: str of one or more lines.
    """
    if kind not in self._reported:
      self._reported.add(kind)
      for line in text.splitlines():
        self._note(line)
