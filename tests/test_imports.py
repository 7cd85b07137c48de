"""Who may import whom: the imports of every module against one table."""

import ast
import graphlib

import pytest
from conftest import ROOT
from conftest import run_script

PACKAGE = 'dreamer_idm'
EVERYBODYS = ('errors', 'display')  # These two import nothing of ours.
# Package -> what of this project it may import, beside itself and the two
# above; a package stands for all of its modules. `patches` stands beside
# dreamer_idm in the repository and is imported as dreamer_idm.patches.
MAY_IMPORT = {
    'patches': (),
    'upstream': ('patches',),
    'runs': (PACKAGE, 'patches.gif'),  # Its version.
    'agent': ('upstream', 'patches.fast'),
    'idm': ('agent', 'upstream'),
    'methods': ('idm', 'agent', 'upstream'),
    # None of these modules imports TensorFlow.
    'config': (
        'upstream.config', 'upstream.path', 'agent.registry',
        'agent.declaration', 'runs', 'patches.ruamel_yaml'),
    'envs': (
        'upstream.envs', 'config', 'runs.spaces', 'patches.dlopen',
        'patches.gym_atari', 'patches.gym_module', 'patches.mujoco_gl'),
    # For reconstruct the paper's KL as well.
    'evaluation': (
        'agent', 'envs', 'config', 'runs', 'upstream',
        'idm.decoding_constraint'),
    'training': ('agent', 'envs', 'config', 'runs', 'upstream', 'evaluation'),
    'ab': ('config', 'runs', 'envs.environments'),
    'report': ('config', 'runs'),
    'perturbations': (
        'envs.images', 'envs.observations', 'envs.perturbations'),
    'errors': (),
    'display': (),
    '__main__': (PACKAGE,),  # Its version; the commands it knows by name.
    PACKAGE: (
        'agent.extended_agent', 'config.load', 'evaluation.load', 'patches')}


def _modules():
  """Maps each module, named from within dreamer_idm, to its file."""
  found = {}
  for home, prefix in ((PACKAGE, ()), ('patches', ('patches',))):
    for path in sorted((ROOT / home).rglob('*.py')):
      parts = prefix + path.relative_to(ROOT / home).with_suffix('').parts
      if parts[-1] == '__init__':
        parts = parts[:-1]
      found['.'.join(parts) or PACKAGE] = path
  return found


MODULES = _modules()


def _names(name):
  """Lists the full names that a module imports, in functions as well."""
  path = MODULES[name]
  parts = [PACKAGE] if name == PACKAGE else [PACKAGE, *name.split('.')]
  package = parts if path.name == '__init__.py' else parts[:-1]
  found = []
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      found += [x.name.split('.') for x in node.names]
    elif isinstance(node, ast.ImportFrom):
      target = node.module.split('.') if node.module else []
      if node.level:
        target = package[:len(package) - node.level + 1] + target
      found += [[*target, x.name] for x in node.names]
  return found


def _imports(name):
  """Lists the modules of this project that a module imports."""
  return {
      _known(x[1:]) for x in _names(name) if x[0] == PACKAGE} - {name}


def _known(parts):
  """Names the module that `parts`, a name in it perhaps, come from."""
  while parts and '.'.join(parts) not in MODULES:
    parts = parts[:-1]
  return '.'.join(parts) or PACKAGE


def _covers(allowed, module):
  return module == allowed or module.startswith(f'{allowed}.')


def test_the_table_names_every_package():
  assert set(MAY_IMPORT) == {x.split('.')[0] for x in MODULES}
  for allowed in MAY_IMPORT.values():
    assert set(allowed) <= set(MODULES)


@pytest.mark.parametrize('package', MAY_IMPORT)
def test_a_package_imports_what_it_may(package):
  allowed = (*MAY_IMPORT[package], *EVERYBODYS)
  wrong = [
      f'{name} imports {imported}'
      for name in MODULES if _covers(package, name)
      for imported in sorted(_imports(name))
      if not any(_covers(x, imported) for x in (package, *allowed))]
  assert not wrong, wrong


def test_no_module_imports_itself_by_way_of_others():
  graph = {name: _imports(name) - {PACKAGE} for name in MODULES}
  graphlib.TopologicalSorter(graph).prepare()  # Raises, naming the circle.


def test_only_upstream_opens_dreamerv2():
  theirs = {'dreamerv2', 'common', 'agent', 'expl'}
  for name in MODULES:
    if not _covers('upstream', name):
      assert not theirs & {x[0] for x in _names(name)}, name


@pytest.mark.parametrize('package', [
    'ab', 'report', 'config', 'envs', 'perturbations'])
def test_commands_that_need_no_tensorflow_load_none(package, tmp_path):
  names = [
      f'{PACKAGE}.{x}' for x in MODULES if _covers(package, x)]
  done = run_script(tmp_path, f'''
import importlib, sys
for name in {names!r}:
  importlib.import_module(name)
loaded = {{x.split('.')[0] for x in sys.modules}}
assert not {{'tensorflow', 'tf_keras'}} & loaded
assert {package!r} != 'perturbations' or not {{'dm_control', 'mujoco'}} & loaded
''')
  assert not done.returncode, done.stderr


def test_what_spawned_processes_import_first_is_light(tmp_path):
  done = run_script(tmp_path, f'''
import sys
import {PACKAGE}, {PACKAGE}.__main__, {PACKAGE}.envs.workers
heavy = {{'tensorflow', 'dm_control', 'matplotlib', 'scipy'}}
assert not heavy & {{x.split('.')[0] for x in sys.modules}}
''')
  assert not done.returncode, done.stderr
