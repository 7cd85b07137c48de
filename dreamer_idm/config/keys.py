"""What a name means in a config, and what may stand for its value."""

import difflib
import re

from ..errors import UsageError


def find(config, name, where):
  """Finds the keys that a name means in upstream's Config and Flags.

  Args:
    config: upstream's Config.
    name: str, a key or a regular expression that begins keys.
    where: str before the name in messages.

  Returns:
    list of str; if there are none, UsageError names the nearest instead.
  """
  flat = config.flat
  if name in flat:
    return [name]
  section = [key for key in flat if key.startswith(f'{name}.')]
  if section:
    raise UsageError(
        f'{where}{name} is a section, not a key; its keys: '
        f'{", ".join(section)}')
  if config.IS_PATTERN.match(name):
    try:
      keys = [key for key in flat if re.match(name, key)]
    except (re.error, OverflowError, RecursionError) as error:
      raise UsageError(
          f'{where}{name} is neither a key nor a regular expression: '
          f'{error}') from error
    if keys:
      return keys
  dashes = '--' if where == '--' else ''
  guess = nearest(name, [*flat, 'configs', 'help'], dashes)
  raise UsageError(
      f'{where}{name} is an unknown key'
      f'{guess or " (dreamer-idm train --help all lists them)"}')


def nearest(name, valid, prefix=''):
  """Guesses which name was meant, by the whole and by its last part.

  Args:
    name: str, dotted.
    valid: iterable of str.
    prefix: str, before each guess.

  Returns:
    str to put after a message, empty if nothing is near.
  """
  def last(key):
    return key.rsplit('.', 1)[-1]

  close = difflib.get_close_matches(last(name), {last(x) for x in valid}, 3)
  found = [
      *[x for x in valid if last(x) == last(name)],
      *difflib.get_close_matches(name, valid, 3),
      *[x for y in close for x in valid if last(x) == y]]
  found = [f'{prefix}{x}' for x in dict.fromkeys(found)][:4]
  return f': did you mean {" or ".join(found)}?' if found else ''


def fits(old, new):
  """Whether a YAML value, scalar or list, can take the place of another.

  Upstream's Config.update takes tuple('reward') as a list of six and bool('no')
  as True.

  Args:
    old: scalar or tuple of scalars, of a Config.
    new: scalar or list of scalars.

  Returns:
    bool.
  """
  if isinstance(old, tuple):
    return isinstance(new, list) and bool(new) and all(
        fits(old[0], x) for x in new)
  if isinstance(old, bool):
    return isinstance(new, bool)
  if isinstance(old, int):
    return isinstance(new, int) or (
        isinstance(new, float) and new.is_integer())
  if isinstance(old, float):
    return isinstance(new, float) or (
        isinstance(new, int) and not isinstance(new, bool)
        and abs(new) < 2 ** 1000)
  return isinstance(new, (str, int, float)) and not isinstance(new, bool)


def kind(value):
  """Describes in words what can take the place of a scalar or tuple."""
  if isinstance(value, tuple):
    return f'a list ({kind(value[0])} each)'
  kinds = {bool: 'True or False', int: 'an integer', float: 'a number'}
  return kinds.get(type(value), 'a word')


def text(value):
  """Writes a scalar or tuple as it is given on the command line."""
  if isinstance(value, (tuple, list)):
    return ' '.join(text(x) for x in value)
  return repr(value) if isinstance(value, str) else str(value)
