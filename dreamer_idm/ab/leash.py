"""Runs a command that ends when its parent does: leash.py PID COMMAND...

Whoever starts trials may be killed, and nothing else would tell the trials.
The kernel does, by SIGTERM, at which run.py saves and exits. It is asked for
in a program of its own, which then becomes the command, because a process
with threads cannot safely do it between fork and exec. Imports nothing of
the package, so that it costs 20 ms. Only Linux can do it: elsewhere, trials
outlive a parent that is killed.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv):
  """Becomes the command.

  Args:
    argv: list of str, the parent's process id, then the command.
  """
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(argv[0]):
      sys.exit('the process that started this trial is gone')
  os.execv(argv[1], argv[1:])


if __name__ == '__main__':
  main(sys.argv[1:])
