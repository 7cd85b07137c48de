"""The trials of a comparison: what is to be run, checked before it starts."""

import pathlib
import sys

from ..config import keys
from ..config import load as config_lib
from ..config import rules
from ..config import same_run
from ..envs import environments
from ..errors import UsageError
from . import trial_process
from .trials import Trial

VANILLA = 'dreamer'  # The method without a preset of its own.
# What only the command's own arguments may set, and which.
OWN = {
    'configs': '--configs', 'task': '--tasks', 'method': '--methods',
    'seed': '--seeds', 'logdir': '--logdir', 'threads': '--threads'}
PROGRAM = [sys.executable, '-m', 'dreamer_idm', 'train']


def plan(args, program=None):
  """Lists the trials of a comparison and checks all of them.

  Args:
    args: argparse.Namespace of `ab.add_arguments`.
    program: list of str, what is run in place of `dreamer-idm train`; the
      tests put something quick there.

  Returns:
    list of Trials, seed by seed, so that what has been done whenever this is
    stopped is as fair a comparison as can be.

  Raises:
    UsageError: if one of them could not be run, or its folder has a run with
      other settings.
  """
  program = program or PROGRAM
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
    trial.look()
    if trial.complete():
      trial.state = 'complete'
  return trials


def _seeds(args, program, task, method):
  """Lists the Trials of one task and method, one for each seed."""
  presets = [*args.configs, *([] if method == VANILLA else [method])]
  folder = pathlib.Path(args.logdir).expanduser().absolute()
  folder = folder / config_lib.folder_name(task) / method
  environ = {'PYTHONPATH': trial_process.python_path()}
  trials, config = [], None
  for seed in dict.fromkeys(args.seeds):
    own = {'task': task, 'seed': seed, 'logdir': str(folder / str(seed))}
    flags = [str(x) for key, value in own.items() for x in (f'--{key}', value)]
    flags = [
        '--configs', *presets, *flags, '--threads', str(args.threads),
        *args.flags]
    if config is None:  # Once for all seeds, since it takes a while.
      config = _load(flags, args.flags)
      _check_method(config, method, presets)
    config = config.update(own)
    rules.check(config)
    trial = Trial(
        task, method, seed, folder / str(seed), [*program, *flags],
        int(config.steps) * config.action_repeat, config.action_repeat,
        environ)
    # It counts only if it is the run that is meant.
    same_run.check(
        config, trial.logdir / 'config.yaml', resumes=not trial.complete())
    trials.append(trial)
  return trials


def _load(flags, behind):
  """Loads a config; the flags behind -- must not undo what ab itself sets."""
  names = [x[2:].partition('=')[0] for x in behind if x[:2] == '--']
  _check_behind(names)  # Before it is taken for a second --configs.
  config = config_lib.load(flags)
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
  if not config.eval_eps:
    raise UsageError(
        '--eval_eps 0 evaluates nothing, and a comparison is one of '
        'evaluations')
