"""How long PlaNet takes to plan one action, beside one update of its agent.

  python bench/planner.py --json results.json

One environment, plans of the preset's size, random frames. Actions and updates
take turns in one process, so that whatever else the machine does meets both;
the ratio of the two is the number to trust on a busy machine.
"""

import argparse
import json
import os
import pathlib
import time

import update as bench

bench.METHODS['planet'] = ['planet']
SIZES = {'dmc': 'paper', 'cpu': 'cpu'}


class Planning(bench.Bench):
  """The PlaNet agent, its random batch, and a stream of random frames."""

  def __init__(self, size, flags=()):
    """Builds the agent; its first update and its first action trace.

    Args:
      size: str, key of SIZES.
      flags: list of str, further flags of run.py.
    """
    super().__init__(SIZES[size], 'planet', flags)
    from dreamer_idm.evaluation import rollout
    self.policy, self.latent = rollout.act(self.agent, 'explore'), None
    self.obs = {
        k: v[:1, 0].numpy() for k, v in self.data.items() if k != 'action'}
    began = time.perf_counter()
    self.action()
    self.first_action = time.perf_counter() - began

  def action(self):
    """Plans one action.

    Returns:
      float, seconds.
    """
    began = time.perf_counter()
    outputs, self.latent = self.policy(self.obs, self.latent)
    outputs['action'].numpy()
    return time.perf_counter() - began


def measure(size, rounds, flags):
  """Lets actions and updates take turns.

  Args:
    size: str, key of SIZES.
    rounds: int, of each that count.
    flags: list of str, further flags of run.py.

  Returns:
    dict: seconds of each `action` and `update`, `first_action` in seconds,
    and `planet`, the planner's settings.
  """
  planning = Planning(size, flags)
  planning.update(), planning.action()
  pairs = [(planning.action(), planning.update()) for _ in range(rounds)]
  return {
      'action': [x for x, _ in pairs], 'update': [x for _, x in pairs],
      'first_action': planning.first_action,
      'planet': dict(planning.agent.config.planet)}


def table(results):
  """Lays the results out.

  Args:
    results: dict of size -> dict of `measure`.

  Returns:
    str, a Markdown table.
  """
  import numpy as np
  lines = [
      '| size | plans | action, ms (quartiles) | update, ms (quartiles) '
      '| action / update | first action, s |', '|---|---|---|---|---|---|']
  for size, found in results.items():
    spread = []
    for key in ('action', 'update'):
      low, middle, high = 1e3 * np.percentile(found[key], [25, 50, 75])
      spread.append(f'{middle:.0f} ({low:.0f}-{high:.0f})')
    ratio = np.median(np.divide(found['action'], found['update']))
    plans = '{candidates} x {horizon} x {iterations}'.format(**found['planet'])
    lines.append(
        f'| {size} | {plans} | {spread[0]} | {spread[1]} | {ratio:.2f} | '
        f'{found["first_action"]:.1f} |')
  return '\n'.join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__.splitlines()[0], epilog='Flags of run.py may follow '
      'behind --.')
  parser.add_argument(
      '--sizes', nargs='+', choices=SIZES, default=list(SIZES))
  parser.add_argument('--rounds', type=int, default=10)
  parser.add_argument('--threads', type=int, default=0)
  parser.add_argument('--json', type=pathlib.Path)
  parser.add_argument('flags', nargs='*', help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  # isort: split
  import tensorflow as tf

  from dreamer_idm.agent import tf_setup
  tf.get_logger().setLevel('ERROR')  # One agent after the other: retracing.
  tf_setup.configure('32', arguments.threads)
  tf_setup.seed(0)
  results = {
      x: measure(x, arguments.rounds, arguments.flags)
      for x in arguments.sizes}
  print(table(results))
  if arguments.json:
    arguments.json.write_text(json.dumps({
        'cores': os.cpu_count(), 'threads': arguments.threads,
        'load': os.getloadavg(), 'flags': arguments.flags,
        'results': results}, indent=1))


if __name__ == '__main__':
  main()
