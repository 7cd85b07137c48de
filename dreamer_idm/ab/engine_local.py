"""Trials as processes on this machine."""

import os
import time

from ..errors import UsageError
from . import trial_process


class LocalEngine:
  """Runs so many trials at a time as cores and memory allow."""

  def __init__(self, args):
    """Finds out how many.

    Args:
      args: argparse.Namespace of `ab.add_arguments`.

    Raises:
      UsageError: if there is no room for one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(
        os, 'sched_getaffinity') else os.cpu_count() or 1
    self.slots = args.jobs or max(1, cores // args.threads)
    self.text = (
        f'{args.threads} thread{"s" * (args.threads > 1)} each on {cores} '
        f'core{"s" * (cores > 1)}')
    if args.memory:
      total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (
          trial_process.GB)
      if args.memory > total:
        raise UsageError(
            f'--memory {args.memory:g}: a trial cannot have that many GB, '
            f'this machine has {total:.1f}')
      self.slots = min(self.slots, int(total / args.memory))
      self.text += f', {args.memory:g} of {total:.1f} GB each'
    self._memory = args.memory
    self._processes: dict = {}

  def room(self):
    """Whether another trial may begin.

    Returns:
      bool.
    """
    return len(self._processes) < self.slots

  def start(self, key, trial):
    """Starts a trial.

    Args:
      key: int, which the caller knows it by.
      trial: Trial.

    Raises:
      OSError: if its folder cannot be written to, or no process started.
    """
    self._processes[key] = trial_process.TrialProcess(
        trial.command, trial.logdir, self._memory)

  def begun(self, key):
    """Whether a started trial runs, or still waits within the engine.

    Args:
      key: int.

    Returns:
      bool.
    """
    return key in self._processes

  def ended(self):
    """Takes out the trials whose processes have ended.

    Returns:
      list of (int key, int exit code, str why it was killed, if it was).
    """
    found = []
    for key, process in list(self._processes.items()):
      result = process.poll()
      if result is not None:
        del self._processes[key]
        found.append((key, *result))
    return found

  def stop(self, seconds):
    """Asks all trials to save and exit, and waits for them.

    Args:
      seconds: float, until those that are left are killed.

    Raises:
      KeyboardInterrupt: if interrupted again; none is left then either.
    """
    for process in self._processes.values():
      process.terminate()
    until = time.time() + seconds
    try:
      while self._processes and time.time() < until:
        time.sleep(0.1)
        self.ended()
    finally:
      self.close()

  def close(self):
    """Kills what is left."""
    for process in self._processes.values():
      process.kill()
    self._processes.clear()
