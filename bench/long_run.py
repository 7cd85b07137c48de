"""Does a long run stay as it is? Memory, files, threads and time per step.

  python bench/long_run.py --steps 200000

A real run.py process with tiny networks on Gymnasium's pendulum, from vectors;
it is watched from outside.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import harness
import psutil

FLAGS = [
    '--configs', 'cpu_proprio', 'idm', '--task', 'gym_Pendulum-v1',
    '--action_repeat', '1', '--train_every', '50', '--prefill', '1000',
    '--eval_every', '10000', '--eval_eps', '1', '--log_every', '1000',
    '--replay.capacity', '5000',
    r'--(encoder|decoder)\.mlp_layers', '8', r'--.*\.units', '8',
    '--rssm.deter', '8', '--rssm.hidden', '8', '--rssm.stoch', '4',
    '--dataset.batch', '4', '--imag_horizon', '3']


def look(pid):
  """Reads what a process and its children hold.

  Args:
    pid: int.

  Returns:
    dict of numbers: memory in MB, files, threads; None if it has ended.
  """
  found = {'memory': 0.0, 'files': 0, 'threads': 0}
  try:
    main = psutil.Process(pid)
    for process in (main, *main.children()):
      with process.oneshot():
        found['memory'] += process.memory_info().rss / 1e6
        found['files'] += process.num_fds()
        found['threads'] += process.num_threads()
  except psutil.Error:
    return None
  return found


def watch(process, logdir, every):
  """Watches a run to its end.

  Args:
    process: subprocess.Popen.
    logdir: pathlib.Path of the run.
    every: float, seconds between two looks.

  Returns:
    list of dicts of numbers: time in s, step, memory in MB, files, threads.
  """
  from dreamer_idm.runs import metrics_file
  began, rows = time.time(), []
  while process.poll() is None:
    found = look(process.pid)
    step = next((x['step'] for x in metrics_file.read(logdir)[-1:]), 0)
    if found and step:
      rows.append({'time': time.time() - began, 'step': step, **found})
    time.sleep(every)
  return rows


def draw(rows, path):
  """Draws what was watched.

  Args:
    rows: list of dicts of `watch`.
    path: pathlib.Path of the PNG.
  """
  import matplotlib
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  figure, axes = plt.subplots(2, 2, figsize=(9, 5), sharex=True)
  step = [x['step'] / 1e3 for x in rows]
  for axis, (key, label) in zip(axes.flat, (
      ('memory', 'resident memory, MB'), ('files', 'open files'),
      ('threads', 'threads'), (None, 'ms per agent step'))):
    if key:
      axis.plot(step, [x[key] for x in rows])
    else:
      pairs = [
          (x, y) for x, y in zip(rows, rows[20:]) if y['step'] > x['step']]
      axis.plot([y['step'] / 1e3 for _, y in pairs], [
          1e3 * (y['time'] - x['time']) / (y['step'] - x['step'])
          for x, y in pairs])
    axis.set_ylabel(label)
    axis.set_ylim(bottom=0)
  for axis in axes[1]:
    axis.set_xlabel('thousand agent steps')
  figure.tight_layout()
  figure.savefig(path, dpi=110)


def slope(rows, key):
  """Growth over the second half of a run, per 100,000 steps.

  Args:
    rows: list of dicts of `watch`.
    key: str.

  Returns:
    float, of a least-squares line.
  """
  import numpy as np
  late = [x for x in rows if x['step'] >= rows[-1]['step'] / 2]
  steps = [x['step'] / 1e5 for x in late]
  return float(np.polyfit(steps, [x[key] for x in late], 1)[0])


def main():
  parser = harness.parser(__doc__)
  parser.add_argument('--steps', type=int, default=200000)
  parser.add_argument(
      '--every', type=float, default=2.0, help='seconds between two looks')
  parser.add_argument('--png', type=pathlib.Path, help='file for the figure')
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    logdir = pathlib.Path(folder) / 'run'
    with open(pathlib.Path(folder) / 'output', 'w') as output:
      process = subprocess.Popen(
          [sys.executable, str(harness.ROOT / 'run.py'), *FLAGS, '--threads',
           str(arguments.threads or 1), *arguments.flags, '--steps',
           str(arguments.steps), '--logdir', str(logdir)], cwd=harness.ROOT,
          stdout=output, stderr=subprocess.STDOUT)
      rows = watch(process, logdir, arguments.every)
    if process.returncode:
      sys.exit((pathlib.Path(folder) / 'output').read_text()[-2000:])
  for key in ('memory', 'files', 'threads'):
    values = [x[key] for x in rows]
    print(
        f'{key}: {values[len(values) // 2]:.0f} half-way, {values[-1]:.0f} at '
        f'the end, {slope(rows, key):+.2f} per 100,000 steps')
  if arguments.png:
    draw(rows, arguments.png)
  harness.write(arguments, rows)


if __name__ == '__main__':
  main()
