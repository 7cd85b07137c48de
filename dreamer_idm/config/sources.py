"""Where settings come from: dreamerv2's presets, the methods', ours."""

import functools
import pathlib

from ..errors import UsageError
from ..patches import ruamel_yaml
from ..upstream import path as upstream_path
from ..upstream.config import Config
from . import keys
from . import methods
from .keys import text

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# Inside an installed package, beside it in the repository.
OURS = next(
    (x for x in (_PACKAGE / 'configs.yaml', _PACKAGE.parent / 'configs.yaml')
     if x.exists()), _PACKAGE / 'configs.yaml')
UPSTREAM = upstream_path.directory() / 'configs.yaml'


def collect(own=()):
  """Lists all sources.

  Args:
    own: Methods that do not come with the project.

  Returns:
    list of (str, where; dict of presets by name), ours last.
  """
  known = methods.sections()
  for method in own:
    if method.keys and method.section in known:
      raise UsageError(
          f'the keys of {method.name} would be in the section '
          f'{method.section}, which there is: give its module another name')
  return [
      (UPSTREAM, read(UPSTREAM)),
      *((f'METHOD of {x.name}', x.sources())
        for x in (*methods.declared(), *own)),
      (OURS, read(OURS))]


def defaults(sources):
  """Lays the sources' `defaults` over each other; returns a Config.

  Only here may a key be new, or change its type (`precision: auto`).
  """
  flat, where = {}, ''
  for path, presets in sources:
    where = f"'defaults' in {path}"
    flat.update(flatten(presets.get('defaults', {}), where))
  for key in flat:
    if any(x.startswith(f'{key}.') for x in flat):
      raise UsageError(f'{where}: {key} is a section and needs keys')
  try:
    return Config(flat)
  except (TypeError, AssertionError) as error:
    raise UsageError(f'{where}: {error}') from error


def preset_names(sources):
  """Lists what --configs takes: ours, the methods', upstream's."""
  upstreams, *others, ours = [presets for _, presets in sources]
  names = [x for presets in (ours, *others, upstreams) for x in presets]
  return [x for x in dict.fromkeys(names) if x != 'defaults']


def with_preset(config, preset, where, task=''):
  """Lays a preset over a Config.

  Args:
    config: upstream's Config.
    preset: dict of keys or regular expressions to values, perhaps nested.
    where: str, where it stands, for messages.
    task: str, whose values in the preset's `by_task` hold.

  Returns:
    upstream's Config, changed.

  Raises:
    UsageError: if a key or a value is invalid.
  """
  known, values = config.flat, {}
  found = settings(preset, where, task)
  arm = [x.get(k) for x in (known, found) for k in ('agent', 'method')]
  if all(isinstance(x, str) for x in arm):  # Else refused below.
    found = methods.behind(arm[0], arm[1], found)
  for name, value in found.items():
    for key in keys.find(config, name, f'{where}: '):
      values[key] = converted(f'{where}: {key}', known[key], value)
  return config.update(values)  # At once: it rebuilds the whole config.


def settings(preset, where, task=''):
  """Flattens a preset, and lays what its `by_task` has for a task over it.

  Args:
    preset: dict of keys or regular expressions to values, perhaps nested.
    where: str, where it stands, for messages.
    task: str.

  Returns:
    dict of dotted keys to scalars and lists.

  Raises:
    UsageError: if it is not a dict, or lacks a value.
  """
  if not isinstance(preset, dict):
    return flatten(preset, where)  # Raises.
  found = flatten({k: v for k, v in preset.items() if k != 'by_task'}, where)
  tasks = preset.get('by_task', {})
  if not isinstance(tasks, dict):
    raise UsageError(f'{where}: by_task must be a mapping of tasks')
  return found | flatten(tasks.get(task, {}), f'{where}: by_task: {task}')


def parse(path):
  """Reads a YAML file, or raises UsageError with the line of the mistake."""
  try:
    return ruamel_yaml.safe_load(path.read_text(encoding='utf-8'))
  except OSError as error:
    raise UsageError(f'cannot read {path}: {error.strerror}') from error
  except Exception as error:  # ruamel raises a dozen kinds.
    mark = getattr(error, 'problem_mark', None)
    problem = getattr(error, 'problem', None) or str(error)
    raise UsageError(
        f'{path}, line {mark.line + 1 if mark else "?"}: '
        f'{" ".join(problem.split())[:200] or type(error).__name__}'
    ) from error


@functools.cache
def read(path):
  """Reads a file of presets, once in a process; returns dict by name."""
  presets = parse(path)
  if not isinstance(presets, dict):
    raise UsageError(f'{path}: must be a mapping of presets')
  for name in presets:
    if not isinstance(name, str):
      raise UsageError(
          f'{path}: {text(repr(name)[:80])} is not the name of a preset')
  return presets


def flatten(mapping, where, section=''):
  """Makes dotted keys of nested ones.

  Args:
    mapping: dict of YAML values; its keys may be patterns.
    where: str, where it stands, for messages.
    section: str, before each key.

  Returns:
    dict of dotted keys to scalars and lists.

  Raises:
    UsageError: if it is not a dict, is nested too deep, or lacks a value.
  """
  if not isinstance(mapping, dict):
    raise UsageError(f'{where}: must be a mapping of keys')
  if section.count('.') > 9:  # An alias within its own anchor has no end.
    raise UsageError(f'{where}: {text(section[:40])} is nested too deep')
  result = {}
  for key, value in mapping.items():
    if isinstance(value, dict):
      result.update(flatten(value, where, f'{section}{key}.'))
    elif value is None or value == []:
      raise UsageError(f'{where}: {section}{key} has no value')
    else:
      result[f'{section}{key}'] = value
  return result


def converted(name, old, new):
  """Brings a value of a YAML file to the type of a key.

  Args:
    name: str, the key, for messages.
    old: scalar or sequence, a value that the key has.
    new: scalar or list.

  Returns:
    scalar or tuple.

  Raises:
    UsageError: if the value is of another kind.
  """
  if isinstance(old, list):
    old = tuple(old)
  if not keys.fits(old, new):
    raise UsageError(
        f'{name} expects {keys.kind(old)}, but got {text(new)[:200]}')
  if isinstance(old, tuple):
    return tuple(type(old[0])(x) for x in new)
  return type(old)(new)
