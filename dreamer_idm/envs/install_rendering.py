"""Sees to it that a fresh machine can render: `make` calls this once."""

import os
import shutil
import subprocess
import sys

from ..errors import UsageError
from . import rendering


def main(install=True):
  """Checks rendering; as root on Debian, installs what is missing.

  Args:
    install: bool, whether to install anything.

  Returns:
    int exit code, 0 if environments can render.
  """
  try:
    print(f'Rendering works ({rendering.choose_backend()}).')
    return 0
  except UsageError as error:
    reason = error
  root = hasattr(os, 'geteuid') and os.geteuid() == 0
  able = root and shutil.which('apt-get') and not os.environ.get('MUJOCO_GL')
  if not install or not able:
    print(f'error: {reason}', file=sys.stderr)
    return 2
  packages = rendering.PACKAGES['egl'].split()
  print(f'Nothing here can render yet: installing {" ".join(packages)}.')
  for words in (['update'], ['install', '-y', *packages]):
    subprocess.run(
        ['apt-get', *words], stdout=subprocess.DEVNULL, check=False,
        env={**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'})
  # In a new process: this one has its answer cached.
  return subprocess.run(
      [sys.executable, '-m', 'dreamer_idm.envs.install_rendering', 'check'],
      check=False).returncode


if __name__ == '__main__':
  sys.exit(main(install='check' not in sys.argv))
