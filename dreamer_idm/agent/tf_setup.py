"""TensorFlow's settings and the seeds of a run."""

import os
import pathlib
import random
import shutil

import numpy as np
import tensorflow as tf

from ..errors import UsageError
from ..patches import fast as fast_bodies

NVIDIA = pathlib.Path('/proc/driver/nvidia/version')  # Where the driver is.


def configure(precision, threads=0, jit=True, fast=True):
  """Sets TensorFlow up for a training.

  Args:
    precision: `16` (mixed float16 with loss scaling), `bf16` (mixed
      bfloat16) or `32`.
    threads: int, CPU threads per operation; 0 leaves it to TensorFlow.
    jit: bool, whether tf.functions are compiled to graphs.
    fast: bool, whether to use the faster bodies of upstream's methods.

  Returns:
    list of the GPUs that TensorFlow sees.

  Raises:
    UsageError: if this process has used TensorFlow before, with another number
      of threads or GPUs that it took whole.
  """
  fast_bodies.ENABLED = fast
  gpus = tf.config.list_physical_devices('GPU')
  try:
    for gpu in gpus:
      tf.config.experimental.set_memory_growth(gpu, True)
    if threads:
      tf.config.threading.set_intra_op_parallelism_threads(threads)
      tf.config.threading.set_inter_op_parallelism_threads(threads)
  except RuntimeError as error:
    raise UsageError(
        f'TensorFlow has already begun in this process ({error}): give the '
        'same threads as before or 0, or begin a process') from error
  tf.config.run_functions_eagerly(not jit)
  tf.keras.mixed_precision.set_global_policy({
      '16': 'mixed_float16', 'bf16': 'mixed_bfloat16', '32': 'float32',
  }[precision])
  return gpus


def device(gpus):
  """Names what the training runs on.

  Args:
    gpus: list of the GPUs that TensorFlow sees, from `configure`.

  Returns:
    str, `CPU` or the names of the GPUs.
  """
  details = tf.config.experimental.get_device_details
  return ', '.join(
      details(x).get('device_name', x.name) for x in gpus) or 'CPU'


def threads(number):
  """Counts the threads of an operation on the CPU.

  Args:
    number: int, as given to `configure`.

  Returns:
    int, the cores that the process may use for 0.
  """
  cores = getattr(os, 'sched_getaffinity', None)  # Linux has it.
  return number or (len(cores(0)) if cores else os.cpu_count())


def unused_gpu(gpus):
  """Says why the NVIDIA GPU of this machine is not used.

  Args:
    gpus: list of the GPUs that TensorFlow sees, from `configure`.

  Returns:
    str, one line; empty if there is none, it is used, or it is hidden by
    CUDA_VISIBLE_DEVICES.
  """
  hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
  if gpus or hidden or not (NVIDIA.exists() or shutil.which('nvidia-smi')):
    return ''
  why = (
      'its CUDA libraries are missing or do not fit the driver (pip install '
      f"'tensorflow[and-cuda]=={tf.__version__}')"
      if tf.test.is_built_with_cuda() else 'it is built without CUDA')
  return (
      'This machine has an NVIDIA GPU, but TensorFlow does not see it: '
      f'{why}. Training on the CPU.')


def seed(number, step=0):
  """Seeds Python, NumPy and TensorFlow.

  TensorFlow's random operations keep their state where it cannot be saved, so
  a resumed run draws other noise than an uninterrupted one; the step is mixed
  in so that it does not repeat the noise from the run's beginning.

  Args:
    number: int, the run's seed.
    step: int, the agent step that the process starts from.

  Returns:
    int in [0, 2**31), the seed that was used.
  """
  sequence = np.random.SeedSequence([abs(int(number)), int(step)])
  derived = int(sequence.generate_state(1)[0]) % 2 ** 31
  random.seed(derived)
  np.random.seed(derived)
  tf.random.set_seed(derived)
  return derived
