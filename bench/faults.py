"""Is anything lost? A small training, killed and starved again and again.

  python bench/faults.py --kills 20 --json results/faults.json

`crash` kills a real run.py process with SIGKILL: in a random step of its
environment, inside the file operations that have to be whole (the n-th sync,
rename or deletion) and while TensorFlow writes a checkpoint; every fourth one
gets a SIGTERM in a step instead, and has to save. None of it depends on how
fast the machine is. `disk` fills a small file system during each kind of
write (root alone may mount one; without it that part is left out). Each part
resumes until the end is reached and then checks the books, which the
environment keeps for itself (ledger.py). Linux only.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
EVERY = {'train': 20, 'log': 50, 'eval': 200}
PRETRAIN = 3
FLAGS = [
    '--configs', 'cpu_proprio', '--task', 'gym_bench.ledger:Ledger-v0',
    '--action_repeat', '1', '--prefill', '100', '--eval_eps', '1', '--seed',
    '3', '--train_every', str(EVERY['train']), '--log_every', str(EVERY['log']),
    '--eval_every', str(EVERY['eval']), '--pretrain', str(PRETRAIN),
    '--threads', '1', '--imag_horizon', '3', '--dataset.batch', '4',
    '--dataset.length', '10', '--replay.minlen', '10', '--replay.maxlen', '10',
    r'--(encoder|decoder)\.mlp_layers', '8', r'--.*\.units', '8',
    '--rssm.deter', '8', '--rssm.hidden', '8', '--rssm.stoch', '4']


class Run:
  """A run of run.py in a folder, with its books beside it."""

  def __init__(self, folder, steps, *flags):
    """Starts nothing yet.

    Args:
      folder: pathlib.Path; the run is in `run`, its books in `ledger`.
      steps: int, agent steps.
      *flags: str, further ones for run.py.
    """
    self.folder, self.ends = folder, [steps]
    self.logdir = folder / 'run'
    self.flags = [
        *FLAGS, *flags, '--steps', str(steps), '--logdir', str(self.logdir)]

  def prolong(self, steps):
    """Gives a run that has reached its end a later one.

    Args:
      steps: int, agent steps more.
    """
    self.ends.append(self.ends[-1] + steps)
    self.flags += ['--steps', str(self.ends[-1])]

  def start(self, death=''):
    """Starts the process.

    Args:
      death: str, `kill:N` or `term:N` at the N-th step of the environments,
        `call:N` or `write:N:SECONDS`, see `_arm`; empty for none.

    Returns:
      subprocess.Popen, output and errors in one text pipe.
    """
    program = [str(ROOT / 'run.py')]
    environ = {
        'LEDGER': str(self.folder / 'ledger'), 'CUDA_VISIBLE_DEVICES': '',
        'TF_CPP_MIN_LOG_LEVEL': '3'}
    if death.startswith(('kill', 'term')):
      environ['LEDGER_FAULT'] = death
    elif death:
      program = [__file__, '--die', death]
    return subprocess.Popen(
        [sys.executable, *program, *self.flags], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, **environ})

  def finish(self):
    """Runs it to its end.

    Returns:
      int exit code, and str output.
    """
    process = self.start()
    out, _ = process.communicate()
    return process.returncode, out

  def rows(self):
    """Reads the curve; every line has to be whole.

    Returns:
      list of dicts.
    """
    text = (self.logdir / 'metrics.jsonl').read_text()
    assert text.endswith('\n')
    return [json.loads(x) for x in text.splitlines()]


def _arm(death):
  # In the process that is to die: at the N-th of the calls that make files
  # whole, or some time after TensorFlow began to write the N-th checkpoint.
  from dreamer_idm.runs import checkpoints
  from dreamer_idm.runs import files
  kind, number, *rest = death.split(':')
  count = iter(range(1, 10 ** 9))

  def die():
    os.kill(os.getpid(), signal.SIGKILL)

  def wrap(place, name, act):
    function = getattr(place, name)

    def call(*args, **kwargs):
      if next(count) == int(number):
        act()
      return function(*args, **kwargs)
    setattr(place, name, call)

  if kind == 'write':
    wrap(checkpoints.Checkpoints, 'save', lambda: threading.Timer(
        float(rest[0]), die).start())
    return
  for place, name in (
      (os, 'replace'), (pathlib.Path, 'rename'), (pathlib.Path, 'unlink'),
      (pathlib.Path, 'rmdir'), (files, 'sync')):
    wrap(place, name, die)


def check(run):
  """Checks the books of a run that has reached its end.

  Args:
    run: Run.

  Returns:
    dict of numbers: what was found.

  Raises:
    AssertionError: if something was lost, doubled or left over.
  """
  import numpy as np

  rows = run.rows()
  found = _check_curve(rows, run.ends)
  folder = run.logdir / 'train_episodes'
  state, iterations = _last_checkpoint(run)
  assert state['step'] == run.ends[-1], state['step']
  assert state['updates'] == rows[-1]['updates']
  assert set(iterations) == {state['updates']}, iterations
  kept = sorted(x.name for x in folder.glob('*.npz'))
  assert kept == state['episodes'] and len(kept) == found['episodes']
  seen: dict = {}
  for path in folder.iterdir():
    assert path.suffix in ('.npz', '.after_checkpoint'), path
    with path.open('rb') as file:
      vector = np.load(file)['vector']
    assert (vector[:, 2] == np.arange(len(vector))).all(), path
    assert (vector[:, :2] == vector[0, :2]).all(), path
    name = tuple(int(x) for x in vector[0, :2])
    assert name not in seen, f'{path} is {seen[name]} again'
    seen[name] = path
  found['quarantined'] = len(seen) - len(kept)
  found['unwritten'] = _unwritten(run, seen)
  left = [
      x for pattern in ('unfinished', '.*', '*.damaged')
      for x in run.logdir.rglob(pattern)]
  assert not left, left
  return found


def _check_curve(rows, ends):
  # The first row with updates is the evaluation behind the prefill.
  updates = [x for x in rows if 'updates' in x]
  start, steps = int(updates[0]['agent_step']), ends[-1]
  expected = [x for x in range(start + 1, steps + 1) if not x % EVERY['log']]
  logged = [x['agent_step'] for x in rows if 'fps' in x]
  assert logged == expected, (logged, expected)
  evaluated = [x['agent_step'] for x in rows if 'eval_return' in x]
  expected = [start] + [
      x for x in range(start + 1, steps + 1)
      if not x % EVERY['eval'] or x in ends]
  assert evaluated == expected, (evaluated, expected)
  for row in updates:
    step = int(row['agent_step'])
    if step > start:
      count = 1 + PRETRAIN + sum(
          not x % EVERY['train'] for x in range(start + 1, step + 1))
      assert row['updates'] == count, row
  episodes = [x for x in rows if 'train_return' in x]
  assert [x['train_total_episodes'] for x in episodes] == list(
      range(1, len(episodes) + 1))
  return {'rows': len(rows), 'updates': updates[-1]['updates'],
          'episodes': len(episodes)}


def _last_checkpoint(run):
  from dreamer_idm.runs import checkpoints
  found = checkpoints.Checkpoints(run.logdir / 'checkpoints')
  reader = checkpoints.tf.train.load_checkpoint(
      str(found.path() / checkpoints.PREFIX))
  names = [
      x for x in reader.get_variable_to_shape_map()
      if re.search(r'_opt/_opt/iter/', x)]
  assert len(names) == 3, names
  return found.state(), [int(reader.get_tensor(x)) for x in names]


def _unwritten(run, seen):
  # Finished episodes that are nowhere: only a process's last one may be, for
  # it can be killed between the end of an episode and its file.
  lines = (run.folder / 'ledger').read_text().splitlines()
  finished = [tuple(json.loads(x)) for x in lines]
  assert len(set(finished)) == len(finished)
  last = dict(finished)
  training = {name for name, _ in seen}
  missing = [x for x in finished if x[0] in training and x not in seen]
  assert all(last[name] == number for name, number in missing), missing
  return len(missing)


def crash(folder, steps, kills, seed=0, note=print, *flags):
  """Kills a run again and again, lets it reach its end, checks the books.

  Args:
    folder: pathlib.Path, empty.
    steps: int, agent steps.
    kills: int, how many processes are ended before one may run to its end.
    seed: int, for the moments.
    note: function of str, called with a line for each process.
    *flags: str, further ones for run.py.

  Returns:
    dict of numbers.
  """
  run, rng = Run(folder, steps, *flags), random.Random(seed)
  counts = dict.fromkeys(('kill', 'call', 'write', 'term', 'unhurt'), 0)
  for number in range(kills):
    kind = ('kill', 'call', 'write', 'term')[number % 4]
    death = {
        'kill': f'kill:{rng.randint(1, steps // 2)}',
        'call': f'call:{rng.randint(1, 60)}',
        'write': f'write:{rng.randint(1, 3)}:{rng.uniform(0, 0.05):.4f}',
        # The first steps are prefill, behind which there is nothing to save.
        'term': f'term:{rng.randint(150, steps // 2)}'}[kind]
    process = run.start(death)
    out, _ = process.communicate()
    code, lines = process.returncode, out.splitlines() or ['']
    note(f'{number + 1:3} {death:16} exit {code:4}: {lines[-1]}')
    assert 'Traceback' not in out, out
    if code == 0:
      counts['unhurt'] += 1
      run.prolong(400)
      continue
    counts[kind] += 1
    assert code == (130 if kind == 'term' else -signal.SIGKILL), out
    assert kind != 'term' or 'the same command' in out, out
  code, out = run.finish()
  assert code == 0, out
  return {**counts, 'steps': run.ends[-1], **check(run)}


def disk(folder, steps, note=print):
  """Fills the disk during each kind of write, makes room, and resumes.

  Args:
    folder: pathlib.Path, empty.
    steps: int, agent steps.
    note: function of str.

  Returns:
    dict of str -> dict of numbers.
  """
  results = {}
  # What is on the small file system, its size, and what is not on it.
  for name, size, elsewhere in (
      ('checkpoints', '300k', ()), ('train_episodes', '60k', ()),
      ('.', '72k', ('checkpoints', 'train_episodes'))):
    home = folder / (name.strip('.') or 'metrics')
    run = Run(home, steps)
    small = run.logdir / name
    small.mkdir(parents=True)
    subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(small)],
        check=True)
    try:
      for other in elsewhere:
        (home / other).mkdir()
        (run.logdir / other).symlink_to(home / other)
      code, out = run.finish()
      last = out.splitlines()[-1]
      note(f'{home.name}: exit {code}, {last}')
      assert code == 1 and last.startswith('error: '), out
      assert 'Traceback' not in out and 'the same command' in last, out
      subprocess.run(
          ['mount', '-o', 'remount,size=100m', str(small)], check=True)
      code, out = run.finish()
      assert code == 0, out
      results[home.name] = {
          'told': last.replace(str(home), '...'), **check(run)}
    finally:
      subprocess.run(['umount', str(small)], check=True)
  return results


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=20)
  parser.add_argument('--steps', type=int, default=3000)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--parts', nargs='+', default=['crash', 'disk'])
  parser.add_argument('--json', type=pathlib.Path)
  parser.add_argument('--die', help=argparse.SUPPRESS)
  arguments, flags = parser.parse_known_args()
  if arguments.die:
    at = sys.argv.index('--die')
    _arm(arguments.die)
    import run
    sys.exit(run.main(sys.argv[at + 2:]))
  if flags:
    parser.error(f'unknown: {" ".join(flags)}')
  results = {}
  with tempfile.TemporaryDirectory() as folder:
    for part in arguments.parts:
      home = pathlib.Path(folder) / part
      home.mkdir()
      began = time.time()
      if part == 'crash':
        found = crash(
            home, arguments.steps, arguments.kills, arguments.seed)
      elif os.geteuid():
        print('disk: left out, for only root may mount a small file system')
        continue
      else:
        found = disk(home, arguments.steps // 2)
      results[part] = {**found, 'seconds': round(time.time() - began)}
      print(f'{part}: {json.dumps(results[part])}', flush=True)
  if arguments.json:
    arguments.json.write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
  main()
