"""What others get: the archive of the repository, and the wheel from it."""

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

# Imports every module and says where patches come from.
IMPORT_ALL = '''
import importlib, pkgutil
import dreamer_idm
for module in pkgutil.walk_packages(dreamer_idm.__path__, 'dreamer_idm.'):
  if not module.name.endswith('__main__'):
    importlib.import_module(module.name)
print(dreamer_idm.patches.__file__)
'''


def _run(command, folder, **environ):
  """Runs a command without the repository on its path; returns its output."""
  unset = ('PYTHONPATH', 'PYTHONSAFEPATH')
  env = {k: v for k, v in os.environ.items() if k not in unset}
  done = subprocess.run(
      list(map(str, command)), cwd=folder, text=True, capture_output=True,
      timeout=900, check=False, env={
          **env, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3',
          **environ})
  assert not done.returncode, done.stderr
  return done.stdout


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
  """Folder of the repository as `git archive` packs its last commit."""
  if not (ROOT / '.git').exists():
    pytest.skip('not a git repository')
  folder = tmp_path_factory.mktemp('archive')
  packed = folder.with_suffix('.zip')
  _run(['git', 'archive', '-o', packed, 'HEAD'], ROOT)
  with zipfile.ZipFile(packed) as file:  # Makes no symbolic links.
    file.extractall(folder)
  return folder


@pytest.fixture(scope='module')
def wheel(archive, tmp_path_factory):
  """Path of the wheel that is built from the source distribution."""
  folder = tmp_path_factory.mktemp('dist')
  _run([sys.executable, '-c', (
      'import sys; from setuptools import build_meta; '
      'build_meta.build_sdist(sys.argv[1])'), folder], archive)
  source, = folder.iterdir()
  _run([
      sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-deps',
      '--no-index', '--wheel-dir', folder, source], folder)
  found, = folder.glob('*.whl')
  return found


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
  """Folder of packages that the wheel was installed into."""
  folder = tmp_path_factory.mktemp('site')
  _run([
      sys.executable, '-m', 'pip', 'install', '--no-deps', '--no-index',
      '--target', folder, wheel], folder)
  return folder


@pytest.fixture(params=['archive', 'wheel'])
def command(request, tmp_path):
  """Function of words that runs `dreamer-idm` and returns its output."""
  if request.param == 'archive':
    folder = request.getfixturevalue('archive')
    return lambda *words: _run(
        [sys.executable, '-m', 'dreamer_idm', *words], folder)
  site = request.getfixturevalue('site')
  return lambda *words: _run(
      [site / 'bin' / 'dreamer-idm', *words], tmp_path, PYTHONPATH=str(site))


def test_the_wheel_holds_one_package(archive, wheel):
  with zipfile.ZipFile(wheel) as file:
    names = file.namelist()
  tops = {x.split('/')[0] for x in names}
  assert {x for x in tops if not x.endswith('.dist-info')} == {'dreamer_idm'}
  inside = [x for x in (archive / 'dreamer_idm').rglob('*') if x.is_file()]
  beside = [*(archive / 'patches').rglob('*.py'), archive / 'configs.yaml']
  assert set(names) >= {
      *(str(x.relative_to(archive)) for x in inside),
      *(f'dreamer_idm/{x.relative_to(archive)}' for x in beside)}


def test_the_repository_has_no_symbolic_links():
  if not (ROOT / '.git').exists():
    pytest.skip('not a git repository')
  files = _run(['git', 'ls-files', '--stage'], ROOT).splitlines()
  assert files and not [x for x in files if x.startswith('120000')]


def test_version_and_help(command):
  assert command('--version').startswith('dreamer-idm ')
  text = command('--help')
  for name in ('train', 'evaluate', 'reconstruct', 'export', 'ab', 'report'):
    assert name in text
    assert 'usage' in command(name, '--help')


def test_every_module_of_the_wheel_imports(site, tmp_path):
  out = _run(
      [sys.executable, '-c', IMPORT_ALL], tmp_path, PYTHONPATH=str(site))
  assert out.split() == [str(site / 'dreamer_idm/patches/__init__.py')]


@pytest.mark.slow
def test_a_training(command, tmp_path):
  command(
      'train', '--configs', 'cpu_proprio', 'debug', 'idm', '--task',
      'gym_Pendulum-v1', '--logdir', tmp_path / 'run')
  assert (tmp_path / 'run' / 'learning_curve.png').exists()
  command('report', '--logdir', tmp_path)
  assert (tmp_path / 'report' / 'index.html').exists()
