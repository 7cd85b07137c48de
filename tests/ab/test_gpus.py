"""Which GPUs there are, by what the environment says."""

import pytest

from dreamer_idm.ab import gpus

LISTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-aa11b2c3)
"""
PARTITIONED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c)
  MIG 3g.20gb     Device  0: (UUID: MIG-13a1)
  MIG 3g.20gb     Device  1: (UUID: MIG-13a2)
"""


@pytest.mark.parametrize('value, names', [
    ('', []), ('-1', []), ('NoDevFiles', []), ('3', ['3']),
    ('2, 0', ['2', '0']), ('0,-1,1', ['0']), ('GPU-5c8,1', ['GPU-5c8', '1'])])
def test_those_that_the_user_chose(monkeypatch, value, names):
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', value)
  assert gpus.visible() == names


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
  """Puts a program of that name on the path, which does what it is told."""
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
  monkeypatch.setenv('PATH', str(tmp_path))
  def write(text):
    path = tmp_path / 'nvidia-smi'
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
  return write


@pytest.mark.parametrize('listed, names', [
    (LISTED, ['GPU-5c89852c', 'GPU-aa11b2c3']),
    (PARTITIONED, ['MIG-13a1', 'MIG-13a2']), ('', [])])
def test_those_that_the_driver_lists(nvidia_smi, listed, names):
  nvidia_smi(f'test "$*" = -L && echo \'{listed}\'')
  assert gpus.visible() == names


def test_without_a_driver_there_are_none(nvidia_smi):
  assert gpus.visible() == []
  nvidia_smi('echo "no devices were found"; exit 6')
  assert gpus.visible() == []
