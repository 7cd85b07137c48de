"""How large an agent is that acts, and how long it takes for an action.

  python bench/acting.py --threads 1
  python bench/acting.py --presets cpu,idm -- --rssm.deter 400

Untrained networks of dmc_cheetah_run's sizes: the agent itself, its SavedModel
and its ONNX model (`dreamer-idm export`), on the same 100 random observations,
one at a time. What the models do must be what the agent did.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

import gymnasium
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from dreamer_idm import upstream  # noqa: E402, comes before TensorFlow
from dreamer_idm.agent import build  # noqa: E402
from dreamer_idm.agent import tf_setup  # noqa: E402
from dreamer_idm.config import load as config_lib  # noqa: E402
from dreamer_idm.evaluation import export  # noqa: E402
from dreamer_idm.evaluation import exported  # noqa: E402
from dreamer_idm.evaluation import load as load_lib  # noqa: E402
from dreamer_idm.evaluation import rollout  # noqa: E402

PRESETS = ['cpu_proprio,idm', 'cpu,idm', 'dmc,idm', 'dmc_vision,idm']
BOX = gymnasium.spaces.Box
ACTION = BOX(-1, 1, (6,), np.float32)


def spaces(config):
  """The observations of dmc_cheetah_run: a dict of gymnasium spaces."""
  flags = ('is_first', 'is_last', 'is_terminal')
  return {
      'image': BOX(0, 255, (*config.render_size, 3), np.uint8),
      **{k: BOX(-np.inf, np.inf, shape, np.float32) for k, shape in (
          ('position', (8,)), ('velocity', (9,)), ('reward', ()))},
      **{k: BOX(0, 1, (), bool) for k in flags}}


def measure(words, threads, steps=export.STEPS):
  """Measures one agent.

  Args:
    words: list of str, a command line of `train`.
    threads: int, 0 for one a core.
    steps: int.

  Returns:
    dict: name -> milliseconds (median), KB, largest difference.
  """
  config = config_lib.load(words)
  tf_setup.configure(config.precision, threads, config.jit, config.fast)
  observed = spaces(config)
  agent = build.build_agent(
      config, observed, {'action': ACTION}, upstream.common.Counter(0))
  module = exported.Exported(load_lib.Trained(config, agent, 0, ''), ACTION)
  interface, random = module.describe(), np.random.RandomState(0)
  policy, state, times, taken = rollout.act(agent, 'eval'), None, [], []
  for index in range(steps):
    rows = {
        k: random.randint(0, 256, (1, *v.shape)).astype(v.dtype)
        if v.dtype == np.uint8 else
        random.normal(size=(1, *v.shape)).astype(v.dtype)
        for k, v in observed.items()}
    rows['is_first'] = np.array([not index])
    began = time.perf_counter()
    outputs, state = policy(rows, state)
    outputs['action'].numpy()
    times.append(time.perf_counter() - began)
    taken.append(export.step(interface, not index, rows, outputs, state))
  found = {'agent': {'milliseconds': 1e3 * float(np.median(times))}}
  with tempfile.TemporaryDirectory() as folder:
    models, _ = export.write_models(module, pathlib.Path(folder))
    for name, act in models.items():
      duration, worst = export.compared(act, interface, taken, name, agent)
      found[name] = {
          'milliseconds': duration, 'difference': worst,
          'kilobytes': export.size(pathlib.Path(folder) / name) / 1e3}
  return found


def main():
  """Measures and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--presets', nargs='+', default=PRESETS)
  parser.add_argument('--threads', type=int, default=0)
  parser.add_argument('--json', type=pathlib.Path)
  parser.add_argument('flags', nargs='*', help='further keys, behind --')
  args = parser.parse_args()
  results = {}
  for presets in args.presets:
    results[presets] = measure(
        ['--configs', *presets.split(','), *args.flags], args.threads)
    for name, found in results[presets].items():
      print(f'{presets:16} {name:12}', ', '.join(
          f'{k} {v:.3g}' for k, v in found.items()), flush=True)
  if args.json:
    args.json.write_text(json.dumps(results, indent=1))


if __name__ == '__main__':
  main()
