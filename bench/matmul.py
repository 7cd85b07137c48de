"""How long a matrix product takes in this minute: a yardstick of run times.

  python bench/matmul.py --threads 1
  python bench/matmul.py --threads 1 -- python run.py --configs cpu_proprio

A shared machine gives a process now more and now less of a core. With a
command behind `--` this runs it, measures the product every minute,
and prints the run's time in seconds and as a multiple of the median product.
The products are of 2048x2048 float32 matrices, 17.2 GFLOP, by NumPy.
"""

import argparse
import json
import os
import subprocess
import sys
import time

SIZE = 2048
GFLOP = 2 * SIZE ** 3 / 1e9


def measure(threads=0, repeats=9):
  """Measures the product in a process of its own.

  Args:
    threads: int, 0 for one a core.
    repeats: int, products that count.

  Returns:
    dict: `seconds`, the median of one product, and `gflops`.
  """
  number = str(threads or os.cpu_count())
  names = ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')
  done = subprocess.run(
      [sys.executable, __file__, '--repeats', str(repeats), '--here'],
      capture_output=True, text=True, check=True,
      env={**os.environ, **dict.fromkeys(names, number)})
  seconds = json.loads(done.stdout)
  return {'seconds': seconds, 'gflops': GFLOP / seconds}


def here(repeats):
  """Measures the product in this process.

  Args:
    repeats: int, products that count.

  Returns:
    float, seconds of the median product.
  """
  import numpy as np
  matrix = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
  times = []
  for _ in range(repeats + 1):
    began = time.perf_counter()
    matrix @ matrix
    times.append(time.perf_counter() - began)
  return float(np.median(times[1:]))


def beside(command, threads, every=60):
  """Runs a command and measures products while it runs.

  Args:
    command: list of str.
    threads: int, 0 for one a core.
    every: float, seconds between two measurements.

  Returns:
    dict: `seconds` of the command, its exit `code`, `products`, a list of
    seconds, and `ratio` of the command's time to their median.
  """
  import numpy as np
  products = [measure(threads)['seconds']]
  began = time.perf_counter()
  process = subprocess.Popen(command)
  while True:
    try:
      process.wait(every)
      break
    except subprocess.TimeoutExpired:
      products.append(measure(threads, repeats=3)['seconds'])
  seconds = time.perf_counter() - began
  products.append(measure(threads)['seconds'])
  return {
      'seconds': seconds, 'code': process.returncode, 'products': products,
      'ratio': seconds / float(np.median(products))}


def main():
  parser = argparse.ArgumentParser(
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument(
      '--threads', type=int, default=0, help='0: one a core')
  parser.add_argument('--repeats', type=int, default=9)
  parser.add_argument('--json', help='file for all numbers')
  parser.add_argument('--here', action='store_true', help=argparse.SUPPRESS)
  parser.add_argument('command', nargs='*', help='behind --')
  arguments = parser.parse_args()
  if arguments.here:
    print(here(arguments.repeats))
    return 0
  if not arguments.command:
    found = measure(arguments.threads, arguments.repeats)
    print(f'{1e3 * found["seconds"]:.1f} ms, {found["gflops"]:.0f} GFLOP/s')
  else:
    found = beside(arguments.command, arguments.threads)
    print(
        f'{found["seconds"]:.1f} s, {found["ratio"]:.0f} times the median of '
        f'{len(found["products"])} matrix products')
  if arguments.json:
    with open(arguments.json, 'w') as file:
      json.dump(found, file, indent=1)
  return found.get('code', 0)


if __name__ == '__main__':
  sys.exit(main())
