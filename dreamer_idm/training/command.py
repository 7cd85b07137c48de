"""The command `train`, which `python run.py` is as well."""

import sys

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
  config = config_lib.load(argv)
  environments.check_task(config.task)
  for line in same_run.idle_flags(argv, config):
    print(line, file=sys.stderr, flush=True)
  from . import start  # TensorFlow only comes now: mistakes answer at once.
  start.run(config)
