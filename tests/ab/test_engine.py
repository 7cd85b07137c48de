"""How many trials this machine has room for, and on which GPU."""

import ab_runs
import psutil
import pytest
from ab_runs import run_quick

from dreamer_idm.ab import engine
from dreamer_idm.errors import UsageError

needs_affinity = pytest.mark.skipif(
    not hasattr(psutil.Process, 'cpu_affinity'), reason='macOS has none')


@pytest.fixture
def slots(tmp_path, monkeypatch):
  """Function of ab's arguments: slots on 8 cores with 20 GB."""
  monkeypatch.setattr(
      psutil.Process, 'cpu_affinity', lambda self: [*range(8)])
  memory = psutil.virtual_memory()._replace(total=20_000_000_000)
  monkeypatch.setattr(psutil, 'virtual_memory', lambda: memory)
  return lambda *words: engine.LocalEngine(
      ab_runs.arguments(tmp_path, *words)).slots


@needs_affinity
@pytest.mark.parametrize('words, number', [
    ([], 8), (['--threads', '3'], 2), (['--threads', '9'], 1),
    (['--jobs', '3'], 3), (['--memory', '6'], 3),
    (['--memory', '6', '--jobs', '2'], 2)])
def test_memory_and_cores_bound_the_trials(slots, words, number):
  assert slots(*words) == number


def test_what_this_machine_has_not(slots):
  with pytest.raises(UsageError, match='this machine has 20.0'):
    slots('--memory', '21')
  with pytest.raises(UsageError, match='--per-gpu needs a GPU'):
    slots('--per-gpu', '1')


@pytest.mark.parametrize('words, number', [
    ([], 2), (['--per-gpu', '3'], 6), (['--jobs', '1'], 1),
    (['--jobs', '9'], 2), (['--memory', '20'], 1)])
def test_gpus_bound_the_trials(slots, monkeypatch, words, number):
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0,3')
  assert slots(*words) == number


@pytest.mark.parametrize('words, most', [([], 1), (['--per-gpu', '2'], 2)])
def test_every_trial_has_one_gpu(tmp_path, monkeypatch, words, most):
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0,GPU-abc')
  code, folders = run_quick('train', tmp_path, *words, seeds=range(5))
  assert code == 0
  held = {'0': [], 'GPU-abc': []}
  for folder in folders:
    name, = (folder / 'gpus').read_text().split()
    begin, end = map(float, (folder / 'times').read_text().split())
    held[name].append((begin, end))
    assert f' CUDA_VISIBLE_DEVICES={name} ' in (
        folder / 'ab.log').read_text()
  assert all(held.values())
  for times in held.values():
    for begin, _ in times:
      assert sum(x <= begin < y for x, y in times) <= most


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
  assert engine.gpus() == names


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
  assert engine.gpus() == names


def test_without_a_driver_there_are_none(nvidia_smi):
  assert engine.gpus() == []
  nvidia_smi('echo "no devices were found"; exit 6')
  assert engine.gpus() == []
