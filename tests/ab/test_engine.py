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
