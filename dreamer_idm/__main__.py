"""`python -m dreamer_idm COMMAND`: what comes after (and before) training."""

import argparse
import importlib
import sys

from .errors import UsageError

COMMANDS = {
    'evaluate': 'returns of a trained agent, clean and perturbed',
    'reconstruct': 'how two runs decode noisy latents',
    'ab': 'train tasks x methods x seeds, resuming what was interrupted',
    'report': 'tables, figures and statistics of many runs, as a web page',
}


class _Parser(argparse.ArgumentParser):

  def error(self, message):
    # One line, as everywhere; argparse would print the usage first.
    raise UsageError(f'{message} (python -m {self.prog} --help lists all)')


def main(argv):
  """Runs a command.

  Args:
    argv: list of str, the command line without the program's name.

  Returns:
    int exit code: 0, 1 if not all trials of `ab` are complete, 2 for a
    mistake of the user's, 130 when interrupted.
  """
  try:
    if not argv or argv[0] in ('-h', '--help'):
      width = max(map(len, COMMANDS))
      print('usage: python -m dreamer_idm COMMAND [--help]\n')
      for name, text in COMMANDS.items():
        print(f'  {name:{width}}  {text}')
      print('\n`python run.py` trains a single run.')
      return 0 if argv else 2
    name, *rest = argv
    if name not in COMMANDS:
      raise UsageError(
          f'unknown command {name!r}: expected {", ".join(COMMANDS)}')
    command = importlib.import_module(f'.{name}', __package__)
    parser = _Parser(
        prog=f'dreamer_idm {name}', description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    command.add_arguments(parser)
    return command.run(parser.parse_args(rest)) or 0
  except (UsageError, ImportError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  except SystemExit as error:
    return error.code or 0  # argparse has printed its help.
  except BrokenPipeError:
    sys.stdout = None  # Whoever read it, `head` perhaps, has seen enough.
    return 0
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    return 130


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
