"""The benches run; what they measure is for their readers to judge."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

TINY = [
    '--rssm.deter', '8', '--rssm.hidden', '8', '--rssm.stoch', '4',
    '--imag_horizon', '3', '--dataset.batch', '2']


def bench(name, path, *argv):
  """Runs a bench; returns its output and what it wrote as JSON."""
  done = subprocess.run(
      [sys.executable, ROOT / 'bench' / f'{name}.py', '--json', path,
       '--threads', '1', *argv], capture_output=True, text=True, timeout=900,
      check=False, cwd=ROOT)
  assert done.returncode == 0, done.stderr
  return done.stdout, json.loads(path.read_text())


def test_acting(tmp_path):
  out, found = bench(
      'acting', tmp_path / 'json', '--presets', 'cpu,idm', '--',
      '--rssm.deter', '8', '--rssm.hidden', '8')
  assert len(out.splitlines()) == 3
  agent, model, onnx = found['cpu,idm'].values()
  assert agent['milliseconds'] > 0
  for part in (model, onnx):
    assert part['difference'] < 1e-4 and part['kilobytes'] > 10


def test_a_command_in_matrix_products(tmp_path):
  out, found = bench(
      'matmul', tmp_path / 'json', '--', sys.executable, '-c', '')
  assert 'times the median of 2 matrix products' in out
  assert found['ratio'] > 0 and found['code'] == 0


@pytest.mark.slow
def test_updates_take_turns(tmp_path):
  out, found = bench(
      'update', tmp_path / 'json', '--size', 'cpu_proprio', '--methods',
      'upstream', 'vanilla', 'idm', '--rounds', '2', '--', *TINY)
  results = found['results']
  assert list(results) == ['upstream', 'vanilla', 'idm']
  assert [len(results[x]['ratio']) for x in results] == [1, 2, 2]
  for x in results.values():
    assert x['first_update']['seconds'] > min(x['seconds']) > 0
    assert 0.1 < x['peak_memory'] < 10
  assert len(out.splitlines()) == 5 and found['matrix_product']['gflops'] > 0


@pytest.mark.slow
def test_versions_take_turns(tmp_path):
  out, found = bench(
      'versions', tmp_path / 'json', '--before', ROOT, '--size', 'cpu_proprio',
      '--methods', 'vanilla', '--rounds', '3', '--', *TINY)
  vanilla = found['results']['vanilla']
  assert len(vanilla['before']) == len(vanilla['now']) == 3
  assert vanilla['cpu_ratio'] == pytest.approx(np.median([
      y['cpu'] / x['cpu'] for x, y in zip(vanilla['before'], vanilla['now'])]))
  assert 'vanilla: now / before' in out


@pytest.mark.slow
@pytest.mark.parametrize('name, argv, words', [
    ('ideas', ['--size', 'cpu_proprio', '--rounds', '1', '--', *TINY],
     'without fast_rssm'),
    ('planner', ['--sizes', 'cpu', '--rounds', '1', '--', *TINY],
     '1000 x 12 x 10'),
    ('scaling', ['--rows', 'replay'], 'replay  40000 steps: loads in'),
    ('loop', ['--', '--configs', 'cpu_proprio', 'debug', '--task',
              'gym_Pendulum-v1'], 'env steps per second'),
    ('long_run', ['--steps', '1300', '--every', '0.5', '--', '--eval_every',
                  '300', '--log_every', '20'], 'threads: ')])
def test_the_others(tmp_path, name, argv, words):
  out, found = bench(name, tmp_path / 'json', *argv)
  assert words in out and found['results']


def test_an_error_in_a_process_is_shown(tmp_path):
  done = subprocess.run(
      [sys.executable, ROOT / 'bench' / 'update.py', '--methods', 'nonsense',
       'vanilla'], capture_output=True, text=True, timeout=900, check=False)
  assert done.returncode == 1 and "preset 'nonsense'" in done.stderr
