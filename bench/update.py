"""How long one update takes, each agent in a process of its own.

  python bench/update.py --size half

Every agent gets the same random batch, and the first of `--methods` takes
turns with each of the others: the ratios of such pairs are what counts, for
whatever else the machine does meets both. (In one process agents slow each
other down, and not alike.) `upstream` is dreamerv2's vanilla agent
as published, patched only to run; all others run with this project's faster
bodies, `vanilla` being the A/B's Dreamer. Also measured, for each alone: the
time from the start of its process to the end of its first update, and the
most memory that was resident after two.
"""

import contextlib
import io

import harness

SIZES = {  # Batch x length: 50x50; 16x50 with the full networks; 8x32; 16x32.
    'paper': ['dmc'], 'half': ['dmc', '--dataset.batch', '16'],
    'cpu': ['cpu'], 'cpu_proprio': ['cpu_proprio']}
METHODS = (
    'upstream', 'vanilla', 'idm', 'wo_eva', 'wo_dm', 'wo_cst_dm', 'doubled')


def settings(size, method, flags):
  """Loads the config of a method at a size.

  Args:
    size: str, key of SIZES.
    method: str: `upstream`, `vanilla` or the name of a preset.
    flags: list of str, further flags of run.py.

  Returns:
    upstream's Config.
  """
  from dreamer_idm.config import load as config_lib
  preset, *rest = SIZES[size]
  presets = [] if method in ('upstream', 'vanilla') else [method]
  return config_lib.load(['--configs', preset, *presets, *rest, *flags])


class Bench:
  """One agent with a batch of random data."""

  def __init__(self, size, method, flags=()):
    """Builds the agent and runs its first update.

    Args:
      size: str, key of SIZES.
      method: str, see `settings`.
      flags: list of str, further flags of run.py.
    """
    import tensorflow as tf

    from dreamer_idm import upstream
    from dreamer_idm.agent import build
    config = settings(size, method, flags)
    obs_space, act_space = spaces(config)
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
      dict of `harness.timed`.
    """
    return harness.timed(self._update)

  def _update(self):
    """Runs one update; reading a loss waits for its end."""
    self.state, metrics = self.train(self.data, self.state)
    float(metrics['model_loss'])


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


def table(results):
  """Lays the results out.

  Args:
    results: dict of method -> dict of `measure`, the reference first.

  Returns:
    str, a Markdown table.
  """
  reference = next(iter(results.values()))
  lines = [
      '| agent | update, ms (quartiles) | ratio (quartiles) | ratio of CPU '
      'time | first update, s | CPU time, s | ratio of CPU time | peak memory, '
      'GB |', '|---|---|---|---|---|---|---|---|']
  for name, x in results.items():
    first, cpu = x['first_update'], reference['first_update']['cpu']
    lines.append(
        f'| {name} | {harness.quartiles(x["seconds"], 1e3)} | '
        f'{harness.quartiles(x["ratio"], digits=2)} | '
        f'{harness.quartiles(x["cpu_ratio"], digits=2)} | '
        f'{first["seconds"]:.1f} | {first["cpu"]:.1f} | '
        f'{first["cpu"] / cpu:.2f} | {x["peak_memory"]:.1f} |')
  return '\n'.join(lines)


def measure(start, names, rounds):
  """Lets the first agent take turns with each of the others.

  No more than two of them are in memory at a time.

  Args:
    start: function of a name that starts the harness.Process of its Bench.
    names: list of str, the reference first.
    rounds: int, pairs of updates with each of the others.

  Returns:
    dict of name -> dict: lists `seconds`, `cpu`, `ratio` and `cpu_ratio`, see
    `harness.turns`; `first_update`, `seconds` and `cpu` from the process's
    start to its end; `peak_memory`, GB.
  """
  reference, found = None, {}
  for name in names:
    process = start(name)
    process.call('first_update')  # Upstream's traces once more.
    found[name] = {
        'first_update': process.ready, 'peak_memory': process.peak_memory()}
    process.call('update')
    if reference is None:
      reference = process
      found[name].update(seconds=[], cpu=[], ratio=[1.0], cpu_ratio=[1.0])
    else:
      one, two = harness.turns(reference, process, 'update', rounds)
      for key, values in one.items():
        found[names[0]][key] += values
      found[name].update(two)
      process.close()
  reference.close()
  return found


def main():
  parser = harness.parser(__doc__, rounds=10)
  parser.add_argument('--size', choices=SIZES, default='half')
  parser.add_argument(
      '--methods', nargs='+', default=METHODS, metavar='METHOD',
      help=f'two or more of {", ".join(METHODS)}, or other presets')
  arguments = parser.parse_args()
  if len(arguments.methods) < 2:
    parser.error('--methods: a reference and at least one other are needed')
  results = measure(
      lambda name: harness.Process(
          Bench, arguments.size, name, arguments.flags,
          threads=arguments.threads), arguments.methods, arguments.rounds)
  print(table(results))
  harness.write(arguments, results)


if __name__ == '__main__':
  main()
