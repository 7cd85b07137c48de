"""Trials on this machine, as many at a time as have room."""

import concurrent.futures
import itertools
import os
import re
import signal
import subprocess

import psutil

from ..errors import UsageError
from . import trial_process

GPUS = 'CUDA_VISIBLE_DEVICES'


def gpus():
  """Lists the GPUs that trials may use, as CUDA_VISIBLE_DEVICES takes them.

  Those that it has if it is set, else the UUIDs that `nvidia-smi -L` lists
  (CUDA may number GPUs in another order), of partitions if there are some.
  """
  if GPUS in os.environ:
    names = [x.strip() for x in os.environ[GPUS].split(',')]
    # CUDA stops at the first name that is no device.
    return list(itertools.takewhile(
        lambda x: x not in ('', '-1', 'NoDevFiles'), names))
  try:
    listed = subprocess.run(
        ['nvidia-smi', '-L'], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=True).stdout
  except (OSError, subprocess.SubprocessError):
    return []  # No driver of NVIDIA's, or none that works.
  found = re.findall(r'\(UUID: (\S+)\)', listed)
  return [x for x in found if x.startswith('MIG-')] or found


class LocalEngine:
  """Runs trials.

  Attributes:
    slots: int, how many run at a time.
    limit: number, how many may be started at a time.
    text: str, for the user: where and with what they run.
  """

  def __init__(self, args):
    """Finds out how many have room, or raises UsageError if none has."""
    self._memory, self._gpus = args.memory, gpus()
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
    self._started: list = []  # Futures and what `_ask` needs.

  def start(self, trial):
    """Starts a Trial; returns a Future of what `attempt` returns."""
    self._started.append(self._submit(trial))
    return self._started[-1][0]

  def interrupt(self, future):
    """Asks the trial of a Future of `start` to save and exit."""
    self._ask(dict(self._started)[future])

  def stop(self, seconds):
    """Asks all trials to save and exit; kills those that are left after that.

    A KeyboardInterrupt cuts the waiting short.
    """
    try:
      for _, handle in self._started:
        self._ask(handle)
      concurrent.futures.wait([x for x, _ in self._started], seconds)
    finally:
      self.close()

  def close(self):
    """Kills what is left."""
    for _, (asked, _) in self._started:
      asked.append(signal.SIGKILL)
    self._pool.shutdown()

  def _submit(self, trial):
    """Returns a Future, and what `_ask` needs to ask the trial to save."""
    asked: list[int] = []
    busy = [gpu for x, (_, gpu) in self._started if not x.done()]
    gpu = min(self._gpus, key=busy.count) if self._gpus else None
    return self._pool.submit(
        trial_process.attempt, trial.command, trial.logdir,
        {GPUS: gpu} if gpu else {}, self._memory, asked), (asked, gpu)

  def _ask(self, handle):
    handle[0].append(signal.SIGTERM)
