"""The config: defaults, presets and the command line, in this order.

Upstream's packaged configs.yaml comes first, then what the methods declare,
then our configs.yaml is laid over it: our `defaults` over its defaults, our
preset over its preset of the same name. The result is upstream's own `Config`.
Nothing here imports TensorFlow, so that help and mistakes answer at once.
"""

import os
import pathlib
import re

from ..errors import UsageError
from ..patches import ruamel_yaml
from ..runs import files
from . import command_line
from . import help as help_lib
from . import keys
from . import methods
from . import sources as sources_lib
from . import task_defaults
from .rules import check

# What `precision: auto` is on every device: half precision has to be asked for.
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
    UsageError: for anything invalid, in one line.

  Example:
    >>> config = load(['--configs', 'cpu', 'idm', '--idm.sigma_h', '0.2'])
    >>> config.method, config.idm.sigma_h, config.idm.copies
    ('idm', 0.2, 1)
  """
  flags = command_line.split(argv)
  sources = sources_lib.collect(command_line.own_methods(flags))
  base = sources_lib.defaults(sources)
  named = command_line.named_presets(flags, sources)
  task = _laid(base, sources, named, flags).task
  config = _laid(base, sources, named, flags, task)
  config = task_defaults.resolve(config, _given(config, flags, named, sources))
  check(config)
  return _resolved(config)


def _laid(config, sources, named, flags, task=''):
  # Presets and flags over a Config, in order; some presets depend on the task.
  for name in named:
    for path, presets in sources:
      if name in presets:
        config = sources_lib.with_preset(
            config, presets[name], f"'{name}' in {path}", task)
  for name, values in flags:
    if name != 'configs':
      config = command_line.with_flag(config, name, values, sources)
  return config


def _given(config, flags, named, sources):
  # The keys of the command line, and of the presets that set this very task.
  names = [name for name, _ in flags if name != 'configs']
  for name in named:
    for path, presets in sources:
      preset = sources_lib.settings(presets.get(name, {}), str(path))
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
  """Names a task's folder: Gymnasium's ids may have slashes and colons."""
  return re.sub(r'[^\w.+-]', '-', task)


def save(config, path):
  """Writes the config that a run begins with, as upstream does.

  An existing file is kept: it says what the run began with, and later changes
  are in provenance.jsonl.

  Args:
    config: upstream's Config.
    path: str or pathlib.Path ending in .yaml; its folder is made.
  """
  path = pathlib.Path(path)
  if path.exists():
    return
  ruamel_yaml.apply()
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.replacing(path) as part:
    config.save(part)


def saved(run):
  """Reads the config by which a run was trained last.

  That is config.yaml, with the settings that were changed on resuming.

  Args:
    run: pathlib.Path, the logdir of a run.

  Returns:
    upstream's Config, checked; keys that the run did not know have their
    defaults.

  Raises:
    UsageError: if there is none, or it cannot be read.
  """
  from ..runs import provenance  # With NumPy.
  path = run / 'config.yaml'
  if not path.exists():
    raise UsageError(
        f'{run} is not a run, it has no config.yaml: give the folder that '
        '`dreamer-idm train` was given as --logdir, or made, such as '
        'logdir/<task>/<method>/<seed>')
  stored = stored_settings(path)
  config = defaults(str(stored.get('agent', 'dreamer')))
  known = config.flat
  config = config.update({k: v for k, v in stored.items() if k in known})
  config = config.update({
      k: sources_lib.converted(k, known[k], v[-1])
      for k, v in provenance.changed(provenance.read(run)[-1:]).items()
      if k in known and v[-1] is not None})
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
    stored = sources_lib.flatten(sources_lib.parse(path), str(path))
    for key, value in stored.items():
      wrong = [
          x for x in known if f'{x}.'.startswith(f'{key}.') != (x == key)
          or key.startswith(f'{x}.')]
      if wrong:  # A section's name has a value, or a key's name keys.
        raise UsageError(f'{key} stands where {wrong[0]} is expected')
      stored[key] = sources_lib.converted(key, known.get(key, value), value)
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
  sources = sources_lib.collect(methods.own(agent))
  return _resolved(sources_lib.defaults(sources))


def help_text(argv=()):
  """Writes what `--help` prints for a command line, a list of str.

  With `--help all` upstream's keys are listed too, and with a method of the
  user's own its keys.
  """
  words = [y for x in argv for y in x.replace('=', ',').split(',')]
  return help_lib.write(sections(methods.own(*words)), 'all' in words)


def sections(own=()):
  """Describes all presets and keys; see `help.sections`."""
  sources = sources_lib.collect(own)
  return help_lib.sections(
      sources_lib.OURS.read_text(encoding='utf-8'),
      sources_lib.preset_names(sources), sources_lib.defaults(sources), own)
