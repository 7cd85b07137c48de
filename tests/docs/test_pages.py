"""Links, paths and commands of README, docs and results against the tree."""

import argparse
import functools
import importlib
import os
import pathlib
import re
import shlex

import pytest
from conftest import ROOT

from dreamer_idm import __main__ as commands
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.upstream import path as upstream_path

PAGES = sorted(
    x.relative_to(ROOT) for pattern in (
        '*.md', 'docs/*.md', 'results/*.md', 'agents/*.md')
    for x in ROOT.glob(pattern))
# What a reader is asked to write, in docs/extending.md; it has its own test.
READERS = {'curious', 'curious.py'}
NOT_OURS = {'.git', '.venv', '__pycache__', 'logdir', 'site'}
pages = pytest.mark.parametrize('page', PAGES, ids=str)


@functools.cache
def _text(page):
  return (ROOT / page).read_text(encoding='utf-8')


def _prose(page):
  """Returns a page without its blocks of code."""
  return re.sub(r'^```.*?^```', '', _text(page), flags=re.S | re.M)


def _spans(page):
  """Lists the words that stand between backticks."""
  return re.findall(r'`([^`\n]+)`', _prose(page))


@functools.cache
def _tree():
  """Lists the files that belong to the project, with their folders."""
  found = set()
  for folder, folders, files in os.walk(ROOT):
    folders[:] = [x for x in folders if x not in NOT_OURS]
    inside = pathlib.Path(folder).relative_to(ROOT)
    found |= {(inside / x).as_posix() for x in (*folders, *files)}
  return found


def _slugs(page):
  """Lists the anchors of a page's headings, as GitHub and MkDocs name them."""
  found = re.findall(r'^#+ +(.*)$', _prose(page), re.M)
  plain = (re.sub(r'[^\w\s-]', '', x).strip().lower() for x in found)
  return {re.sub(r'[-\s]+', '-', x) for x in plain}


@pages
def test_links_lead_somewhere(page):
  for target in re.findall(r'\]\(([^)\s]+)\)', _prose(page)):
    if re.match(r'[a-z]+:', target):
      continue
    path, _, anchor = target.partition('#')
    found = (ROOT / page).parent / path if path else ROOT / page
    assert found.exists(), f'{page}: {target}'
    assert found.resolve().is_relative_to(ROOT.resolve()), f'{page}: {target}'
    if anchor:
      assert anchor in _slugs(found.resolve().relative_to(
          ROOT.resolve())), f'{page}: {target}'


def _written_by_runs():
  """Lists the files that docs/runs.md says a run or a command leaves."""
  rows = re.findall(r'^\|.*\|$', _text('docs/runs.md'), re.M)
  return {x.rstrip('/') for row in rows for x in re.findall(r'`(.+?)`', row)}


@pages
def test_files_that_are_named_exist(page):
  tree, left = _tree(), _written_by_runs()
  top = {x.split('/')[0] for x in tree}
  suffixes = r'py|md|yaml|toml|txt|json|jsonl|csv|png|gif|html|cff'
  for name in _spans(page):
    if not re.fullmatch(r'[\w.*/<>{},-]+', name) or set(name) <= set('./'):
      continue
    if name in READERS or name.rstrip('/') in left:
      continue
    whole = re.escape(name.rstrip('/')).replace(r'\*', '[^/]*')
    if '/' in name and name.split('/')[0] in top:
      assert any(re.fullmatch(whole, x) for x in tree), f'{page}: {name}'
    elif re.search(rf'\.({suffixes})$', name):
      # Part of a path: a file name, or a module's place in the package.
      assert any(re.search(rf'(^|/){whole}$', x) for x in tree), (
          f'{page}: {name}')


def _commands(page):
  """Yields the commands of a page, as lists of words without the program."""
  blocks = re.findall(r'^``` *\n(.*?)^```', _text(page), re.S | re.M)
  lines = [
      x for block in blocks for x in block.replace('\\\n', ' ').splitlines()]
  for line in (*lines, *_spans(page)):
    # A word follows, not the version that a training prints.
    words = re.match(
        r'(?:\.venv/bin/)?(python|make|dreamer-idm) (\D.+)', line)
    if words and not READERS & set(line.split()):
      yield words[1], shlex.split(words[2], comments=True)


def _check_training(argv):
  if '--help' not in argv and argv != ['...']:
    environments.check_task(config_lib.load(argv).task)


def _check_command(argv):
  if argv in ([], ['--version']) or argv[0] == 'COMMAND':
    return
  name, *rest = argv
  assert name in commands.COMMANDS, name
  if name == 'train':
    _check_training(rest)
  elif rest and '--help' not in rest:
    module = importlib.import_module(
        f'dreamer_idm.{commands.COMMANDS[name][0]}')
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    module.add_arguments(parser)
    args = parser.parse_args(rest)
    if name == 'ab':
      for task in args.tasks:
        for method in args.methods:
          behind = [] if method == 'dreamer' else [method]
          _check_training([
              '--configs', *args.configs, *behind, '--task', task, *args.flags])


@pages
def test_commands_are_understood(page):
  for program, argv in _commands(page):
    if program == 'make':
      targets = re.findall(
          r'^([\w-]+):', _text('Makefile'), re.M)
      assert {x for x in argv if '=' not in x} <= {*targets, '...'}, argv
    elif program == 'dreamer-idm':
      _check_command(argv)
    elif argv[0] == 'run.py':
      _check_training(argv[1:])
    elif argv[:2] == ['-m', 'dreamer_idm']:
      _check_command(argv[2:])
    elif argv[0].startswith('bench/'):
      # Benches parse their flags when they run; their sources name them all.
      source = _text(argv[0]) + ''.join(
          x.read_text() for x in ROOT.glob('bench/harness.py'))
      for flag in argv[1:]:
        assert not flag.startswith('--') or flag in source or (
            config_lib.load(argv[argv.index(flag):])), argv
    else:
      assert argv[0] == '-m', f'{page}: {argv}'


@functools.cache
def _flags():
  """Lists the flags of all commands but `train`, and of the benches."""
  found = {'--help', '--version', '--configs', '--no-deps', '--'}
  found |= {'--signal', '--key'}  # Slurm's; what stands for any of them.
  for name, (module, _) in commands.COMMANDS.items():
    if name != 'train':
      parser = argparse.ArgumentParser()
      importlib.import_module(f'dreamer_idm.{module}').add_arguments(parser)
      found |= set(parser._option_string_actions)
  for bench in ROOT.glob('bench/*.py'):
    found |= set(re.findall(r"'(--[\w-]+)'", bench.read_text('utf-8')))
  return found


@pages
def test_keys_that_are_named_exist(page):
  if page.name == 'CHANGELOG.md':
    return  # It names what was there before, too.
  keys = set(config_lib.defaults().flat)
  sections = {x.split('.')[0] for x in keys if '.' in x}
  for span in _spans(page):
    flag = re.match(r'--[\w.*-]*', span)
    if flag and flag[0] not in _flags():
      pattern = flag[0][2:].replace('.', r'\.').replace('*', '.*')
      assert any(re.fullmatch(pattern, x) for x in keys), f'{page}: {span}'
    elif re.fullmatch(r'\w+(\.\w+)+', span) and (
        span.split('.')[0] in sections):
      assert span in keys, f'{page}: {span}'


@functools.cache
def _source():
  """Returns all code that a page may name: ours and upstream's."""
  places = (*(ROOT / x for x in ('dreamer_idm', 'patches', 'tests')),
            upstream_path.directory())
  return '\n'.join(
      x.read_text('utf-8') for place in places for x in place.rglob('*.py'))


@pages
def test_classes_that_are_named_exist(page):
  for name in _spans(page):
    if re.fullmatch(r'([A-Z][a-z0-9]+){2,}(\.\w+)?', name):
      for part in name.split('.'):
        assert re.search(rf'\b{part}\b', _source()), f'{page}: {name}'


@pages
def test_no_conflict_is_left(page):
  assert not re.search(r'^(<{7}|={7}|>{7})( |$)', _text(page), re.M)


@pages
def test_presets_that_are_named_load(page):
  for span in _spans(page):
    if span.startswith('--configs ') and not READERS & set(span.split()):
      config_lib.load(shlex.split(span))


def test_the_tests_above_find_commands():
  found = [x for page in PAGES for x in _commands(page)]
  assert len(found) > 20
  assert {x for x, _ in found} >= {'python', 'make'}
