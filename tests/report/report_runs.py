"""Run folders as training leaves them, with values that a test chooses."""

import argparse
import json
import pathlib

from dreamer_idm import report

RESULTS = pathlib.Path(__file__).parents[2] / 'results' / 'ab_pixels'


def write_run(
    folder, task='dmc_walker_walk', method='dreamer', seed=0, returns=(),
    rotated=True, budget=None, **config):
  """Writes config.yaml and metrics.jsonl to folder/<task>/<method>/<seed>.

  Args:
    folder: pathlib.Path.
    task: str.
    method: str.
    seed: int.
    returns: list of float, one evaluation every 1000 environment steps; the
      rotated ones are half as large.
    rotated: bool, whether there are rotated evaluations.
    budget: int, environment steps; the last evaluation's if None.
    **config: further keys of config.yaml.

  Returns:
    pathlib.Path of the run.
  """
  path = folder / task / method / str(seed)
  path.mkdir(parents=True)
  budget = 1000 * len(returns) if budget is None else budget
  config = {
      'task': task, 'method': method, 'seed': seed, 'action_repeat': 2,
      'steps': budget / 2, 'eval_eps': 3, 'idm': {'sigma_h': 0.1}, **config}
  (path / 'config.yaml').write_text(json.dumps(config))
  rows = []
  for index, value in enumerate(returns):
    step = 1000 * (index + 1)
    rows.append({'step': step, 'idm_kl': 0.2, 'idm_weight_ess': 0.9,
                 'model_loss': 1.0, 'eval_value_error': 2.0})
    rows.append({'step': step, 'eval_return': value, 'eval_return_std': 1.0})
    if rotated:
      rows[-1] |= {'eval_rotated_return': value / 2}
  (path / 'metrics.jsonl').write_text(
      ''.join(json.dumps(x) + '\n' for x in rows))
  return path


def run_report(logdir, *flags):
  """Runs the command as its command line does.

  Args:
    logdir: pathlib.Path, or str as on a command line.
    *flags: str.

  Returns:
    pathlib.Path of the default output folder.
  """
  parser = argparse.ArgumentParser()
  report.add_arguments(parser)
  report.run(parser.parse_args(['--logdir', str(logdir), *flags]))
  return pathlib.Path(logdir) / 'report'
