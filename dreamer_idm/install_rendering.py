"""Sees to it that a fresh machine can render: `make` calls this once."""

import os
import shutil
import subprocess
import sys

from . import rendering
from .errors import UsageError


def main():
  """Checks rendering; as root on Debian, installs what is missing.

  Returns:
    int exit code, 0 if environments can render.
  """
  try:
    print(f'Rendering works ({rendering.choose_backend()}).')
    return 0
  except UsageError as error:
    reason = error
  root = hasattr(os, 'geteuid') and os.geteuid() == 0
  if not root or not shutil.which('apt-get') or os.environ.get('MUJOCO_GL'):
    print(f'error: {reason}', file=sys.stderr)
    return 2
  packages = rendering.PACKAGES['egl'].split()
  print(f'Nothing here can render yet: installing {" ".join(packages)}.')
  install = ['install', '-y', '--no-install-recommends', *packages]
  for words in (['update'], install):
    subprocess.run(
        ['apt-get', *words], stdout=subprocess.DEVNULL, check=False)
  # In a new process: this one has its answer cached.
  return subprocess.run(
      [sys.executable, '-c', 'from dreamer_idm import rendering; print('
       'f"Rendering works ({rendering.choose_backend()}).")'],
      check=False).returncode


if __name__ == '__main__':
  sys.exit(main())
