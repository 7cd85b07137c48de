"""`dreamer-idm COMMAND`, or `python -m dreamer_idm COMMAND`."""

import argparse
import contextlib
import importlib
import os
import pathlib
import site
import sys
import sysconfig
import traceback

from . import __version__
from .errors import TrainingError
from .errors import UsageError

# Name -> module with `add_arguments` and `run`, and what it does.
COMMANDS = {
    'train': ('training.command', 'train one agent, resuming what is there'),
    'evaluate': (
        'evaluation.evaluate',
        'returns of a trained agent, clean and perturbed'),
    'reconstruct': (
        'evaluation.reconstruct', 'how runs decode noisy latents'),
    'export': (
        'evaluation.export',
        'what acts, as a model for TensorFlow alone and for ONNX'),
    'ab': ('ab', 'train tasks x methods x seeds, resuming what is there'),
    'report': (
        'report',
        'tables, figures and statistics of many runs, as a web page'),
}


EXAMPLE = """\
example:
  dreamer-idm train --configs cpu idm debug --logdir logdir/first"""


class _Parser(argparse.ArgumentParser):

  def error(self, message):
    # One line, as everywhere; argparse would print the usage first.
    raise UsageError(f'{message} ({self.prog} --help lists all)')


def main(argv):
  """Runs a command.

  Args:
    argv: list of str, the command line without the program's name.

  Returns:
    int exit code: 0, 1 if a training cannot continue or not all trials of
    `ab` are complete, 2 for a mistake of the user's, 130 when interrupted.

  Raises:
    ImportError: if a module of the user's cannot be imported.
  """
  with contextlib.suppress(OSError):  # The folder may be deleted.
    if os.getcwd() not in sys.path:
      # Modules of the user's, as `python -m` finds them, and so do trials.
      sys.path.insert(0, os.getcwd())
  try:
    return _main(argv) or 0
  except UsageError as error:
    return _complain(error, 2)
  except ImportError as error:
    if _in_users_code(error):
      raise
    return _complain(error, 2)
  except TrainingError as error:
    return _complain(error, 1)
  except SystemExit as error:
    return error.code or 0  # argparse has printed its help.
  except BrokenPipeError:
    sys.stdout = None  # The reader, perhaps `head`, is gone.
    return 0
  except KeyboardInterrupt:
    say('interrupted')
    return 130


def _main(argv):
  if not argv:
    raise UsageError(
        f'a command is expected: {", ".join(COMMANDS)} (dreamer-idm --help '
        'says what they do)')
  if argv[0] in ('-h', '--help'):
    width = max(map(len, COMMANDS))
    print('usage: dreamer-idm COMMAND [--help]\n')
    for name, (_, text) in COMMANDS.items():
      print(f'  {name:{width}}  {text}')
    print(f'\n`python run.py ...` is `dreamer-idm train ...`.\n\n{EXAMPLE}')
    return 0
  name, *rest = argv
  if name == '--version':
    print(f'dreamer-idm {__version__}')
    return 0
  if name not in COMMANDS:
    raise UsageError(
        f'unknown command {name!r}: expected {", ".join(COMMANDS)}')
  module = importlib.import_module(f'.{COMMANDS[name][0]}', __package__)
  if name == 'train':  # Its keys have upstream's syntax.
    return module.run(rest)
  parser = _Parser(
      prog=f'dreamer-idm {name}', description=module.__doc__,
      epilog=f'example:\n  {module.EXAMPLE}',
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False)
  module.add_arguments(parser)
  return module.run(parser.parse_args(rest))


def _in_users_code(error):
  """Whether an import failed in a file that is neither ours nor a library's."""
  ours = pathlib.Path(__file__).parent
  known = [
      str(ours), str(ours.parent / 'patches'), '<frozen ',
      site.getusersitepackages(), *sysconfig.get_paths().values()]
  return not all(
      x.filename.startswith(tuple(known))
      for x in traceback.extract_tb(error.__traceback__))


def _complain(error, code):
  say(f'error: {error}')
  return code


def say(text):
  """Prints a line to stderr, if anybody reads it.

  Args:
    text: str.
  """
  try:
    print(text, file=sys.stderr, flush=True)
  except OSError:
    sys.stderr = None  # As with `2>&1 | head`.


def script():
  """The console script; modules in the working directory count."""
  sys.path.insert(0, os.getcwd())  # As with `python -m` and `python run.py`.
  sys.exit(main(sys.argv[1:]))


if __name__ == '__main__':
  script()
