"""How an update's time and memory grow, and what a larger replay costs.

  python bench/scaling.py

One process per point for the updates, so that the peak of memory is its own.
Everything is relative to the first point of its row.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import update as bench

# What grows -> flags of run.py at each point; size and preset are below.
ROWS = {
    'copies': [['--idm.copies', str(x)] for x in (1, 2, 4, 8)],
    'horizon': [['--imag_horizon', str(x)] for x in (5, 10, 15, 30)],
    'batch': [['--dataset.batch', str(x)] for x in (8, 16, 32, 64)],
    'length': [
        ['--dataset.length', str(x), '--replay.minlen', str(x),
         '--replay.maxlen', str(x)] for x in (12, 25, 50, 100)]}
REPLAY = (2500, 10000, 40000)  # Agent steps.


def point(size, flags, threads):
  """Measures an update in a process of its own.

  Args:
    size: str, key of update.SIZES.
    flags: list of str.
    threads: int.

  Returns:
    dict: update in seconds (median of 10), peak_memory in GB.
  """
  code = (
      'import sys, json; sys.path.insert(0, sys.argv[1])\n'
      'import update, dreamer_idm, numpy\n'
      'from dreamer_idm import runtime\n'
      'runtime.configure("32", int(sys.argv[3]))\n'
      'bench = update.Bench(sys.argv[2], "idm", sys.argv[4:])\n'
      'times = [bench.update() for _ in range(12)][2:]\n'
      'print(json.dumps({"update": float(numpy.median(times)),\n'
      '  "peak_memory": update.peak_memory()}))')
  done = subprocess.run(
      [sys.executable, '-c', code, str(pathlib.Path(__file__).parent), size,
       str(threads), *flags], capture_output=True, text=True, check=False)
  if done.returncode:
    sys.exit(done.stderr[-2000:])
  return json.loads(done.stdout.splitlines()[-1])


def replay(steps):
  """Measures a replay of 32x32 images in episodes of 250 steps.

  Args:
    steps: int, agent steps.

  Returns:
    dict: load and draw in seconds (a batch of 16x25), memory of its arrays
    in GB.
  """
  import numpy as np

  import dreamer_idm  # noqa: F401, comes before TensorFlow
  from dreamer_idm.training import replay as replay_lib

  random = np.random.default_rng(0)
  with tempfile.TemporaryDirectory() as folder:
    writer = replay_lib.SeededReplay(pathlib.Path(folder), 0, minlen=25)
    for _ in range(steps // 250):
      shade = random.integers(0, 200, (251, 1, 1, 3))
      image = (shade + random.integers(0, 20, (1, 32, 32, 3))).astype(np.uint8)
      flags = np.zeros(251, bool)
      writer.add_episode({
          'image': np.broadcast_to(image, (251, 32, 32, 3)),
          'action': random.uniform(-1, 1, (251, 6)).astype(np.float32),
          'reward': random.uniform(size=251).astype(np.float32),
          'is_first': flags, 'is_last': flags, 'is_terminal': flags})
    del writer
    began = time.perf_counter()
    loaded = replay_lib.SeededReplay(
        pathlib.Path(folder), 0, minlen=25, maxlen=25)
    load = time.perf_counter() - began
    batches = loaded.batches(16, 25)
    next(batches)
    times = []
    for _ in range(200):
      began = time.perf_counter()
      next(batches)
      times.append(time.perf_counter() - began)
    return {
        'load': load, 'draw': float(np.median(times)),
        'memory': sum(
            x.nbytes for episode in loaded._episodes().values()
            for x in episode.values()) / 1e9}


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--size', choices=bench.SIZES, default='cpu')
  parser.add_argument('--rows', nargs='+', default=[*ROWS, 'replay'])
  parser.add_argument('--threads', type=int, default=0)
  parser.add_argument('--json', type=pathlib.Path)
  arguments = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  results: dict = {}
  for row in arguments.rows:
    results[row] = {}
    if row == 'replay':
      for steps in REPLAY:
        # In a process of its own: freed memory stays resident.
        done = subprocess.run(
            [sys.executable, '-c', 'import sys, json; sys.path.insert(0, '
             f'{str(pathlib.Path(__file__).parent)!r})\nimport scaling\n'
             f'print(json.dumps(scaling.replay({steps})))'],
            capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        results[row][steps] = found
        print(
            f'replay {steps:>6} steps: loads in {found["load"]:.1f} s, draws a '
            f'batch in {1e3 * found["draw"]:.1f} ms, {found["memory"]:.2f} GB',
            flush=True)
      continue
    for flags in ROWS[row]:
      found = point(arguments.size, flags, arguments.threads)
      results[row][flags[1]] = found
      first = next(iter(results[row].values()))
      print(
          f'{row} {flags[1]:>3}: {1e3 * found["update"]:6.0f} ms '
          f'({found["update"] / first["update"]:.2f}), peak '
          f'{found["peak_memory"]:.2f} GB', flush=True)
  if arguments.json:
    arguments.json.write_text(json.dumps({
        'size': arguments.size, 'cores': os.cpu_count(),
        'threads': arguments.threads, 'results': results}, indent=1))


if __name__ == '__main__':
  main()
