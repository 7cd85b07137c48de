"""Runs a command that ends when its parent does: leash.py PID COMMAND...

If the process that starts trials is killed, the kernel sends the trials
SIGTERM, at which a training saves and exits. A process with threads cannot
safely ask for it between fork and exec; this program does, then becomes the
command. It imports nothing of the package, so that it costs 20 ms. Only Linux
can do it: elsewhere, trials outlive a parent that is killed.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == '__main__':
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
      sys.exit('the process that started this trial is gone')
  os.execv(sys.argv[2], sys.argv[2:])
