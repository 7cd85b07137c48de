"""Trains Dreamer or IDM; `python run.py --help` says how."""

import sys


def main(argv):
  """Trains what the command line asks for: `dreamer-idm train`.

  Args:
    argv: list of str, the command line without the program's name.

  Returns:
    int exit code, see `dreamer_idm.__main__`.
  """
  # Nothing is imported above: spawned processes import this file as well.
  from dreamer_idm.__main__ import main as command
  return command(['train', *argv])


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
