"""What `--help` prints.

The text of a key or preset of ours is written once: where its method declares
it, or in a comment of configs.yaml, at the end of its line or right above it.
"""

import collections
import re
import textwrap

import ruamel.yaml

from . import keys as keys_lib
from . import methods as methods_lib
from . import upstream_keys
from .keys import text
from .rules import allowed

# Upstream's configs.yaml has no comments on its presets.
UPSTREAM_PRESETS = {
    'dmc_vision': "dreamerv2's own settings for DMControl from pixels",
    'dmc_proprio': "dreamerv2's own settings for DMControl from vectors",
    'atari': "dreamerv2's own settings for Atari (extra `atari`)",
    'crafter': "dreamerv2's own settings for Crafter (extra `crafter`)",
}

HEAD = """
usage: dreamer-idm train [--configs PRESET ...] [--KEY VALUE ...]

Trains Dreamer or IDM. Presets are applied in order, so later ones win, and
keys of the command line win over presets. Without --configs it is dmc. Steps
are agent steps: environment steps / action_repeat.
""".lstrip()

REST = """
dreamerv2's keys, such as --task, --seed, --steps or --rssm.deter:
  dreamer-idm train --help all"""

EXAMPLES = """
examples, from 32x32 pixels and with the paper's sizes:
  dreamer-idm train --configs cpu idm --task dmc_cartpole_balance
  dreamer-idm train --configs dmc idm --idm.sigma_h 0.2"""


# A preset or a key. default and allowed: str, empty for a preset.
Entry = collections.namedtuple(
    'Entry', ['name', 'text', 'default', 'allowed'], defaults=('', ''))


def sections(source, presets, defaults, own=()):
  """Describes all presets and keys.

  Args:
    source: str, our configs.yaml.
    presets: list of str, the names of all presets.
    defaults: upstream's Config of the defaults.
    own: Methods that do not come with the project.

  Returns:
    dict of title -> list of Entry: the presets, the keys of each method, the
    other keys that we set, and dreamerv2's.
  """
  methods = [*methods_lib.declared(), *own]
  document, lines = ruamel.yaml.YAML().load(source), source.splitlines()
  keys = {
      name: _comment(lines, section.lc.key(key)[0])
      for name, section, key in _keys(document['defaults'])}
  comments = {
      **UPSTREAM_PRESETS, **keys,
      **{x: _comment(lines, document.lc.key(x)[0]) for x in document},
      **{k: v.text for x in methods for k, v in x.presets.items()}}

  def described(names, text=None):
    return [Entry(
        x, text or comments.get(x) or upstream_keys.text(x),
        _shown(defaults.flat[x]), allowed(x, own) or keys_lib.kind(
            defaults.flat[x])) for x in names]

  found = {'presets': [Entry(x, comments.get(x, '')) for x in presets]}
  for method in methods:
    if method.keys:
      found[f'keys of {method.name}'] = [
          entry for key, value in method.keys.items()
          for entry in described([x for x, _, _ in _keys(
              {f'{method.section}.{key}': value.default})], value.text)]
  others = {x.name for y in found.values() for x in y} | {*keys}
  return found | {
      'other keys that we set': described(keys),
      "dreamerv2's keys": described(
          x for x in defaults.flat if x not in others)}


def write(described, everything=False):
  """Writes the help.

  Args:
    described: dict of `sections`.
    everything: bool, whether to list upstream's keys too.

  Returns:
    str of several lines.
  """
  named, *others = described.items()
  lines = [HEAD, 'presets:', *[_entry(x.name, x.text) for x in named[1]]]
  for title, entries in others if everything else others[:-1]:
    lines += ['', f'{title}, their defaults and what they may be:']
    last = None
    for entry in entries:
      # The keys of a section on one line have one comment between them.
      lines.append(_entry(
          f'--{entry.name} {entry.default}',
          '' if entry.text == last else entry.text, f'[{entry.allowed}]'))
      last = entry.text
  return '\n'.join([*lines, *([] if everything else [REST]), EXAMPLES])


def _entry(name, *parts):
  # No line begins with the number of a bound.
  described = ' '.join(x for x in parts if x).replace('= ', '=\xa0')
  return textwrap.fill(
      described, 80, initial_indent=f'  {name:<25} ',
      subsequent_indent=' ' * 28, break_on_hyphens=False,
  ).replace('\xa0', ' ') or f'  {name}'


def _shown(value):
  # As a shell takes it, without quotes where it needs none.
  if isinstance(value, tuple):
    return ' '.join(map(_shown, value))
  plain = str(value)
  return plain if re.fullmatch(r'[\w/]+', plain) else text(value)


def _keys(section, prefix=''):
  # Yields full names of keys, and the part and name by which YAML has them.
  for key, value in section.items():
    if isinstance(value, dict):
      yield from _keys(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', section, key


def _comment(lines, row):
  behind = lines[row].partition(' #')[2].strip()
  if behind:
    return behind
  above: list[str] = []
  while row and lines[row - 1].lstrip().startswith('#'):
    row -= 1
    above.insert(0, lines[row].strip(' #'))
  return ' '.join(above)
