"""The console script."""

import importlib
import os
import pathlib
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

from dreamer_idm import __main__
from dreamer_idm.ab import plan
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.evaluation import evaluate


@pytest.fixture
def parse(monkeypatch):
  """Function of a command line: what the command gets to run with."""
  def parse(name, *words):
    module = importlib.import_module(
        f'dreamer_idm.{__main__.COMMANDS[name][0]}')
    got: list = []
    with monkeypatch.context() as patch:
      patch.setattr(module, 'run', got.append)
      assert __main__.main([name, *words]) == 0
    return got[0]
  return parse


@pytest.mark.parametrize('words', [
    [], ['train'], ['train', 'all'], ['evaluate'], ['reconstruct'],
    ['export'], ['ab'], ['report']])
def test_help_ends_with_examples_that_are_accepted(
    parse, capsys, tmp_path, monkeypatch, words):
  monkeypatch.chdir(tmp_path)
  assert __main__.main([*words[:1], '--help', *words[1:]]) == 0
  text = capsys.readouterr().out
  text = text[text.rindex('\nexample'):].strip().replace('\\\n', ' ')
  _, *examples = text.splitlines()
  assert examples
  for example in examples:
    program, name, *rest = shlex.split(example)
    assert program == 'dreamer-idm' and name in (words or __main__.COMMANDS)
    args = parse(name, *rest)
    if name == 'train':
      environments.check_task(config_lib.load(args).task)
    elif name == 'ab':
      assert plan.plan(args)
    elif name == 'evaluate':
      evaluate.check(args)


def test_home_is_expanded_where_no_shell_does(
    parse, tmp_path, monkeypatch, capsys):
  monkeypatch.setenv('HOME', str(tmp_path))
  args = parse('evaluate', '--logdir=~/run', '--out', '~/out')
  assert (args.logdir, args.out) == (tmp_path / 'run', tmp_path / 'out')
  args = parse('reconstruct', '~/one', '~/two', '--out=~/out')
  assert args.runs == [tmp_path / 'one', tmp_path / 'two']
  assert args.out == tmp_path / 'out'
  assert parse('ab', '--tasks', 't', '--logdir=~/ab').logdir == tmp_path / 'ab'
  assert __main__.main(['report', '--logdir=~/runs']) == 2
  assert f'{tmp_path}/runs does not exist' in capsys.readouterr().err
  # Who is unknown has no home: the name stays.
  args = parse('evaluate', '--logdir=~nobody-here/run')
  assert str(args.logdir) == '~nobody-here/run'


def test_modules_in_the_working_directory_count(tmp_path):
  (tmp_path / 'mine.py').write_text('extensions = lambda config: []\n')
  for agent, words in (('mine', '--threads must'), ('yours', '--agent must')):
    # As an installed script is run: without the working directory.
    done = subprocess.run(
        [sys.executable, '-c', 'import sys; sys.path.pop(0); '
         'from dreamer_idm.__main__ import script; script()',
         'train', '--agent', agent, '--threads', '-1'],
        cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True, timeout=900)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def call(folder, *argv, before=''):
  return subprocess.run(
      [sys.executable, '-c', f'{before}\nimport sys; '
       'from dreamer_idm.__main__ import main; sys.exit(main(sys.argv[1:]))',
       *map(str, argv)],
      cwd=folder, env={**os.environ, 'PYTHONPATH': str(ROOT)},
      capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize('name, text', [
    ('mine', 'import no_such_module'), ('mine', 'from os import no_such_name'),
    ('mine', 'from dreamer_idm.agent.declaration import Method\n'
     'METHOD = Method()\ndef extensions(config):\n  import no_such_module'),
    ('package.mine', 'import no_such_module'),
    ('installed', 'import no_such_module')])
def test_what_a_method_of_ones_own_cannot_import_keeps_its_traceback(
    tmp_path, monkeypatch, name, text):
  monkeypatch.setenv('PYTHONUSERBASE', str(tmp_path))
  libraries = pathlib.Path(subprocess.run(
      [sys.executable, '-m', 'site', '--user-site'], capture_output=True,
      text=True, check=False).stdout.strip())
  home = libraries if name == 'installed' else tmp_path
  path = home / f'{name.replace(".", "/")}.py'
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  done = call(
      tmp_path, 'train', '--configs', 'cpu_proprio', '--agent', name,
      '--logdir', tmp_path / 'run',
      before=f'import sys; sys.path.append({str(libraries)!r})')
  assert done.returncode == 1, done.stderr
  for part in ('Traceback', str(path), 'no_such'):
    assert part in done.stderr


def test_a_package_that_cannot_be_imported_is_not_an_unknown_method(tmp_path):
  (tmp_path / 'broken').mkdir()
  (tmp_path / 'broken' / '__init__.py').write_text('import no_such_module')
  (tmp_path / 'broken' / 'mine.py').write_text('')
  done = call(tmp_path, 'train', '--agent', 'broken.mine')
  assert done.returncode == 1 and 'Traceback' in done.stderr
  assert 'no_such_module' in done.stderr.splitlines()[-1]
  done = call(tmp_path, 'train', '--agent', 'no.such.module')
  assert done.returncode == 2 and '--agent must be' in done.stderr


@pytest.mark.parametrize('module', ['tensorflow', 'tf_keras', 'dm_control'])
def test_a_library_that_is_missing_is_one_line(tmp_path, module):
  done = call(
      tmp_path, 'train', '--configs', 'cpu_proprio', 'debug',
      '--logdir', tmp_path / 'run',
      before=f"""
import importlib.machinery
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: (
    None if name.partition('.')[0] == {module!r} else find(name, *rest))""")
  assert done.returncode == 2, done.stderr
  assert done.stderr.startswith('error: ') and module in done.stderr
  assert done.stderr.count('\n') == 1
