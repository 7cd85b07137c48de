"""How long one update takes, side by side in one process.

  python bench/update.py --size half

Every agent gets the same random batch, and they take turns, so that whatever
else the machine does meets all of them. `upstream` is dreamerv2's vanilla
agent as published, patched only to run; all others run with this project's
faster parts, `vanilla` being the A/B's Dreamer. Then each is built in a process
of its own: the time from the process's start to the first finished update, and
the most memory that was resident after two.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SIZES = {  # Batch x length: 50x50; 16x50 with the full networks; 16x25.
    'paper': ['--configs', 'dmc'],
    'half': ['--configs', 'dmc', '--dataset.batch', '16'],
    'cpu': ['--configs', 'cpu'],
    'cpu_proprio': ['--configs', 'cpu_proprio']}
METHODS = {
    'upstream': [], 'vanilla': [], 'idm': ['idm'], 'wo_eva': ['wo_eva'],
    'wo_dm': ['wo_dm'], 'wo_cst_dm': ['wo_cst_dm'], 'doubled': ['doubled']}


def settings(size, method, flags):
  """Loads the config of a method at a size.

  Args:
    size: str, key of SIZES.
    method: str, key of METHODS.
    flags: list of str, further flags of run.py.

  Returns:
    upstream's Config.
  """
  from dreamer_idm.config import load as config_lib
  preset, *rest = SIZES[size][1:]
  return config_lib.load(['--configs', preset, *METHODS[method], *rest, *flags])


class Bench:
  """One agent with a batch of random data."""

  def __init__(self, size, method, flags=()):
    """Builds the agent and runs its first update.

    Args:
      size: str, key of SIZES.
      method: str, key of METHODS.
      flags: list of str, further flags of run.py.
    """
    import tensorflow as tf

    from dreamer_idm import upstream
    from dreamer_idm.agent import build
    config = settings(size, method, flags)
    obs_space, act_space = spaces(config)
    self.method = method
    batch = config.dataset.batch * config.batch_multiplier
    data = random_batch(obs_space, act_space, batch, config.dataset.length)
    self.data = {k: tf.constant(v) for k, v in data.items()}
    self.traced_in = contextlib.nullcontext
    step = upstream.common.Counter(0)
    if method == 'upstream':
      # As its script does it: variables come with the first update, which has
      # no state before it, so that the second is traced once more.
      self.traced_in, self.state = upstream.as_published, None
      with self.traced_in(), contextlib.redirect_stdout(io.StringIO()):
        agent = upstream.agent.Agent(config, obs_space, act_space, step)
        self.train = agent.train
    else:
      agent = build.build_agent(config, obs_space, act_space, step)
      self.train, self.state = agent.train, agent.wm.rssm.initial(batch)
    self.agent = agent
    self.first_update()

  def first_update(self):
    """Runs an update that traces the graph."""
    with self.traced_in(), contextlib.redirect_stdout(io.StringIO()):
      self.update()

  def update(self):
    """Runs one update to its end.

    Returns:
      float, seconds.
    """
    began = time.perf_counter()
    self.state, metrics = self.train(self.data, self.state)
    float(metrics['model_loss'])
    return time.perf_counter() - began


def spaces(config):
  """Makes the spaces of walker_walk, images or vectors as the agent reads.

  Args:
    config: upstream's Config.

  Returns:
    dict of observation spaces and dict with the action space.
  """
  import gymnasium
  import numpy as np
  box = gymnasium.spaces.Box
  flag = box(0, 1, (), bool)
  obs = {
      'image': box(0, 255, (*config.render_size, 3), np.uint8),
      'orientations': box(-np.inf, np.inf, (14,), np.float32),
      'velocity': box(-np.inf, np.inf, (9,), np.float32),
      'height': box(-np.inf, np.inf, (1,), np.float32),
      'reward': box(-np.inf, np.inf, (), np.float32),
      'is_first': flag, 'is_last': flag, 'is_terminal': flag}
  if config.encoder.cnn_keys == '$^':
    del obs['image']
  return obs, {'action': box(-1, 1, (6,), np.float32)}


def random_batch(obs_space, act_space, batch, length):
  """Draws a batch in the replay's format.

  Args:
    obs_space: dict of spaces.
    act_space: dict of spaces.
    batch: int B.
    length: int L.

  Returns:
    dict of arrays [B, L, ...].
  """
  import numpy as np
  random = np.random.default_rng(0)
  data = {}
  for key, space in {**obs_space, **act_space}.items():
    shape = (batch, length, *space.shape)
    if space.dtype == np.uint8:
      data[key] = random.integers(0, 256, shape, np.uint8)
    elif space.dtype == bool:
      data[key] = np.zeros(shape, bool)
    else:
      data[key] = random.uniform(-1, 1, shape).astype(np.float32)
  return data


def turns(benches, rounds):
  """Lets the agents take turns.

  Args:
    benches: list of Bench.
    rounds: int, updates of each that count.

  Returns:
    dict of method -> list of seconds.
  """
  for bench in benches:
    bench.first_update()
    bench.update()
  times = {x.method: [] for x in benches}
  for _ in range(rounds):
    for bench in benches:
      times[bench.method].append(bench.update())
  return times


def alone(arguments, method):
  """Builds one agent in a process of its own.

  Args:
    arguments: parsed command line.
    method: str, key of METHODS.

  Returns:
    dict: first_update in seconds from the process's start, peak_memory in GB.
  """
  command = [
      sys.executable, __file__, '--size', arguments.size, '--threads',
      str(arguments.threads), '--alone', method, '--', *arguments.flags]
  began = time.time()
  done = subprocess.run(
      command, capture_output=True, text=True, check=False)
  if done.returncode:
    sys.exit(f'{method}: {done.stderr[-2000:]}')
  result = json.loads(done.stdout.splitlines()[-1])
  result['first_update'] -= began
  return result


def run_alone(arguments):
  """Prints when the first update ended, and the peak of memory after two.

  Args:
    arguments: parsed command line.
  """
  bench = Bench(arguments.size, arguments.alone, arguments.flags)
  first = time.time()
  bench.first_update()
  print(json.dumps({'first_update': first, 'peak_memory': peak_memory()}))


def peak_memory():
  """Reads the most memory that was resident since this program began.

  Returns:
    float, GB. (getrusage's number is the parent's, if that was larger.)
  """
  status = pathlib.Path('/proc/self/status').read_text()
  return int(status.split('VmHWM:')[1].split()[0]) / 1e6


def table(results):
  """Lays the results out.

  Args:
    results: dict of method -> dict of numbers.

  Returns:
    str, a Markdown table.
  """
  reference = next(iter(results.values()))
  lines = [
      '| agent | update, ms (quartiles) | ratio | first update, s | ratio '
      '| peak memory, GB |', '|---|---|---|---|---|---|']
  for name, x in results.items():
    low, high = x['quartiles']
    first, peak = x.get('first_update'), x.get('peak_memory')
    lines.append(
        f'| {name} | {1e3 * x["median"]:.0f} ({1e3 * low:.0f}-{1e3 * high:.0f})'
        f' | {x["ratio"]:.2f} | ' + (
            f'{first:.1f} | {first / reference["first_update"]:.2f} | '
            f'{peak:.1f} |' if first else ' | | |'))
  return '\n'.join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__.splitlines()[0], epilog='Flags of run.py may follow '
      'behind --.')
  parser.add_argument('--size', choices=SIZES, default='half')
  parser.add_argument(
      '--methods', nargs='+', choices=METHODS, default=list(METHODS))
  parser.add_argument('--rounds', type=int, default=10)
  parser.add_argument('--threads', type=int, default=0)
  parser.add_argument('--json', type=pathlib.Path)
  parser.add_argument('--no-alone', action='store_true')
  parser.add_argument('--alone', help=argparse.SUPPRESS)
  parser.add_argument('flags', nargs='*', help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  # isort: split
  import tensorflow as tf

  from dreamer_idm.agent import tf_setup
  tf.get_logger().setLevel('ERROR')  # One agent after the other: retracing.
  tf_setup.configure('32', arguments.threads)
  if arguments.alone:
    return run_alone(arguments)
  import numpy as np
  times = turns(
      [Bench(arguments.size, x, arguments.flags) for x in arguments.methods],
      arguments.rounds)
  reference = np.median(times[arguments.methods[0]])
  results = {}
  for name, values in times.items():
    results[name] = {
        'median': float(np.median(values)),
        'quartiles': [float(x) for x in np.percentile(values, [25, 75])],
        'ratio': float(np.median(values) / reference), 'seconds': values}
    if not arguments.no_alone:
      results[name].update(alone(arguments, name))
  print(table(results))
  if arguments.json:
    arguments.json.write_text(json.dumps({
        'size': arguments.size, 'cores': os.cpu_count(),
        'threads': arguments.threads, 'flags': arguments.flags,
        'results': results}, indent=1))


if __name__ == '__main__':
  main()
