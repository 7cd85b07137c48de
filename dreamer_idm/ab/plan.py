"""The trials of a comparison: what is to be run, checked before it starts."""

import itertools
import sys

from ..config import keys
from ..config import load as config_lib
from ..config import rules
from ..config import same_run
from ..envs import environments
from ..errors import UsageError
from .trials import Trial

VANILLA = 'dreamer'  # The arm of --configs alone.
# What only the command's own arguments may set, and which.
OWN = {
    'task': '--tasks', 'method': '--methods', 'seed': '--seeds',
    'logdir': '--logdir', 'threads': '--threads'}
PROGRAM = [sys.executable, '-m', 'dreamer_idm', 'train']


def plan(args, program=None):
  """Lists the trials of a comparison and checks all of them.

  Args:
    args: argparse.Namespace of `ab.add_arguments`.
    program: list of str, what is run in place of `dreamer-idm train`.

  Returns:
    list of Trials, seed by seed, so that a comparison that is stopped at any
    time is a fair one.

  Raises:
    UsageError: if one of them could not be run, or its folder has a run with
      other settings.
  """
  check(args)
  found: dict = {}  # Points of a grid may be one for some methods.
  points = list(itertools.product(*map(_values, args.grid)))
  for task, method, point in itertools.product(
      args.tasks, args.methods, points):
    for trial in arm(args, program, task, method, point):
      found.setdefault(trial.logdir, trial)
  # Stable: within a seed, the order of the command line.
  trials = sorted(found.values(), key=lambda x: args.seeds.index(x.seed))
  for trial in trials:
    trial.look()
    if trial.complete():
      trial.state = 'complete'
  return trials


def check(args):
  """Raises UsageError if the logdir or a task cannot be."""
  if args.logdir.exists() and not args.logdir.is_dir():
    raise UsageError(f'--logdir is a file, not a folder: {args.logdir}')
  for task in args.tasks:
    environments.check_task(task)


def split(text):
  """Splits `key=words` of --grid into key and words, both str."""
  key, _, values = text.partition('=')
  if not key or not all(x.split() for x in values.split(',')):
    raise UsageError(f'--grid expects key=value,value, but got {text!r}')
  if key in OWN:
    raise UsageError(f'--grid must not set {key}: use {OWN[key]}')
  return key, values


def _values(text):
  """Splits `key=v1,v2` into a list of (key, value), both str."""
  key, values = split(text)
  if '..' in values:
    raise UsageError(
        f'--grid {text}: a range is for --optuna N, which chooses from it')
  return [(key, x.strip()) for x in values.split(',')]


def arm(args, program, task, method, point):
  """Lists the trials of one arm, one for each seed.

  Args:
    args: argparse.Namespace of `ab.add_arguments`.
    program: see `plan`.
    task: str.
    method: str, a preset.
    point: list of (key, value), both str: what --grid sets.

  Returns:
    list of Trials.

  Raises:
    UsageError: if they could not be run, or a folder has a run with other
      settings.
  """
  presets = [*args.configs, *(x for x in method.split('+') if x != VANILLA)]
  flags = [
      *args.flags, *(w for k, v in point for w in (f'--{k}', *v.split()))]
  config = load(presets, task, args.threads, flags)
  if config.method != method:
    raise UsageError(
        f'--methods {method}: with the presets {" ".join(presets)} the '
        f'method is {config.method}. --methods takes presets that name an arm, '
        'such as dreamer and idm; --configs takes those of all arms')
  if not config.eval_eps:
    raise UsageError(
        '--eval_eps 0 evaluates nothing, and a comparison is one of '
        'evaluations')
  # What has no effect on this method makes no other arm.
  point = [x for x in point if any(
      same_run.has_effect(k, config.flat)
      for k in keys.find(config, x[0], '--'))]
  name = config_lib.folder_name(
      '+'.join([method, *(f'{k}-{v}' for k, v in point)]))
  folder = args.logdir.absolute() / config_lib.folder_name(task) / name
  trials = []
  for seed in dict.fromkeys(args.seeds):
    own = {
        'task': task, 'seed': seed, 'logdir': str(folder / str(seed)),
        'threads': args.threads, **({'method': name} if point else {})}
    config = config.update(own)
    rules.check(config)
    words = [str(x) for k, v in own.items() for x in (f'--{k}', v)]
    trial = Trial(
        task, name, seed, folder / str(seed),
        [*(program or PROGRAM), '--configs', *presets, *words, *flags],
        int(config.steps) * config.action_repeat, config.action_repeat)
    # It counts only if it is the run that is meant.
    same_run.check(
        config, trial.logdir / 'config.yaml', resumes=not trial.complete())
    trials.append(trial)
  return trials


def load(presets, task, threads, flags):
  """Loads a config; the flags must not undo what ab itself sets."""
  config = config_lib.load([
      '--configs', *presets, '--task', task, '--threads', str(threads),
      *flags])
  for name in (x[2:].partition('=')[0] for x in flags if x[:2] == '--'):
    for key in keys.find(config, name, '--'):
      if key in OWN:
        raise UsageError(
            f'the flags after -- must not set {key}: ab does, with its own '
            f'{OWN[key]} before the --')
  return config
