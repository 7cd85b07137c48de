"""Trials of a comparison: what is to be run, and how far it has come.

A trial is one run.py process per (task, method, seed) with the folder
`logdir/<task>/<method>/<seed>`. What it has done is read from that folder
alone, so that any engine on any machine can run it, and another `ab` can go
on where this one was stopped.
"""

import dataclasses
import fcntl
import os
import pathlib
import re
import sys

from ..config import keys
from ..config import load as config_lib
from ..config import rules
from ..config import same_run
from ..envs import environments
from ..errors import UsageError
from ..runs import metrics_file

VANILLA = 'dreamer'  # The method without a preset of its own.
# What only the command's own arguments may say, and which.
OWN = {
    'configs': '--configs', 'task': '--tasks', 'seed': '--seeds',
    'logdir': '--logdir', 'threads': '--threads'}


@dataclasses.dataclass
class Trial:
  """One run of a comparison, and what is known about it.

  `state` is waiting, running, complete, failed, in use (by a process that is
  not ours) or stopped (with us).
  """

  task: str
  method: str
  seed: int
  logdir: pathlib.Path
  command: list[str]
  target: int  # env steps of the whole run.
  repeat: int  # env steps per agent step.
  state: str = 'waiting'
  attempts: int = 0
  collisions: int = 0  # How often its folder was in use unexpectedly.
  ended: float = 0.0  # When the last attempt did, in seconds.
  problem: str = ''
  steps: int = 0  # env steps done.
  score: float | None = None  # Mean return of the latest evaluation.
  pace: float | None = None  # env steps per second, seen from here or logged.
  _files: tuple | None = None
  _trained: int | None = None
  _first: tuple | None = None
  _moved: float = 0.0

  def __str__(self):
    return f'{self.task} {self.method} seed {self.seed}'

  def begin(self, now):
    """Notes that an attempt begins.

    Args:
      now: float, seconds.
    """
    self.look(now)
    self.state, self.problem = 'running', ''
    # The time until it moves goes into starting, not into training.
    self._first = None

  def look(self, now):
    """Reads how far the trial has come.

    What cannot be read (now: shared file systems have their moments) stays
    as it was known.

    Args:
      now: float, seconds.
    """
    try:
      stat = (self.logdir / 'metrics.jsonl').stat()
      files = stat.st_ino, stat.st_size, stat.st_mtime_ns
      if files == self._files:
        return
      rows = metrics_file.read(self.logdir)
    except OSError:
      return
    self._files = files
    if not rows:
      return
    self.steps = int(rows[-1]['step'])
    backwards = rows[::-1]
    self.score = next(
        (x['eval_return'] for x in backwards if 'eval_return' in x), None)
    # The random steps before the first update are fast and do not count.
    trained = next((x['step'] for x in backwards if 'updates' in x), None)
    if trained != self._trained and self.state == 'running':
      self._measure(now, trained)
    self._trained = trained
    if self.pace is None and self.state != 'running':
      # What an earlier process logged is the best that is known.
      self.pace = next(
          (x['fps'] for x in backwards if 'updates' in x
           and isinstance(x.get('fps'), float) and x['fps'] > 0), None)

  def _measure(self, now, trained):
    self._moved = now
    if trained is None:
      self._first = None
    elif self._first is None or trained <= self._first[1]:
      self._first = now, trained  # Resumed: it went back to a checkpoint.
    elif now > self._first[0]:
      self.pace = (trained - self._first[1]) / (now - self._first[0])

  def remaining(self, now, pace=None):
    """Estimates the work that is left.

    Args:
      now: float, seconds.
      pace: float, env steps per second, where its own is not known; or None.

    Returns:
      float, seconds; None if not known.
    """
    pace = self.pace or pace
    if not pace:
      return None
    seconds = max(0, self.target - self.steps) / pace
    if self.state == 'running' and self._first:
      seconds -= now - self._moved  # Steps since then are still to be told.
    return max(0.0, seconds)

  def complete(self):
    """Whether it has trained to the end, with an evaluation there.

    Returns:
      bool. False also if that cannot be read: run.py will find out.
    """
    try:
      saved = saved_step(self.logdir)
      if saved is not None and saved * self.repeat < self.target:
        return False  # Killed between the evaluation and its checkpoint.
      return (self.logdir / 'config.yaml').exists() and any(
          'eval_return' in x and x['step'] >= self.target
          for x in metrics_file.read(self.logdir))
    except OSError:
      return False


def saved_step(logdir):
  """Reads what a run's latest checkpoint is, without TensorFlow.

  Args:
    logdir: pathlib.Path of the run.

  Returns:
    int, agent steps; None if there is no checkpoint (any more).

  Raises:
    OSError: if it is there but cannot be read.
  """
  folder = logdir / 'checkpoints' / 'latest'
  names = os.listdir(folder) if folder.exists() else []
  found = [re.fullmatch(r'ckpt-(\d+)\.index', x) for x in names]
  return max((int(x[1]) for x in found if x), default=None)


def in_use(logdir):
  """Whether a process, ours or not, trains in a folder.

  Args:
    logdir: pathlib.Path of the run.

  Returns:
    bool.
  """
  try:
    with (logdir / 'lock').open('r+') as file:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return True
  except OSError:
    return False  # Nobody has been here, or nothing can be locked.
  return False


def plan(args, program=None):
  """Lists the trials of a comparison and checks all of them.

  Args:
    args: argparse.Namespace of `ab.add_arguments`.
    program: list of str, what is run in place of `python run.py`; the tests
      put something quick there. None: run.py beside the package.

  Returns:
    list of Trials, seed by seed, so that what has been done whenever this is
    stopped is as fair a comparison as can be.

  Raises:
    UsageError: if one of them could not be run.
  """
  program = program or _run_py()
  logdir = pathlib.Path(args.logdir).expanduser()
  if logdir.exists() and not logdir.is_dir():
    raise UsageError(f'--logdir is a file, not a folder: {logdir}')
  trials: list[Trial] = []
  for task in dict.fromkeys(args.tasks):
    environments.check_task(task)
    for method in dict.fromkeys(args.methods):
      trials += _seeds(args, program, task, method)
  trials.sort(key=lambda x: args.seeds.index(x.seed))  # Stable.
  for trial in trials:
    trial.look(0)
    if trial.complete():
      trial.state = 'complete'
  return trials


def _seeds(args, program, task, method):
  # The trials of one task and method, one for each seed.
  presets = [*args.configs, *([] if method == VANILLA else [method])]
  folder = pathlib.Path(args.logdir).expanduser().absolute()
  folder = folder / config_lib.folder_name(task) / method
  trials, config = [], None
  for seed in dict.fromkeys(args.seeds):
    own = {'task': task, 'seed': seed, 'logdir': str(folder / str(seed))}
    flags = [str(x) for key, value in own.items() for x in (f'--{key}', value)]
    flags = ['--configs', *presets, *flags, '--threads', str(args.threads)]
    if config is None:
      config = _load(flags, args.flags)
      _check_method(config, method, presets)
    config = config.update(own)
    rules.check(config)
    trial = Trial(
        task, method, seed, folder / str(seed),
        [*program, *flags, *args.flags],
        int(config.steps) * config.action_repeat, config.action_repeat)
    # It counts only if it is the run that is meant.
    same_run.check(
        config, trial.logdir / 'config.yaml', resumes=not trial.complete())
    trials.append(trial)
  return trials


def _load(flags, behind):
  # The config of a trial; only once for its seeds, since it takes a while.
  names = [
      x[len('--'):].partition('=')[0] for x in behind if x.startswith('--')]
  _check_behind(names)  # Before it is taken for a second --configs.
  config = config_lib.load([*flags, *behind])
  for name in names:
    _check_behind(keys.find(config, name, '--'))
  return config


def _check_behind(names):
  for key in names:
    if key in OWN:
      raise UsageError(
          f'the flags behind -- must not set {key}: ab does, with its own '
          f'{OWN[key]} before the --')


def _check_method(config, method, presets):
  if config.method != method:
    raise UsageError(
        f'--methods {method}: with the presets {" ".join(presets)} the '
        f'method is {config.method}. --methods takes dreamer or presets that '
        'name a method, such as idm; --configs what all of them share')


def _run_py():
  path = pathlib.Path(__file__).resolve().parents[2] / 'run.py'
  if not path.exists():
    raise UsageError(
        f'{path} is not there, but ab runs it: use the package from the '
        'repository, where run.py is beside it')
  return [sys.executable, str(path)]
