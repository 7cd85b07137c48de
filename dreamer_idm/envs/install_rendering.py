"""Checks that this machine can render: `make` calls this once.

  python -m dreamer_idm.envs.install_rendering yes|no

With `yes`, root on Debian gets the packages that are missing.
"""

import os
import shutil
import subprocess
import sys

from ..errors import UsageError
from . import rendering


def main(system_packages='yes'):
  """Checks rendering; as root on Debian, installs what is missing.

  Args:
    system_packages: str, `yes` installs; `no` says what is missing;
      `installed` does neither, it has been tried.

  Returns:
    int exit code: 0 if environments can render, or with `no`; else 2.
  """
  try:
    print(f'Rendering works ({rendering.choose_backend()}).', flush=True)
    return 0
  except UsageError as error:
    reason = error
  if system_packages == 'no':
    print(
        f'warning: {reason} (training from vectors renders nothing and works)',
        file=sys.stderr)
    return 0
  root = hasattr(os, 'geteuid') and os.geteuid() == 0
  able = root and shutil.which('apt-get') and not os.environ.get('MUJOCO_GL')
  if system_packages == 'installed' or not able:
    print(
        f'error: {reason} (`make SYSTEM_PACKAGES=no` continues without)',
        file=sys.stderr)
    return 2
  packages = rendering.PACKAGES['egl'].split()
  print(
      'Nothing here can render yet: installing the system packages '
      f'{" ".join(packages)} as root, with apt-get. '
      '`make SYSTEM_PACKAGES=no` would install none.', flush=True)
  for words in (['update'], ['install', '-y', *packages]):
    subprocess.run(
        ['apt-get', *words], stdout=subprocess.DEVNULL, check=False,
        env={**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'})
  # In a new process: this one has its answer cached.
  return subprocess.run(
      [sys.executable, '-m', 'dreamer_idm.envs.install_rendering', 'installed'],
      check=False).returncode


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))
