import os
import random

import numpy as np
import tensorflow as tf

from dreamer_idm.agent import tf_setup


def draws(*args):
  tf_setup.seed(*args)
  return random.random(), np.random.rand(), float(tf.random.normal(()))


def test_one_seed_settles_python_numpy_and_tensorflow():
  assert draws(3) == draws(3)
  for one, other in zip(draws(3), draws(4), strict=True):
    assert one != other


def test_a_resumed_process_does_not_repeat_the_noise_of_the_first():
  for one, other in zip(draws(3, 0), draws(3, 500), strict=True):
    assert one != other


def test_precision_is_the_one_that_is_given():
  policy = tf.keras.mixed_precision.global_policy
  expected = {'16': 'float16', 'bf16': 'bfloat16', '32': 'float32'}
  try:
    for name, dtype in expected.items():
      gpus = tf_setup.configure(name)
      assert gpus == tf.config.list_physical_devices('GPU')
      assert policy().compute_dtype == dtype
  finally:
    tf_setup.configure('32')


def test_the_device_and_the_threads_have_names():
  assert tf_setup.device([]) == 'CPU'
  assert tf_setup.threads(3) == 3
  assert tf_setup.threads(0) == len(os.sched_getaffinity(0))


def test_a_gpu_that_tensorflow_does_not_see_is_reported(tmp_path, monkeypatch):
  monkeypatch.setattr(tf_setup, 'NVIDIA', tmp_path / 'version')
  monkeypatch.setenv('PATH', str(tmp_path))
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
  assert tf_setup.unused_gpu([]) == ''
  tool = tmp_path / 'nvidia-smi'
  tool.write_text('#!/bin/sh\n')
  tool.chmod(0o755)
  words = 'CUDA libraries' if tf.test.is_built_with_cuda() else 'without CUDA'
  assert words in tf_setup.unused_gpu([])
  assert '\n' not in tf_setup.unused_gpu([])
  tool.unlink()
  (tmp_path / 'version').touch()
  assert words in tf_setup.unused_gpu([])
  # In use, or hidden on purpose.
  assert tf_setup.unused_gpu(['GPU']) == ''
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  assert tf_setup.unused_gpu([]) == ''
