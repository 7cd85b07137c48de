"""What each of the faster bodies gives: the update without one at a time.

  python bench/ideas.py --size half

All variants are in one process and take turns, as in update.py.
"""

import argparse
import contextlib
import json
import os
import pathlib
import time

import update as bench

MODULES = ('fast_decoder', 'fast_rssm', 'fast_actor')


@contextlib.contextmanager
def variant(name):
  """Context in which an agent of a variant is built and traced.

  Args:
    name: str: `all`, `none`, or `without` and a module of MODULES.
  """
  from dreamer_idm.patches import fast
  skipped = {'all': (), 'none': MODULES}.get(name, (name.split()[-1],))
  before = fast.SKIPPED
  fast.SKIPPED = {f'dreamer_idm.patches.{x}' for x in skipped}
  try:
    yield
  finally:
    fast.SKIPPED = before


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--size', choices=bench.SIZES, default='half')
  parser.add_argument('--method', default='vanilla')
  parser.add_argument('--rounds', type=int, default=10)
  parser.add_argument('--threads', type=int, default=0)
  parser.add_argument('--json', type=pathlib.Path)
  arguments = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  # isort: split
  import numpy as np
  import tensorflow as tf

  from dreamer_idm.agent import tf_setup
  tf.get_logger().setLevel('ERROR')  # One agent after the other: retracing.
  tf_setup.configure('32', arguments.threads)
  names = ['all', *(f'without {x}' for x in MODULES), 'none']
  benches, starts = [], {}
  for name in names:
    began = time.perf_counter()
    with variant(name):
      benches.append(bench.Bench(arguments.size, arguments.method))
      benches[-1].method = name
    starts[name] = time.perf_counter() - began
  times = bench.turns(benches, arguments.rounds)
  reference = np.median(times['none'])
  print('| variant | update, ms | ratio to none | built and traced in, s |')
  print('|---|---|---|---|')
  results = {}
  for name in names:
    median = float(np.median(times[name]))
    results[name] = {
        'median': median, 'ratio': median / reference, 'start': starts[name],
        'seconds': times[name]}
    print(
        f'| {name} | {1e3 * median:.0f} | {median / reference:.2f} | '
        f'{starts[name]:.1f} |')
  if arguments.json:
    arguments.json.write_text(json.dumps({
        'size': arguments.size, 'method': arguments.method,
        'threads': arguments.threads, 'results': results}, indent=1))


if __name__ == '__main__':
  main()
