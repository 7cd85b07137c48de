"""Stands in for a training where the tests are about what runs when.

It keeps the training's manners (lock, metrics.jsonl, resuming, saving on
SIGTERM, exit codes) and trains nothing. It is called with what it is to do,
for each seed if there are commas, and then with the flags of `train`:

  train     1600 env steps in twenty
  wait      three of them, then waits until it is told to end
  stubborn  the same, and does not end
  die       kills itself half-way, the first time
  fail      fails
  usage     asks for what cannot be
  late      finds its folder in use, the first time
  busy      finds its folder in use, always
  hog       takes 300 MB and waits
  discount  has its discount as the return of every evaluation
  low       the same, and waits
"""

import fcntl
import json
import os
import pathlib
import signal
import sys
import time


def main(what, argv):
  flags = dict(zip(argv[:-1], argv[1:]))
  what = (what.split(',') * 9)[int(flags['--seed'])]
  logdir = pathlib.Path(flags['--logdir'])
  logdir.mkdir(parents=True, exist_ok=True)
  lock = (logdir / 'lock').open('w')
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if what == 'busy' or what == 'late' and not (logdir / 'came').exists():
      note(logdir, 'came', time.time())
      raise BlockingIOError
  except BlockingIOError:
    print('error: another run is training', file=sys.stderr)
    return 2
  signal.signal(
      signal.SIGTERM, signal.default_int_handler if what != 'stubborn' else
      lambda signum, frame: note(logdir, 'asked', signum))
  print('Begun.', flush=True)
  if what in ('discount', 'low') and not (logdir / 'config.yaml').exists():
    from dreamer_idm.config import load
    load.save(load.load(argv), logdir / 'config.yaml')
  note(logdir, 'times', time.time())
  note(logdir, 'gpus', os.environ.get('CUDA_VISIBLE_DEVICES'))
  try:
    return train(what, logdir, 1600, float(flags.get('--discount', 0)))
  except KeyboardInterrupt:
    note(logdir, 'saved', time.time())
    return 130
  finally:
    note(logdir, 'times', time.time())


def train(what, logdir, total, discount):
  if what == 'fail':
    raise RuntimeError('no luck')
  if what == 'usage':
    print('error: --x must be y', file=sys.stderr)
    return 2
  hoard = b'x' * 300_000_000 if what == 'hog' else b''
  path = logdir / 'metrics.jsonl'
  done = len(path.read_text().splitlines()) if path.exists() else 0
  for index in range(done, 20):
    if what == 'die' and index == 10 and not done:
      os.kill(os.getpid(), signal.SIGKILL)
    while hoard or what in ('wait', 'stubborn', 'low') and index == 3:
      time.sleep(0.01)
    row = {'step': (index + 1) * total // 20, 'updates': index, 'fps': 80.0}
    if index == 19:
      row['eval_return'] = 123.4
    if what in ('discount', 'low'):
      row['eval_return'] = discount
    note(logdir, path.name, json.dumps(row))
  return 0


def note(logdir, name, value):
  with (logdir / name).open('a') as file:
    file.write(f'{value}\n')


if __name__ == '__main__':
  sys.exit(main(sys.argv[1], sys.argv[2:]))
