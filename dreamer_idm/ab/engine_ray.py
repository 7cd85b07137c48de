"""Trials on a Ray cluster, or on a Ray that is started for them here.

Ray decides where and when a trial runs, as a process below one of its workers;
results come back over the shared file system. Where Ray itself is ended (by a
SIGKILL of `ab`, or a SIGTERM of the process group of `ab` and a Ray that was
started here) trials are killed unsaved and resume from their last checkpoints.
"""

import importlib.util
import logging
import math
import os
import signal
import socket

from ..errors import UsageError
from . import engine
from . import trial_process

STORE = 80_000_000  # Bytes of shared memory, Ray's least; we need none.


def work(command, logdir, environ, memory, directory):
  """Runs `trial_process.attempt` within a Ray worker; cancelling ends it.

  It runs in `directory`, a str, if this machine has such a folder.
  """
  # ray.cancel interrupts the main thread. As a KeyboardInterrupt it could hit
  # the moment in which the process runs but is not yet known here.
  asked: list[int] = []
  before = signal.signal(
      signal.SIGINT, lambda signum, frame: asked.append(signal.SIGTERM))
  try:
    return trial_process.attempt(
        command, logdir, environ, memory, asked,
        directory if os.path.isdir(directory) else None)
  finally:
    signal.signal(signal.SIGINT, before)


class RayEngine(engine.LocalEngine):
  """Hands all trials to Ray at once; it runs as many as have room."""

  limit = math.inf

  def __init__(self, args):
    """Starts Ray or joins a cluster; UsageError if no trial can run there."""
    if importlib.util.find_spec('ray') is None:
      raise UsageError(
          '--engine ray needs Ray, which is not installed: '
          "pip install 'ray>=2.60', or use --engine local")
    if args.cpus == 0 and not args.gpus:
      raise UsageError(
          '--cpus 0 needs --gpus, or nothing keeps Ray from running all '
          'trials at once')
    if args.address not in (None, 'auto'):
      _check_address(args.address)
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    # Ray would announce at length what this will be one day.
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
    self._started, self._memory = [], args.memory
    wanted = {
        'CPU': args.threads if args.cpus is None else args.cpus,
        'GPU': args.gpus or 0, 'memory': int(args.memory * trial_process.GB)}
    self._remote = ray.remote(work).options(
        max_retries=0, num_cpus=wanted['CPU'], num_gpus=wanted['GPU'],
        memory=wanted['memory'] or None, runtime_env={'env_vars': {
            'PYTHONPATH': trial_process.python_path()}})
    self._environ = {} if args.gpus else {engine.GPUS: ''}
    nodes = [x['Resources'] for x in ray.nodes() if x['Alive']]
    wanted = {k: v for k, v in wanted.items() if v}
    self.slots = sum(
        min(int(x.get(k, 0) / v) for k, v in wanted.items()) for x in nodes)
    self.text = f'on {len(nodes)} machines' if args.address else (
        'on a Ray of its own')
    if not self.slots:
      self.close()
      text = ', '.join(f'{k} {v:g}' for k, v in wanted.items())
      raise UsageError(
          f'no machine of this Ray has what a trial asks for ({text}): '
          'lower --cpus, --gpus, --memory or --threads')

  def close(self):
    """Leaves the cluster, or ends the Ray that was started.

    Its workers end with our connection, and each kills its trial (Ray 2.60).
    """
    self._ray.shutdown()

  def _submit(self, trial):
    ref = self._remote.remote(
        trial.command, trial.logdir, self._environ, self._memory,
        os.getcwd())
    return ref.future(), ref

  def _ask(self, handle):
    self._ray.cancel(handle)


def _check_address(address):
  """Asks first: Ray itself would try for minutes, and say so repeatedly."""
  host, _, port = address.rpartition(':')
  try:
    socket.create_connection((host, int(port)), timeout=5).close()
  except (OSError, ValueError) as error:
    raise UsageError(
        '--address expects auto, or the HOST:PORT of a Ray that runs, but '
        f'nothing answers at {address}') from error
