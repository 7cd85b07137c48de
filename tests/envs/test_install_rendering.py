import os
import subprocess
import sys

import pytest

from dreamer_idm.envs import install_rendering
from dreamer_idm.envs import rendering
from dreamer_idm.errors import UsageError


@pytest.fixture
def apt(tmp_path, monkeypatch):
  """A machine that cannot render; returns the log of its apt-get."""
  log = tmp_path / 'log'
  program = tmp_path / 'apt-get'
  program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
  program.chmod(0o755)
  monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
  monkeypatch.delenv('MUJOCO_GL', raising=False)
  log.touch()

  def fail():
    raise UsageError('Nothing here can render.')
  monkeypatch.setattr(rendering, 'choose_backend', fail)
  return log


def test_root_is_told_what_is_installed_and_how_to_switch_it_off(
    apt, monkeypatch, capfd):
  monkeypatch.setattr(os, 'geteuid', lambda: 0)
  install_rendering.main('yes')
  out = capfd.readouterr().out
  assert rendering.PACKAGES['egl'] in out and 'SYSTEM_PACKAGES=no' in out
  assert apt.read_text().splitlines() == [
      'update', f'install -y {rendering.PACKAGES["egl"]}']


@pytest.mark.parametrize('root, wish, code', [
    (True, 'no', 0), (False, 'no', 0), (False, 'yes', 2),
    (True, 'installed', 2)])
def test_nothing_is_installed(apt, monkeypatch, capfd, root, wish, code):
  monkeypatch.setattr(os, 'geteuid', lambda: 0 if root else 1000)
  assert install_rendering.main(wish) == code
  assert 'Nothing here can render.' in capfd.readouterr().err
  assert apt.read_text() == ''


def test_as_a_program(apt):
  # Its process renders or does not as this machine does; `no` never fails.
  done = subprocess.run(
      [sys.executable, '-m', 'dreamer_idm.envs.install_rendering', 'no'],
      check=False)
  assert done.returncode == 0 and apt.read_text() == ''
