"""Runs a list of trainings two at a time, and keeps a table of what they reach.

  python bench/search.py results/search/queue.txt --logdir logdir/search

Every line of the list is `name | flags of run.py`; `#` begins a comment. The
list is read again before each start, so lines may be added, moved and removed
while it works. A run ends early when there is a file `STOP` in its folder.
Runs take one thread each, at low priority. The same command resumes.

  python bench/search.py results/search/queue.txt --logdir logdir/search \\
      --table results/search/runs.csv

writes the table and starts nothing: one row a run, with its flags, its last
step and the evaluation returns by environment step.
"""

import argparse
import csv
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# Besides the returns, what tells why a run does not learn.
LAST = (
    'updates', 'model_kl', 'actor_ent', 'eval_value_predicted',
    'eval_value_realised')


def runs(path):
  """Reads the list.

  Args:
    path: pathlib.Path.

  Returns:
    dict of name -> str, the flags of run.py.
  """
  lines = [x.split('#')[0] for x in path.read_text().splitlines()]
  pairs = [x.split('|', 1) for x in lines if '|' in x]
  return {name.strip(): flags.strip() for name, flags in pairs}


def work(path, logdir, workers):
  """Starts what is waiting until nothing is.

  Args:
    path: pathlib.Path of the list.
    logdir: pathlib.Path; each run has a folder of its name there.
    workers: int, how many run at once.
  """
  running: dict = {}
  failed: dict = {}
  while True:
    for name, process in list(running.items()):
      if (logdir / name / 'STOP').exists():
        process.terminate()
      if process.poll() is None:
        continue
      del running[name]
      if process.returncode == 0:
        (logdir / name / 'DONE').touch()
      else:
        failed[name] = failed.get(name, 0) + 1
        print(f'{time.ctime()} {name}: exit {process.returncode}', flush=True)
    waiting = [
        (k, v) for k, v in runs(path).items()
        if k not in running and failed.get(k, 0) < 2
        and not any((logdir / k / x).exists() for x in ('DONE', 'STOP'))]
    if not waiting and not running:
      return
    for name, flags in waiting[:workers - len(running)]:
      print(f'{time.ctime()} {name} starts', flush=True)
      running[name] = _start(logdir / name, flags)
    time.sleep(5)


def _start(folder, flags):
  """Starts a training; its output goes behind that of earlier starts."""
  folder.mkdir(parents=True, exist_ok=True)
  with (folder / 'output.log').open('a') as log:
    return subprocess.Popen(
        [sys.executable, str(ROOT / 'run.py'), *shlex.split(flags),
         '--threads', '1', '--logdir', str(folder)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        preexec_fn=lambda: os.nice(10))


def table(path, logdir, target):
  """Writes what the runs have reached.

  Rows of runs that are no longer in the logdir stay as they are.

  Args:
    path: pathlib.Path of the list.
    logdir: pathlib.Path.
    target: pathlib.Path of the CSV.
  """
  from dreamer_idm.runs import metrics_file
  rows = {}
  if target.exists():
    with target.open(newline='') as file:
      rows = {x['name']: x for x in csv.DictReader(file)}
  flags = runs(path)
  for folder in sorted(x.parent for x in logdir.glob('*/metrics.jsonl')):
    found = metrics_file.read(folder)
    if not found:
      continue
    steps, returns = metrics_file.series(found, 'eval_return')
    last = {k: v for row in found for k, v in row.items() if k in LAST}
    old = rows.get(folder.name, {})
    rows[folder.name] = {
        'name': folder.name,
        'flags': flags.get(folder.name, old.get('flags', '')),
        'env_steps': int(found[-1]['step']),
        'state': next((x.lower() for x in ('DONE', 'STOP')
                       if (folder / x).exists()), 'unfinished'),
        'returns': ' '.join(
            f'{step:.0f}:{value:.0f}' for step, value in zip(steps, returns)),
        **{k: f'{last[k]:.4g}' if k in last else '' for k in LAST}}
  with target.open('w', newline='') as file:
    writer = csv.DictWriter(file, [
        'name', 'env_steps', 'state', 'returns', *LAST, 'flags'])
    writer.writeheader()
    writer.writerows(rows[x] for x in sorted(rows))


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('list', type=pathlib.Path)
  parser.add_argument('--logdir', type=pathlib.Path, required=True)
  parser.add_argument('--workers', type=int, default=2)
  parser.add_argument('--table', type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.table:
    table(arguments.list, arguments.logdir, arguments.table)
  else:
    work(arguments.list, arguments.logdir, arguments.workers)


if __name__ == '__main__':
  main()
