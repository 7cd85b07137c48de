"""Training, as the command `train` and as a function.

`python run.py` is the command as well.
"""

import sys

from .. import errors
from ..config import load as config_lib
from ..config import same_run
from ..envs import environments


def run(argv):
  """Trains what the command line asks for.

  Args:
    argv: list of str, presets and keys in upstream's syntax.

  Raises:
    UsageError: for a mistake of the user's.
    TrainingError: if the training cannot continue.
    KeyboardInterrupt: when interrupted; what was trained is saved.
  """
  if {'--help', '-h', '--help=all'} & set(argv):
    print(config_lib.help_text(argv))
    return
  config = _loaded(argv)
  from . import signals
  from . import start  # TensorFlow only comes now: mistakes answer at once.
  signals.listen()
  start.run(config)


def _loaded(argv):
  config = config_lib.load(argv)
  environments.check_task(config.task)
  for line in same_run.idle_flags(argv, config):
    print(line, file=sys.stderr, flush=True)
  return config


def train(*presets, **settings):
  """Trains as the command does, resuming what is in the logdir.

  It prints what the command prints. Ctrl-C waits until a step is complete and
  saves what was trained.

  Args:
    *presets: names of presets, or one Config, of `load_config`.
    **settings: values of keys; dotted ones by `**{'idm.sigma_h': 0.2}`.

  Returns:
    dict: `run`, pathlib.Path of the logdir; `env_step`, int; `metrics`, a dict
    of all that was logged, name -> float arrays [n] of environment steps and
    values; `evaluation`, a dict of the last values of those that begin with
    `eval`.

  Raises:
    UsageError: if the settings, the machine or the logdir do not allow it.
    TrainingError: if it cannot continue.
    KeyboardInterrupt: when interrupted.
  """
  if not presets and not settings:
    raise errors.UsageError(
        "train expects presets or settings, such as train('cpu', 'idm')")
  if presets and not isinstance(presets[0], str):
    config, *others = presets
    if others or settings:
      raise errors.UsageError(
          'a Config comes alone: give presets and settings instead, or '
          'config.update(settings)')
    config_lib.check(config)
    environments.check_task(config.task)
  else:
    config = _loaded(_words(presets, settings))
  from ..runs import checkpoints
  from ..runs import metrics_file
  from . import signals
  from . import start
  with signals.ctrl_c():
    start.run(config)
  logdir = config_lib.logdir(config)
  rows = metrics_file.read(logdir)
  metrics = {
      k: metrics_file.series(rows, k)
      for k in sorted({k for row in rows for k in row} - {'step'})}
  return {
      'run': logdir,
      'env_step': config.action_repeat * checkpoints.Checkpoints(
          logdir / 'checkpoints').step(),
      'evaluation': {
          k: float(values[-1]) for k, (_, values) in metrics.items()
          if k.startswith('eval')},
      'metrics': metrics}


def _words(presets, settings):
  """The command line that says the same, a list of str."""
  words = ['--configs', *presets] if presets else []
  for key, value in settings.items():
    if isinstance(value, (list, tuple)):
      words += [f'--{key}', *map(str, value)]
    else:
      words.append(f'--{key}={value}')
  return words
