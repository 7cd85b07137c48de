"""What the benches share: a command line, processes that take turns, files."""

import argparse
import json
import multiprocessing
import os
import pathlib
import sys
import time
import traceback

import matmul
import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def parser(doc, **defaults):
  """Makes a command line with what every bench takes.

  Args:
    doc: str, docstring of the bench.
    **defaults: of `rounds`, where the bench has them.

  Returns:
    argparse.ArgumentParser with `threads`, `json` and `flags`, the flags of
    run.py behind `--`.
  """
  made = argparse.ArgumentParser(
      description=doc, formatter_class=argparse.RawDescriptionHelpFormatter,
      epilog='Flags of run.py may follow behind --.')
  if 'rounds' in defaults:
    made.add_argument(
        '--rounds', type=int, default=defaults['rounds'], help='turns of each')
  made.add_argument(
      '--threads', type=int, default=0, help='of TensorFlow; 0: one a core')
  made.add_argument('--json', type=pathlib.Path, help='file for all numbers')
  made.add_argument('flags', nargs='*', help=argparse.SUPPRESS)
  return made


def write(arguments, results):
  """Writes the results, and what they were measured on, if `--json` asks.

  Args:
    arguments: parsed command line.
    results: whatever JSON takes.
  """
  if arguments.json:
    settings = {
        k: v for k, v in vars(arguments).items()
        if not isinstance(v, pathlib.Path)}
    arguments.json.write_text(json.dumps({
        **settings, 'cores': os.cpu_count(), 'load': os.getloadavg(),
        'matrix_product': matmul.measure(arguments.threads),
        'results': results}, indent=1) + '\n')


def quartiles(values, unit=1.0, digits=0):
  """Writes a median with its quartiles.

  Args:
    values: list of floats.
    unit: float to multiply by.
    digits: int, behind the point.

  Returns:
    str such as `12 (10-15)`.
  """
  import numpy as np
  low, middle, high = unit * np.percentile(values, [25, 50, 75])
  return f'{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})'


class Process:
  """An object in a process of its own, whose methods are called by name."""

  def __init__(self, make, *args, threads=0):
    """Starts the process and waits until the object is there.

    Args:
      make: function or class, top level in its module.
      *args: for it.
      threads: int, of TensorFlow.
    """
    context = multiprocessing.get_context('spawn')
    self._connection, theirs = context.Pipe()
    began = time.perf_counter()
    self._process = context.Process(
        target=_serve, args=(theirs, make, args, threads), daemon=True)
    self._process.start()
    theirs.close()
    self._receive()
    self.ready = {  # From the process's start, as in `timed`.
        'seconds': time.perf_counter() - began, 'cpu': self._cpu()}

  def call(self, method, *args):
    """Calls a method of the object.

    Args:
      method: str.
      *args: for it.

    Returns:
      what it returns.
    """
    self._connection.send((method, args))
    return self._receive()

  def peak_memory(self):
    """Reads the most memory that was resident so far.

    Returns:
      float, GB. (getrusage's number is the parent's, if that was larger.)
    """
    status = pathlib.Path(f'/proc/{self._process.pid}/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1e6

  def _cpu(self):
    """Returns the seconds of all cores that the process has used."""
    times = psutil.Process(self._process.pid).cpu_times()
    return times.user + times.system

  def close(self):
    """Ends the process."""
    self._connection.close()
    self._process.join()

  def _receive(self):
    try:
      failed, result = self._connection.recv()
    except EOFError:
      self._process.join()
      sys.exit(f'a process ended with exit code {self._process.exitcode}')
    if failed:
      sys.exit(result)
    return result


def _serve(connection, make, args, threads):
  """Makes the object and answers calls until the other end is closed."""
  try:
    _prepare(threads)
    made = make(*args)
    connection.send((False, None))
    while True:
      try:
        method, args = connection.recv()
      except EOFError:
        return
      connection.send((False, getattr(made, method)(*args)))
  except Exception:
    connection.send((True, traceback.format_exc()))


def _prepare(threads):
  """Sets TensorFlow up as a training does, in float32."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  # isort: split
  import tensorflow as tf

  from dreamer_idm.agent import tf_setup
  tf.get_logger().setLevel('ERROR')  # Upstream's agent is traced twice.
  tf_setup.configure('32', threads)


def timed(function):
  """Calls a function and times it.

  Args:
    function: without arguments.

  Returns:
    dict: `seconds`, and `cpu`, the seconds of all cores that this process
    used, which other work on the machine changes less.
  """
  began, used = time.perf_counter(), time.process_time()
  function()
  return {
      'seconds': time.perf_counter() - began,
      'cpu': time.process_time() - used}


def turns(reference, other, method, rounds):
  """Lets two processes take turns.

  Whatever else the machine does then meets both turns of a pair, so that
  their ratio is the number to trust.

  Args:
    reference: Process.
    other: Process.
    method: str, returns what `timed` does.
    rounds: int.

  Returns:
    two dicts of lists of floats: `seconds` and `cpu` of either, the second
    with its ratios to the first one's turn before, `ratio` and `cpu_ratio`.
  """
  one = {'seconds': [], 'cpu': []}
  two = {'seconds': [], 'cpu': [], 'ratio': [], 'cpu_ratio': []}
  for _ in range(rounds):
    before, now = reference.call(method), other.call(method)
    for key, ratio in (('seconds', 'ratio'), ('cpu', 'cpu_ratio')):
      one[key].append(before[key])
      two[key].append(now[key])
      two[ratio].append(now[key] / before[key])
  return one, two
