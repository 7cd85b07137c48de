"""TensorFlow's settings and the seeds of a run."""

import random

import numpy as np
import tensorflow as tf

from ..patches import fast as fast_bodies


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
  """
  fast_bodies.ENABLED = fast
  gpus = tf.config.list_physical_devices('GPU')
  for gpu in gpus:
    tf.config.experimental.set_memory_growth(gpu, True)
  if threads:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
  tf.config.run_functions_eagerly(not jit)
  tf.keras.mixed_precision.set_global_policy({
      '16': 'mixed_float16', 'bf16': 'mixed_bfloat16', '32': 'float32',
  }[precision])
  return gpus


def seed(number, step=0):
  """Seeds Python, NumPy and TensorFlow.

  TensorFlow's random operations keep their state where it cannot be saved, so
  a resumed run draws other noise than an uninterrupted one; the step is mixed
  in lest it repeat the noise from the run's beginning.

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
