"""Trials on this machine, as many at a time as have room."""

import concurrent.futures
import os
import signal

import psutil

from ..errors import UsageError
from . import gpus
from . import trial_process


class LocalEngine:
  """Runs trials, each known by a number of the caller's.

  Attributes:
    slots: int, how many run at a time.
    limit: number, how many may be started at a time.
    text: str, for the user: where and with what they run.
  """

  def __init__(self, args):
    """Finds out how many cores, GPUs and memory allow.

    Args:
      args: argparse.Namespace of `ab.add_arguments`.

    Raises:
      UsageError: if there is no room for one.
    """
    self._memory, self._gpus = args.memory, gpus.visible()
    if self._gpus:
      each = args.per_gpu or 1
      most = len(self._gpus) * each
      self.slots = min(most, args.jobs or most)
      self.text = f'on {len(self._gpus)} GPU(s) with {each} each'
    elif args.per_gpu:
      raise UsageError(
          '--per-gpu needs a GPU, but there is none here: nvidia-smi -L lists '
          'none, or CUDA_VISIBLE_DEVICES hides all of them')
    else:
      affinity = getattr(psutil.Process(), 'cpu_affinity', None)  # No macOS.
      cores = len(affinity()) if affinity else os.cpu_count() or 1
      self.slots = args.jobs or max(1, cores // args.threads)
      self.text = f'on {cores} core(s) with {args.threads} thread(s) each'
    if args.memory:
      total = psutil.virtual_memory().total / trial_process.GB
      if args.memory > total:
        raise UsageError(
            f'--memory {args.memory:g}: a trial cannot have that many GB, '
            f'this machine has {total:.1f}')
      self.slots = min(self.slots, int(total / args.memory))
      self.text += f', {args.memory:g} of {total:.1f} GB each'
    self.limit: float = self.slots
    self._pool = concurrent.futures.ThreadPoolExecutor(self.slots)
    self._running: dict = {}  # Number -> Future and what `_ask` needs.

  def start(self, index, trial):
    """Starts a trial.

    Args:
      index: int, its number.
      trial: Trial.
    """
    self._running[index] = self._submit(trial)

  def ended(self):
    """Removes the trials whose processes have ended.

    Returns:
      list of (int number, int exit code, str): why it was killed, or could
      not be run, if so.
    """
    found = []
    for index, (future, _) in list(self._running.items()):
      if future.done():
        del self._running[index]
        error = future.exception()
        lines = str(error).strip().splitlines() or ['']
        found.append((index, *(future.result() if error is None else (
            1, f'cannot be run, {type(error).__name__}: {lines[-1]}'[:300]))))
    return found

  def stop(self, seconds):
    """Asks all trials to save and exit, and waits for them.

    Args:
      seconds: float, until those that are left are killed.

    Raises:
      KeyboardInterrupt: if interrupted again; none is left then either.
    """
    try:
      for _, handle in self._running.values():
        self._ask(handle)
      concurrent.futures.wait([x for x, _ in self._running.values()], seconds)
    finally:
      self.close()

  def close(self):
    """Kills what is left."""
    for _, (asked, _) in self._running.values():
      asked.append(signal.SIGKILL)
    self._pool.shutdown()

  def _submit(self, trial):
    gpu, environ = None, trial.environ
    asked: list[int] = []
    if self._gpus:
      busy = [x for _, (_, x) in self._running.values()]
      gpu = min(self._gpus, key=busy.count)
      environ = {**environ, gpus.VARIABLE: gpu}
    return self._pool.submit(
        trial_process.attempt, trial.command, trial.logdir, environ,
        self._memory, asked), (asked, gpu)

  def _ask(self, handle):
    handle[0].append(signal.SIGTERM)
