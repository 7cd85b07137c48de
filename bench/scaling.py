"""How an update's time and memory grow, and what a larger replay costs.

  python bench/scaling.py

One process per point, so that the peak of memory is its own. A point and the
first one of its row take turns, and their ratio is what counts.
"""

import pathlib
import tempfile
import time

import harness
import update

# What grows -> flags of run.py at each point.
ROWS = {
    'copies': [['--idm.copies', str(x)] for x in (1, 2, 4, 8)],
    'horizon': [['--imag_horizon', str(x)] for x in (5, 10, 15, 30)],
    'batch': [['--dataset.batch', str(x)] for x in (8, 16, 32, 64)],
    'length': [
        ['--dataset.length', str(x), '--replay.minlen', str(x),
         '--replay.maxlen', str(x)] for x in (12, 25, 50, 100)]}
REPLAY = (2500, 10000, 40000)  # Agent steps.


def row(points, arguments):
  """Measures IDM's update at the points of a row.

  Args:
    points: list of lists of str, flags of run.py.
    arguments: parsed command line.

  Returns:
    dict of the flag's value -> dict of `update.measure`.
  """
  flags = {x[1]: [*x, *arguments.flags] for x in points}
  return update.measure(
      lambda value: harness.Process(
          update.Bench, arguments.size, 'idm', flags[value],
          threads=arguments.threads), list(flags), arguments.rounds)


class Replay:
  """A replay of 32x32 images, 250 steps an episode."""

  def measure(self, steps):
    """Writes, loads and draws from a replay.

    Args:
      steps: int, agent steps.

    Returns:
      dict: `load` and `draw` in seconds (a batch of 16x25), and `memory` of
      its arrays in GB.
    """
    import numpy as np

    from dreamer_idm.training import replay as replay_lib

    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
      writer = replay_lib.SeededReplay(pathlib.Path(folder), 0, minlen=25)
      for _ in range(steps // 250):
        shade = random.integers(0, 200, (251, 1, 1, 3))
        image = shade + random.integers(0, 20, (1, 32, 32, 3))
        flags = np.zeros(251, bool)
        writer.add_episode({
            'image': image.astype(np.uint8),
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
  parser = harness.parser(__doc__, rounds=10)
  parser.add_argument('--size', choices=update.SIZES, default='cpu')
  parser.add_argument(
      '--rows', nargs='+', choices=[*ROWS, 'replay'],
      default=[*ROWS, 'replay'])
  arguments = parser.parse_args()
  results: dict = {}
  for name in arguments.rows:
    if name != 'replay':
      results[name] = row(ROWS[name], arguments)
      for value, found in results[name].items():
        print(
            f'{name} {value:>3}: '
            f'{harness.quartiles(found["seconds"], 1e3)} ms, ratio '
            f'{harness.quartiles(found["ratio"], digits=2)}, peak '
            f'{found["peak_memory"]:.2f} GB', flush=True)
      continue
    results[name] = {}
    for steps in REPLAY:
      process = harness.Process(Replay, threads=arguments.threads)
      found = results[name][steps] = process.call('measure', steps)
      process.close()
      print(
          f'replay {steps:>6} steps: loads in {found["load"]:.1f} s, draws a '
          f'batch in {1e3 * found["draw"]:.1f} ms, {found["memory"]:.2f} GB',
          flush=True)
  harness.write(arguments, results)


if __name__ == '__main__':
  main()
