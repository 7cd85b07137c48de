"""The command line of a training: presets after --configs, then keys."""

from ..errors import UsageError
from ..upstream.config import Flags
from . import keys
from . import methods
from . import sources as sources_lib
from .keys import text

WITHOUT = ('dmc',)  # The presets if none are named.


def own_methods(flags):
  """Finds the user's own methods that are named as agent or as preset."""
  names = [
      y for key, values in flags if key in ('agent', 'configs')
      for x in values for y in x.split(',')]
  names += [
      str(x['agent']) for x in sources_lib.read(sources_lib.OURS).values()
      if isinstance(x, dict) and 'agent' in x]
  return methods.own(*names)


def split(argv):
  """Splits words into a list of (name of a flag, list of its values)."""
  # Upstream's Flags finds out about half of these mistakes, by assertions.
  flags = []
  for arg in argv:
    if arg.startswith('--'):
      name, *values = arg[len('--'):].split('=', 1)
      if not name.isprintable():
        raise UsageError(f'{text(arg)} is not a key')
      flags.append((name, values))
    elif flags:
      flags[-1][1].append(arg)
    else:
      raise UsageError(
          f'unexpected {text(arg)}: presets follow --configs, and values '
          'follow their --key')
  return flags


def named_presets(flags, sources):
  """Lists the presets of --configs, those of WITHOUT if there are none.

  Args:
    flags: list of `split`.
    sources: list of `sources.collect`.

  Returns:
    sequence of str, the presets in their order.

  Raises:
    UsageError: if there is no such preset.
  """
  known = sources_lib.preset_names(sources)
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


def with_flag(config, name, values, sources):
  """Lays the values of a flag over a Config, by upstream's parser.

  Args:
    config: upstream's Config.
    name: str, a key or a regular expression that begins keys.
    values: list of str.
    sources: list of `sources.collect`.

  Returns:
    upstream's Config, changed.

  Raises:
    UsageError: if there is no such key, or it cannot have these values.
  """
  if name in sources_lib.preset_names(sources) and name not in config:
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


def _as_upstream(old, values):
  # Other ways to write a truth value or a list: true, [64, 64], (4,4).
  if isinstance(old, bool):
    return [x.capitalize() for x in values]
  joined = ' '.join(values).strip()
  if isinstance(old, tuple) and joined[:1] + joined[-1:] in ('[]', '()'):
    return [x.strip(' \'"') for x in joined[1:-1].split(',')]
  return values
