"""Trains Dreamer or IDM; `python run.py --help` says how."""

import sys


def main(argv):
  """Trains what the command line asks for.

  Args:
    argv: list of str, the command line without the program's name.

  Returns:
    int exit code: 0, 1 if a training cannot go on, 2 for a mistake of the
    user's, 130 when interrupted.
  """
  # Nothing is imported above: spawned processes import this file as well.
  from dreamer_idm.errors import TrainingError
  from dreamer_idm.errors import UsageError
  try:
    from dreamer_idm import config as config_lib
    from dreamer_idm import config_match
  except ImportError as error:
    return _complain(error)
  try:
    if {'--help', '-h', '--help=all'} & set(argv):
      everything = 'all' in argv or '--help=all' in argv
      print(config_lib.help_text(everything))
      return 0
    config = config_lib.load(argv)
    from dreamer_idm import environments
    environments.check_task(config.task)
    for line in config_match.idle_flags(argv, config):
      _say(line)
    from dreamer_idm import train
    train.run(config)
  except UsageError as error:
    return _complain(error)
  except TrainingError as error:
    return _complain(error, 1)
  except BrokenPipeError:
    sys.stdout = None  # Whoever read it, `head` perhaps, has seen enough.
  except KeyboardInterrupt:
    _say('interrupted')
    return 130
  return 0


def _complain(error, code=2):
  _say(f'error: {error}')
  return code


def _say(text):
  try:
    print(text, file=sys.stderr, flush=True)
  except OSError:
    sys.stderr = None  # `2>&1 | head` has seen enough of this as well.


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
