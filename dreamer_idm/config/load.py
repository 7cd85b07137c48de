"""The config: defaults, presets and the command line, in this order.

Upstream's packaged configs.yaml comes first, then what the methods declare,
then our configs.yaml is laid over it: our `defaults` over its defaults, our
preset over its preset of the same name. The
result is upstream's own `Config`. Nothing here imports TensorFlow, so that
help and mistakes answer at once.
"""

import functools
import os
import pathlib
import re

from ..errors import UsageError
from ..patches import ruamel_yaml
from ..runs import files
from ..upstream import path as upstream_path
from ..upstream.config import Config
from ..upstream.config import Flags
from . import help as help_lib
from . import keys
from . import methods
from . import task_defaults
from .rules import check
from .rules import text

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# Inside an installed package, beside it in the repository.
OURS = next(
    (x for x in (_PACKAGE / 'configs.yaml', _PACKAGE.parent / 'configs.yaml')
     if x.exists()), _PACKAGE / 'configs.yaml')
UPSTREAM = upstream_path.directory() / 'configs.yaml'
WITHOUT = ('dmc',)  # The presets if none is named.
# What `precision: auto` is on every device: half precision is for whoever has
# tried it on theirs.
AUTO_PRECISION = '32'


def load(argv):
  """Builds the config of a run.

  Args:
    argv: list of str, the command line without the program's name. Keys have
      upstream's syntax: `--key value`, `--key=value`, `--key 1 2 3` or
      `--key 1,2,3` for lists, and regular expressions instead of keys.

  Returns:
    upstream's Config, checked; its precision is never `auto`.

  Raises:
    UsageError: for anything that cannot be, in one line.
  """
  flags = _split(argv)
  sources = _sources(_own_methods(flags))
  config = _defaults(sources)
  named = _named_presets(flags, sources)
  for name in named:
    for path, presets in sources:
      if name in presets:
        config = _with_preset(config, presets[name], f"'{name}' in {path}")
  for name, values in flags:
    if name != 'configs':
      config = _with_flag(config, name, values, sources)
  config = task_defaults.resolve(config, _given(config, flags, named, sources))
  check(config)
  return _resolved(config)


def _given(config, flags, named, sources):
  # The keys of the command line, and of the presets that set this very task.
  names = [name for name, _ in flags if name != 'configs']
  for name in named:
    for path, presets in sources:
      preset = _flatten(presets.get(name, {}), str(path))
      if preset.get('task') == config.task:
        names += preset
  return {key for name in names for key in keys.find(config, name, '--')}


def _resolved(config):
  # What is stored and compared says what holds.
  if config.precision == 'auto':
    return config.update({'precision': AUTO_PRECISION})
  return config


def logdir(config):
  """Finds the folder of a run.

  Args:
    config: upstream's Config with our keys.

  Returns:
    pathlib.Path, logdir/<task>/<method>/<seed> if the key is empty.

  Raises:
    UsageError: if no folder can have that name.
  """
  if '\0' in config.logdir:
    raise UsageError('--logdir has a zero byte, which no folder can have')
  if config.logdir:
    return pathlib.Path(os.path.expanduser(config.logdir))
  return pathlib.Path(
      'logdir', folder_name(config.task), config.method, str(config.seed))


def folder_name(task):
  """Finds the name of a task's folder.

  Args:
    task: str, whose Gymnasium id may have slashes and colons.

  Returns:
    str, the task with a dash for each of those.
  """
  return re.sub(r'[^\w.+-]', '-', task)


def save(config, path):
  """Writes the config that a run begins with, as upstream does.

  A file that is there stays: it says what the run began with, and what other
  starts changed stands in provenance.jsonl.

  Args:
    config: upstream's Config.
    path: str or pathlib.Path ending in .yaml; its folder is made.

  Raises:
    OSError: if it cannot be written; then there is no file.
  """
  path = pathlib.Path(path)
  if path.exists():
    return
  ruamel_yaml.apply()
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.replacing(path) as part:
    config.save(part)


def saved(run):
  """Reads the config that a run began with.

  Args:
    run: pathlib.Path, the logdir of a run.

  Returns:
    upstream's Config, checked; keys that the run did not know have their
    defaults.

  Raises:
    UsageError: if there is none, or it cannot be read.
  """
  path = run / 'config.yaml'
  if not path.exists():
    raise UsageError(
        f'{run} is not a run, it has no config.yaml: give the folder that '
        'run.py was given as --logdir, or made, such as '
        'logdir/<task>/<method>/<seed>')
  stored = stored_settings(path)
  config = defaults(str(stored.get('agent', 'dreamer')))
  known = config.flat
  config = config.update({k: v for k, v in stored.items() if k in known})
  try:
    check(config)
  except UsageError as error:
    raise UsageError(f'cannot read {path}: {error}') from error
  return config


def stored_settings(path):
  """Reads a run's config.yaml, of this version or of another.

  Args:
    path: pathlib.Path.

  Returns:
    dict of dotted keys to scalars and tuples of scalars, those of our keys in
    their types; its precision is never `auto`.

  Raises:
    UsageError: if it cannot be read.
  """
  known = defaults().flat
  try:
    stored = _flatten(_parse(path), str(path))
    for key, value in stored.items():
      wrong = [
          x for x in known if f'{x}.'.startswith(f'{key}.') != (x == key)
          or key.startswith(f'{x}.')]
      if wrong:  # A section's name has a value, or a key's name keys.
        raise UsageError(f'{key} stands where {wrong[0]} is expected')
      stored[key] = _converted(key, known.get(key, value), value)
  except UsageError as error:
    raise UsageError(
        f'cannot read {path}, the settings of a run: {error}') from error
  if stored.get('precision') == 'auto':
    stored['precision'] = AUTO_PRECISION
  return stored


def defaults(agent='dreamer'):
  """Builds the config of no preset.

  Args:
    agent: str, a method; one of the user's own has keys of its own.

  Returns:
    upstream's Config with our keys; its precision is never `auto`.
  """
  return _resolved(_defaults(_sources(methods.own(agent))))


def help_text(argv=()):
  """Writes what `--help` prints.

  Args:
    argv: list of str, the command line: with `--help all` upstream's keys are
      listed too, and with a method of the user's own its keys.

  Returns:
    str of several lines.
  """
  words = [y for x in argv for y in x.replace('=', ',').split(',')]
  return help_lib.write(sections(methods.own(*words)), 'all' in words)


def sections(own=()):
  """Describes all presets and keys; see `help.sections`."""
  sources = _sources(own)
  return help_lib.sections(
      OURS.read_text(encoding='utf-8'), _preset_names(sources),
      _defaults(sources), own)


def _own_methods(flags):
  # The methods of the user's own that are named as agent or as preset.
  names = [
      y for key, values in flags if key in ('agent', 'configs')
      for x in values for y in x.split(',')]
  names += [
      str(x['agent']) for x in _read(OURS).values()
      if isinstance(x, dict) and 'agent' in x]
  return methods.own(*names)


def _sources(own=()):
  # List of (where, dict of presets by name), ours last.
  known = methods.sections()
  for method in own:
    if method.keys and method.section in known:
      raise UsageError(
          f'the keys of {method.name} would be in the section '
          f'{method.section}, which there is: give its module another name')
  return [
      (UPSTREAM, _read(UPSTREAM)),
      *((f'METHOD of {x.name}', x.sources())
        for x in (*methods.declared(), *own)),
      (OURS, _read(OURS))]


def _defaults(sources):
  # Only here may a key be new, or change its type (`precision: auto`).
  flat, where = {}, ''
  for path, presets in sources:
    where = f"'defaults' in {path}"
    flat.update(_flatten(presets.get('defaults', {}), where))
  for key in flat:
    if any(x.startswith(f'{key}.') for x in flat):
      raise UsageError(f'{where}: {key} is a section and needs keys')
  try:
    return Config(flat)
  except (TypeError, AssertionError) as error:
    raise UsageError(f'{where}: {error}') from error


def _preset_names(sources):
  # What --configs takes: ours, the methods', upstream's.
  upstreams, *others, ours = [presets for _, presets in sources]
  names = [x for presets in (ours, *others, upstreams) for x in presets]
  return [x for x in dict.fromkeys(names) if x != 'defaults']


def _parse(path):
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
def _read(path):
  presets = _parse(path)
  if not isinstance(presets, dict):
    raise UsageError(f'{path}: must be a mapping of presets')
  for name in presets:
    if not isinstance(name, str):
      raise UsageError(
          f'{path}: {text(repr(name)[:80])} is no name of a preset')
  return presets


def _flatten(mapping, where, section=''):
  # Unlike upstream's, keys may be patterns and errors name the place.
  if not isinstance(mapping, dict):
    raise UsageError(f'{where}: must be a mapping of keys')
  if section.count('.') > 9:  # An alias within its own anchor has no end.
    raise UsageError(f'{where}: {text(section[:40])} is nested too deep')
  result = {}
  for key, value in mapping.items():
    if isinstance(value, dict):
      result.update(_flatten(value, where, f'{section}{key}.'))
    elif value is None or value == []:
      raise UsageError(f'{where}: {section}{key} has no value')
    else:
      result[f'{section}{key}'] = value
  return result


def _split(argv):
  # Upstream's Flags finds out about half of these mistakes, by assertions.
  flags = []
  for arg in argv:
    if arg.startswith('--'):
      name, *values = arg[len('--'):].split('=', 1)
      if not name.isprintable():
        raise UsageError(f'{text(arg)} is no key')
      flags.append((name, values))
    elif flags:
      flags[-1][1].append(arg)
    else:
      raise UsageError(
          f'unexpected {text(arg)}: presets follow --configs, and values '
          'follow their --key')
  return flags


def _named_presets(flags, sources):
  known = _preset_names(sources)
  given = [values for name, values in flags if name == 'configs']
  if not given:
    return WITHOUT
  if len(given) > 1:
    every = ' '.join(x for values in given for x in values)
    raise UsageError(f'--configs is given twice: use --configs {every}')
  if not given[0]:
    raise UsageError(f'--configs expects presets: {", ".join(known)}')
  names = Flags(configs=['']).parse(['--configs', *given[0]]).configs
  for name in names:
    if name not in known:
      raise UsageError(
          f'unknown preset {text(name)}{keys.nearest(name, known)} '
          f'(presets: {", ".join(known)})')
  return names


def _with_preset(config, preset, where):
  known, values = config.flat, {}
  for name, value in _flatten(preset, where).items():
    for key in keys.find(config, name, f'{where}: '):
      values[key] = _converted(f'{where}: {key}', known[key], value)
  return config.update(values)  # Once: it builds all of the config anew.


def _as_upstream(old, values):
  # Other ways to write a truth value or a list: true, [64, 64], (4,4).
  if isinstance(old, bool):
    return [x.capitalize() for x in values]
  joined = ' '.join(values).strip()
  if isinstance(old, tuple) and joined[:1] + joined[-1:] in ('[]', '()'):
    return [x.strip(' \'"') for x in joined[1:-1].split(',')]
  return values


def _converted(name, old, new):
  # A value from a YAML file as one of the old one's type.
  if isinstance(old, list):
    old = tuple(old)
  if not keys.fits(old, new):
    raise UsageError(
        f'{name} expects {keys.kind(old)}, but got {text(new)[:200]}')
  if isinstance(old, tuple):
    return tuple(type(old[0])(x) for x in new)
  return type(old)(new)


def _with_flag(config, name, values, sources):
  if name in _preset_names(sources) and name not in config:
    raise UsageError(f'{name} is a preset, not a key: use --configs {name}')
  for key in keys.find(config, name, '--'):
    old = config.flat[key]
    expects = f'--{key} expects {keys.kind(old)}'
    if not values:
      raise UsageError(f'{expects}, but no value follows it')
    if len(values) > 1 and not isinstance(old, tuple):
      raise UsageError(
          f'{expects}, but got {len(values)} values: {text(values)}')
    try:
      config = Flags(config).parse([f'--{key}', *_as_upstream(old, values)])
    except (TypeError, ValueError, OverflowError) as error:
      number = isinstance(old, int) and not isinstance(old, bool)
      off = number and values[0].lower() in ('false', 'none')
      raise UsageError(
          f'{expects}, but got {text(values)}'
          f'{" (0 switches it off)" if off else ""}') from error
  return config
