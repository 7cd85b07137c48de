"""Do the presets learn: the runs that tell, and their table and curves.

  python bench/learning.py --list > learning.txt
  python bench/search.py learning.txt --logdir logdir/learning
  python bench/learning.py --logdir logdir/learning

The first prints the runs, the second trains them, two at a time, and resumes
what was interrupted; the third copies metrics, config and provenance of those
that are there into results/learning and writes summary.csv, one row a task,
input and method, and curves.png. A row without `mean` has not been trained to
its end. The seeds were not used while the presets were searched.
"""

import argparse
import collections
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
OUT = ROOT / 'results' / 'learning'

# Mean return and environment steps, from vectors and from pixels.
TARGETS = {
    'cartpole_balance': {'vectors': (950, 20000), 'pixels': (900, 30000)},
    'cartpole_swingup': {'vectors': (830, 50000), 'pixels': (700, 100000)},
    'cheetah_run': {'vectors': (500, 100000), 'pixels': (350, 100000)},
    'walker_stand': {'vectors': (900, 60000), 'pixels': (850, 60000)},
    'walker_walk': {'vectors': (800, 100000), 'pixels': (600, 100000)},
    'walker_run': {'vectors': (300, 100000), 'pixels': (210, 100000)},
    'finger_spin': {'vectors': (800, 100000), 'pixels': (600, 100000)},
    'hopper_stand': {'vectors': (400, 100000), 'pixels': (200, 100000)},
    'reacher_easy': {'vectors': (900, 60000), 'pixels': (700, 100000)},
    'pendulum_swingup': {'vectors': (700, 60000), 'pixels': (500, 100000)}}
PRESETS = {'vectors': 'cpu_proprio', 'pixels': 'cpu'}
SEEDS = (1, 2, 3)
# From pixels, two seeds are enough for the rest.
THREE_SEEDS = ('walker_walk', 'cheetah_run', 'cartpole_swingup')
IDM = {
    'vectors': (
        'cartpole_swingup', 'cheetah_run', 'walker_stand', 'walker_walk'),
    'pixels': ('cartpole_swingup',)}
EPISODES = 10
Run = collections.namedtuple('Run', 'task input method seed')


def runs():
  """Lists the runs, vectors before pixels.

  Returns:
    list of Run.
  """
  found = []
  for kind in PRESETS:
    for task in TARGETS:
      few = kind == 'pixels' and task not in THREE_SEEDS
      found += [
          Run(task, kind, 'dreamer', x) for x in (SEEDS[:2] if few else SEEDS)]
    found += [Run(x, kind, 'idm', y) for x in IDM[kind] for y in SEEDS]
  return found


def name(run):
  """Names a run's folder."""
  return '_'.join(map(str, run))


def flags(run, repeat):
  """Writes the command line of a run.

  Args:
    run: Run.
    repeat: int, the preset's action repeat for the task.

  Returns:
    str, flags of run.py.
  """
  method = '' if run.method == 'dreamer' else f' {run.method}'
  steps = TARGETS[run.task][run.input][1] // repeat
  return (
      f'--configs {PRESETS[run.input]}{method} --task dmc_{run.task} '
      f'--seed {run.seed} --steps {steps} --eval_every {10000 // repeat} '
      f'--eval_eps {EPISODES} --log_every {5000 // repeat}')


def _repeat(run):
  from dreamer_idm.config import load
  return load.load([
      '--configs', PRESETS[run.input], '--task', f'dmc_{run.task}',
      '--logdir', 'unused']).action_repeat


def copy(logdir):
  """Copies what is to be kept of each run into results/learning.

  Args:
    logdir: pathlib.Path with a folder for each run.
  """
  for run in runs():
    target = OUT / name(run)
    for file in ('metrics.jsonl', 'config.yaml', 'provenance.jsonl'):
      if (logdir / name(run) / file).exists():
        target.mkdir(parents=True, exist_ok=True)
        text = (logdir / name(run) / file).read_text('utf-8')
        (target / file).write_text(_without_machine(text, file), 'utf-8')


def _without_machine(text, file):
  # Folders and hosts are nobody else's business.
  if file == 'config.yaml':
    return re.sub(r'(?m)^(logdir|offline): .*', r"\1: ''", text)
  if file == 'provenance.jsonl':
    lines = [json.loads(x) for x in text.splitlines()]
    return ''.join(json.dumps(
        {k: v for k, v in x.items() if k not in ('host', 'command')}) + '\n'
                   for x in lines)
  return text


def summarize():
  """Reads the returns at the end of the runs in results/learning.

  Returns:
    pandas.DataFrame with a row for each task, input and method that has a
    run: how many seeds are at their end, the mean of their last evaluations,
    the standard deviation between them, and the target of Dreamer.
  """
  import pandas as pd

  from dreamer_idm.runs import metrics_file
  rows = collections.defaultdict(list)
  for run in runs():
    at = TARGETS[run.task][run.input][1]
    steps, returns = metrics_file.series(
        metrics_file.read(OUT / name(run), ['eval_return']), 'eval_return')
    rows[run[:3]] += [float(y) for x, y in zip(steps, returns) if x == at]
  return pd.DataFrame([{
      'task': task, 'input': kind, 'method': method, 'seeds': len(found),
      'env_steps': TARGETS[task][kind][1],
      'mean': pd.Series(found, dtype=float).mean(),
      'std': metrics_file.sample_std(found),
      'target': TARGETS[task][kind][0]}
                       for (task, kind, method), found in rows.items()])


def draw():
  """Draws the evaluations of all runs, a column of panels for each input."""
  from matplotlib.figure import Figure

  from dreamer_idm.report import drawing
  from dreamer_idm.runs import metrics_file
  colors = drawing.colors(['dreamer', 'idm'])
  with drawing.style():
    figure = Figure(figsize=(12, 9), layout='constrained')
    axes = figure.subplots(4, 5)
    for number, kind in enumerate(PRESETS):
      places = dict(zip(TARGETS, axes[2 * number:2 * number + 2].flat))
      for task, axis in places.items():
        target, at = TARGETS[task][kind]
        axis.plot(at / 1000, target, 'k*', markersize=9)
        axis.set(title=f'{task}, {kind}', xlim=(0, 1.05 * at / 1000))
      for run in (x for x in runs() if x.input == kind):
        steps, returns = metrics_file.series(
            metrics_file.read(OUT / name(run), ['eval_return']), 'eval_return')
        places[run.task].plot(steps / 1000, returns, color=colors[run.method])
      for axis in places.values():
        axis.set_ylim(bottom=0)
    for axis in axes[-1]:
      axis.set_xlabel('environment steps, thousands')
    for row in axes:
      row[0].set_ylabel('return')
    figure.suptitle(
        f'One line a seed, {EPISODES} episodes a point. Star: the target. '
        f'Dark: Dreamer, blue: IDM')
    figure.savefig(OUT / 'curves.png', dpi=90)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('--list', action='store_true')
  parser.add_argument('--logdir', type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.list:
    for run in runs():
      print(name(run), '|', flags(run, _repeat(run)))
    return
  OUT.mkdir(parents=True, exist_ok=True)
  if arguments.logdir:
    copy(arguments.logdir)
  table = summarize()
  table.round(1).to_csv(OUT / 'summary.csv', index=False)
  draw()
  print(table.round(1).to_string(index=False))


if __name__ == '__main__':
  main()
