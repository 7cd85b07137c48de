"""Trials on a Ray cluster, or on a Ray that is started for them here.

Ray decides where and when a trial runs; what a trial is does not change: the
same command, as a process below a Ray worker. Results come back over the
shared file system. Trying again is left to `comparison`, for both engines.

Where Ray itself is ended, its workers' trials are killed without saving, and
go back to their last checkpoints: after a SIGKILL of `ab`, or a SIGTERM of its
whole process group, to which a Ray that was started here belongs.
"""

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import time

from ..errors import UsageError
from . import trial_process

POLL = 1.0  # Seconds between a worker's looks at its trial.
STORE = 80_000_000  # Bytes of shared memory, Ray's least; we need none.


def work(command, logdir, memory, environ):
  """Runs a trial within a Ray worker, until it ends or is cancelled.

  Args:
    command: list of str.
    logdir: str.
    memory: float, GB; 0: no limit.
    environ: dict of str, set in the trial's environment.

  Returns:
    int exit code, and a str that says why it was killed, if it was.
  """
  # ray.cancel interrupts the main thread. As a KeyboardInterrupt it could hit
  # the moment in which the process runs and nobody knows it yet.
  cancels: list[int] = []
  before = signal.signal(
      signal.SIGINT, lambda signum, frame: cancels.append(signum))
  try:
    process = trial_process.TrialProcess(command, logdir, memory, **environ)
    while (result := process.poll()) is None:
      if cancels:
        cancels.clear()
        process.terminate()  # Who cancelled sees to the rest.
      time.sleep(POLL)
    return result
  finally:
    signal.signal(signal.SIGINT, before)


class RayEngine:
  """Hands all trials to Ray at once; it runs as many as have room."""

  def __init__(self, args):
    """Starts Ray or joins a cluster.

    Args:
      args: argparse.Namespace of `ab.add_arguments`.

    Raises:
      UsageError: if there is no Ray, no cluster, or no room for a trial.
    """
    if importlib.util.find_spec('ray') is None:
      raise UsageError(
          '--engine ray needs Ray, which is not installed: '
          "pip install 'ray>=2.60', or use --engine local")
    if args.address not in (None, 'auto'):
      _check_address(args.address)
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    # What Ray will do one day, which it announces at length until then.
    os.environ.setdefault('RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO', '0')
    import ray
    self._ray = ray
    try:
      ray.init(
          address=args.address or 'local', include_dashboard=False,
          log_to_driver=False, logging_level=logging.ERROR,
          object_store_memory=None if args.address else STORE)
    except (ConnectionError, RuntimeError, ValueError) as error:
      raise UsageError(
          f'no Ray at --address {args.address}: '
          f'{str(error).splitlines()[0]}') from error
    self._options = {
        'num_cpus': args.threads if args.cpus is None else args.cpus,
        'num_gpus': args.gpus or 0,
        'memory': int(args.memory * trial_process.GB) or None}
    self._memory = args.memory
    self._refs: dict = {}
    self._sizes: dict = {}
    self.slots = self._count()
    self.text = f'on {len(self._nodes())} machines' if args.address else (
        'on a Ray of its own')

  def _nodes(self):
    return [x['Resources'] for x in self._ray.nodes() if x['Alive']]

  def _count(self):
    # How many trials have room at a time.
    names = {'num_cpus': 'CPU', 'num_gpus': 'GPU', 'memory': 'memory'}
    wanted = {names[k]: v for k, v in self._options.items() if v}
    count = sum(
        min(int(x.get(k, 0) / v) for k, v in wanted.items())
        for x in self._nodes()) if wanted else len(self._nodes())
    if not count:
      text = ', '.join(f'{k} {v:g}' for k, v in wanted.items())
      self.close()
      raise UsageError(
          f'no machine of this Ray has what a trial asks for ({text}): '
          'lower --cpus, --gpus, --memory or --threads')
    return count

  def room(self):
    """Whether another trial may begin; Ray lets it wait where it must.

    Returns:
      bool.
    """
    return True

  def start(self, key, trial):
    """Hands a trial to Ray.

    Args:
      key: int, which the caller knows it by.
      trial: Trial.
    """
    environ = {} if self._options['num_gpus'] else {'CUDA_VISIBLE_DEVICES': ''}
    remote = self._ray.remote(work).options(max_retries=0, **self._options)
    self._sizes[key] = _size(trial)
    self._refs[key] = trial, remote.remote(
        trial.command, str(trial.logdir), self._memory, environ)

  def begun(self, key):
    """Whether a started trial runs, or still waits within Ray.

    Args:
      key: int.

    Returns:
      bool.
    """
    # Its log begins with a line from the worker.
    return key in self._refs and _size(self._refs[key][0]) > self._sizes[key]

  def ended(self):
    """Takes out the trials that have ended, or whose worker has.

    Returns:
      list of (int key, int exit code, str why it was killed, if it was).
    """
    if not self._refs:
      return []
    refs = [x for _, x in self._refs.values()]
    done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
    found = []
    for key, (_, ref) in list(self._refs.items()):
      if ref in done:
        del self._refs[key]
        found.append((key, *self._result(ref)))
    return found

  def _result(self, ref):
    try:
      return self._ray.get(ref)
    except self._ray.exceptions.RayError as error:
      reason = str(error).strip().splitlines() or ['']
      return 1, f'its Ray worker: {type(error).__name__}, {reason[-1]}'[:300]

  def stop(self, seconds):
    """Asks all trials to save and exit, and waits for them.

    Those that are left then are Ray's to kill: its workers end with our
    connection, on a cluster too, and each kills its trial (seen with 2.60, a
    moment after this returns). What a trial itself has started is not killed
    and ends when it notices.

    Args:
      seconds: float, to wait.

    Raises:
      KeyboardInterrupt: if interrupted again; they are left to Ray at once.
    """
    try:
      for _, ref in self._refs.values():
        self._ray.cancel(ref)
      until = time.time() + seconds + 2 * POLL
      while self._refs and time.time() < until:
        time.sleep(0.1)
        self.ended()
    finally:
      self.close()

  def close(self):
    """Leaves the cluster, or ends the Ray that was started; see `stop`."""
    self._refs.clear()
    self._ray.shutdown()


def _check_address(address):
  # Ray itself would try for minutes, and say so again and again.
  host, _, port = address.rpartition(':')
  try:
    socket.create_connection((host, int(port)), timeout=5).close()
  except (OSError, ValueError) as error:
    raise UsageError(
        '--address expects auto, or the HOST:PORT of a Ray that runs, but '
        f'nothing answers at {address}') from error


def _size(trial):
  with contextlib.suppress(OSError):
    return os.path.getsize(trial.logdir / trial_process.LOG)
  return 0
