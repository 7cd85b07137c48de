import os
import sys
import types

import pytest
from conftest import run_script

from dreamer_idm.envs import rendering
from dreamer_idm.errors import UsageError

CHOOSE = """
from dreamer_idm.envs import rendering
from dreamer_idm.errors import UsageError
import os, sys
try:
  rendering.choose_backend()
except UsageError as error:
  print(error)
  sys.exit(2)
print(os.environ['MUJOCO_GL'])
assert 'dm_control' not in sys.modules, 'dm_control may not know yet'
assert 'tensorflow' not in sys.modules
"""

# What the upstream environment does first, in the order that matters here.
RENDER = """
import sys
from dm_control import suite
suite.load('walker', 'walk').physics.render(16, 16)
print('LLVM' in open('/proc/self/maps').read())
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
  forget = rendering._failure.cache_clear
  forget()
  # Set first, so that what a test leaves there is taken away again.
  monkeypatch.setenv('MUJOCO_GL', '')
  monkeypatch.delenv('MUJOCO_GL')
  monkeypatch.setattr(rendering, '_imported', lambda: None)
  yield
  forget()


@pytest.fixture
def machine(monkeypatch):
  """Machine on which only the given backends render; returns who was asked."""
  asked = []

  def install(*working, platform='linux'):
    def failure(name):
      asked.append(name)
      return None if name in working else 'no such library'
    monkeypatch.setattr(rendering, '_failure', failure)
    monkeypatch.setattr(sys, 'platform', platform)
    return asked
  return install


def message():
  with pytest.raises(UsageError) as caught:
    rendering.choose_backend()
  text = str(caught.value)
  assert '\n' not in text
  return text


@pytest.mark.parametrize('platform, working, expected, tried', [
    ('linux', ['egl', 'osmesa'], 'egl', ['egl']),
    ('linux', ['osmesa', 'glfw'], 'osmesa', ['egl', 'osmesa']),
    ('darwin', ['egl', 'glfw'], 'glfw', ['glfw'])])
def test_the_first_that_renders_is_taken(
    machine, platform, working, expected, tried):
  asked = machine(*working, platform=platform)
  assert rendering.choose_backend() == expected
  assert os.environ['MUJOCO_GL'] == expected
  assert asked == tried


def test_the_users_choice_is_kept(machine, monkeypatch):
  asked = machine('egl', 'osmesa')
  monkeypatch.setenv('MUJOCO_GL', 'osmesa')
  assert rendering.choose_backend() == 'osmesa'
  assert os.environ['MUJOCO_GL'] == 'osmesa'
  assert asked == ['osmesa']


def test_a_backend_that_dm_control_already_has_goes_first(
    machine, monkeypatch):
  machine('egl', 'glfw')
  monkeypatch.setattr(rendering, '_imported', lambda: 'glfw')
  assert rendering.choose_backend() == 'glfw'
  assert rendering.in_process_is_safe()


def test_another_backend_that_dm_control_has_is_not_used_here(
    machine, monkeypatch):
  machine('egl')
  monkeypatch.setattr(rendering, '_imported', lambda: 'glfw')
  assert rendering.choose_backend() == 'egl'
  assert not rendering.in_process_is_safe()


def test_no_backend_names_the_packages(machine):
  machine()
  text = message()
  for package in ['libegl1', 'libegl-mesa0', 'libgl1-mesa-dri', 'libosmesa6']:
    assert package in text
  assert 'egl: no such library; osmesa: no such library' in text


def test_a_choice_that_does_not_work_is_quoted(machine, monkeypatch):
  machine('osmesa')
  monkeypatch.setenv('MUJOCO_GL', 'egl')
  text = message()
  assert "MUJOCO_GL='egl' does not render" in text and 'libegl1' in text
  monkeypatch.setenv('MUJOCO_GL', 'glfw')
  text = message()
  assert "MUJOCO_GL='glfw' does not render" in text and 'libegl1' not in text


@pytest.mark.parametrize('value', ['bogus', 'EGL', '2'])
def test_an_unknown_choice_is_quoted_beside_the_known(value, monkeypatch):
  monkeypatch.setenv('MUJOCO_GL', value)
  text = message()
  assert f"'{value}' is not a rendering backend" in text
  assert 'egl, osmesa or glfw' in text


@pytest.mark.parametrize('value', ['disable', 'off', '0'])
def test_no_rendering_is_not_a_way_to_render(value, monkeypatch):
  monkeypatch.setenv('MUJOCO_GL', value)
  assert f"'{value}' means no rendering" in message()


@pytest.mark.parametrize('probe, reason', [
    ('import os; os.abort()', 'egl: crashed with signal 6;'),
    ('raise SystemExit(1)', 'egl: exit code 1;'),
    ('print(1 / 0)', 'egl: ZeroDivisionError: division by zero;')])
def test_a_probe_may_crash(probe, reason, monkeypatch):
  monkeypatch.setattr(sys, 'platform', 'linux')
  monkeypatch.setattr(rendering, '_PROBE', probe)
  assert reason in message()


def test_this_machine_renders_by_what_is_chosen(tmp_path):
  chosen = run_script(tmp_path, CHOOSE, MUJOCO_GL=None)
  assert chosen.returncode == 0, chosen.stdout + chosen.stderr
  backend = chosen.stdout.strip()
  assert run_script(tmp_path, RENDER, MUJOCO_GL=backend).returncode == 0
  again = run_script(tmp_path, CHOOSE, MUJOCO_GL=backend)
  assert (again.returncode, again.stdout.strip()) == (0, backend)


@pytest.mark.parametrize('value', [None, '', 'egl'])
@pytest.mark.parametrize('name, setting', [
    ('PYOPENGL_PLATFORM', 'nothing'), ('MUJOCO_EGL_DEVICE_ID', '97')])
def test_a_variable_that_is_in_the_way_is_named(
    tmp_path, name, setting, value):
  probe = run_script(tmp_path, CHOOSE, MUJOCO_GL='osmesa')
  if name == 'MUJOCO_EGL_DEVICE_ID' and not value and not probe.returncode:
    pytest.skip('OSMesa renders here whatever is said of EGL')
  done = run_script(
      tmp_path, CHOOSE, MUJOCO_GL=value, **{name: setting})
  assert done.returncode == 2, done.stderr
  assert f"unset {name}, which is '{setting}'" in done.stdout
  assert 'apt-get' not in done.stdout
  assert done.stdout.count('\n') == 1 and not done.stderr


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux only')
def test_processes_where_tensorflow_came_first_are_told_apart(monkeypatch):
  hook = 'tensorflow.python.pywrap_dlopen_global_flags'
  monkeypatch.setitem(sys.modules, 'tensorflow', types.ModuleType('x'))
  monkeypatch.setitem(sys.modules, hook, types.ModuleType('x'))
  assert not rendering.in_process_is_safe()
  monkeypatch.setattr(sys.modules[hook], 'local_symbols', True, raising=False)
  assert rendering.in_process_is_safe()
  monkeypatch.delitem(sys.modules, 'tensorflow')
  monkeypatch.delitem(sys.modules, hook)
  assert rendering.in_process_is_safe()


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux only')
def test_tensorflows_global_symbols_crash_mesa(tmp_path):
  """If this fails, `patches.dlopen` is not needed any more."""
  backend = rendering.choose_backend()
  alone = run_script(tmp_path, RENDER, MUJOCO_GL=backend)
  if 'True' not in alone.stdout:
    pytest.skip('The graphics driver here is not Mesa with LLVM.')
  crash = run_script(
      tmp_path, 'import tensorflow\n' + RENDER, MUJOCO_GL=backend)
  assert crash.returncode < 0
  repaired = run_script(
      tmp_path, 'import dreamer_idm\nimport tensorflow\n' + RENDER,
      MUJOCO_GL=backend)
  assert repaired.returncode == 0, repaired.stderr
  assert 'True' in repaired.stdout
