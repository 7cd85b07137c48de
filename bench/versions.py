"""Whether an update takes as long as in another version of this project.

  git clone . /tmp/before && git -C /tmp/before checkout 8f5eff0
  python bench/versions.py --before /tmp/before --size half --threads 1

Each agent is built from either folder, in a process of its own, and the two
take turns. The ratio of the two versions' CPU time changes least with what
else the machine does. Any folder will do whose `bench/update.py` has
`Bench(size, method, flags)` with `first_update` and `update`.
"""

import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import harness

METHODS = ('upstream', 'vanilla', 'idm')


def serve(folder, size, method, threads, flags):
  """Runs an update for each line of the standard input; prints its times.

  Args:
    folder: str, of the version.
    size: str, key of update.SIZES.
    method: str, as for `bench/update.py`.
    threads: str, of TensorFlow; 0: one a core.
    flags: list of str, further flags of run.py.
  """
  sys.path[:0] = [folder, f'{folder}/bench']
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  # isort: split
  import tensorflow as tf
  tf.get_logger().setLevel('ERROR')  # Upstream's agent is traced twice.
  tf.config.threading.set_intra_op_parallelism_threads(int(threads))
  tf.config.threading.set_inter_op_parallelism_threads(int(threads))
  bench = importlib.import_module('update').Bench(
      size, method, flags)
  bench.first_update()
  while True:
    print(json.dumps({'cpu': time.process_time()}), flush=True)
    if not sys.stdin.readline():
      return
    print(json.dumps(harness.timed(bench.update)), flush=True)


class Version:
  """An agent of a version in a process of its own."""

  def __init__(self, folder, *words):
    """Builds it; the arguments are those of `serve`."""
    self._process = subprocess.Popen(
        [sys.executable, __file__, '--serve', str(folder), *map(str, words)],
        cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    self.first_update = self._answer()['cpu']

  def update(self):
    """Runs an update; returns what `harness.timed` does."""
    self._process.stdin.write('\n')
    self._process.stdin.flush()
    found = self._answer()
    self._answer()
    return found

  def close(self):
    """Ends the process."""
    self._process.communicate()

  def _answer(self):
    line = self._process.stdout.readline()
    if not line:
      sys.exit(f'a process ended with exit code {self._process.wait()}')
    return json.loads(line)


def measure(folders, size, method, threads, flags, rounds):
  """Lets two versions of an agent take turns.

  Args:
    folders: the earlier version's and the later one's.
    size: str, key of update.SIZES.
    method: str.
    threads: int.
    flags: list of str.
    rounds: int, pairs of updates.

  Returns:
    dict: lists `before` and `now` of dicts of `harness.timed`;
    `first_update`, two numbers, seconds of CPU time to the end of the first
    update; `cpu_ratio` and `ratio`, medians over the pairs, now / before.
  """
  versions = [Version(x, size, method, threads, *flags) for x in folders]
  for version in versions:
    version.update()
  pairs = []
  for index in range(rounds):  # Whoever comes first may have it easier.
    order = (0, 1) if index % 2 else (1, 0)
    done = {i: versions[i].update() for i in order}
    pairs.append((done[0], done[1]))
  for version in versions:
    version.close()
  median = lambda key: statistics.median(y[key] / x[key] for x, y in pairs)
  return {
      'before': [x for x, _ in pairs], 'now': [x for _, x in pairs],
      'first_update': [x.first_update for x in versions],
      'cpu_ratio': median('cpu'), 'ratio': median('seconds')}


def main():
  parser = harness.parser(__doc__, rounds=8)
  parser.add_argument('--before', type=pathlib.Path, required=True)
  parser.add_argument('--size', default='half')
  parser.add_argument('--methods', nargs='+', default=METHODS)
  arguments = parser.parse_args()
  results = {}
  for method in arguments.methods:
    found = results[method] = measure(
        (arguments.before.resolve(), harness.ROOT), arguments.size, method,
        arguments.threads, arguments.flags, arguments.rounds)
    before, now = found['first_update']
    print(
        f'{method}: now / before {found["cpu_ratio"]:.3f} in CPU time, '
        f'{found["ratio"]:.3f} in seconds; to the first update '
        f'{now / before:.3f} in CPU time', flush=True)
  harness.write(arguments, results)


if __name__ == '__main__':
  if sys.argv[1:2] == ['--serve']:
    serve(*sys.argv[2:6], sys.argv[6:])
  else:
    main()
