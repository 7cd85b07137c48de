"""Whether a run that is there has the settings that are asked for."""

import re

from ..errors import UsageError
from ..patches import ruamel_yaml
from ..upstream.config import Config
from . import keys
from . import load as config_lib
from . import rules

# A run's checkpoint and replay fit no other values of these keys.
FIXED = re.compile(
    r'agent|method|seed|task|action_repeat|render_size|shadows|precision|'
    r'pred_discount|slow_target|expl_behavior|batch_multiplier|'
    r'(rssm|encoder|decoder|\w+_head|actor|critic)\..*|\w+_opt\.opt')
# How long, where, and how fast: these do not make another run.
INCIDENTAL = re.compile(
    r'steps|logdir|threads|checkpoints|jit|fast|envs_parallel|eval_every|'
    r'log_every|log_keys_\w+')
# The sections of keys that a method reads; one of the user's own may read any.
SECTIONS: dict[str, tuple[str, ...]] = {
    'dreamer': (), 'no_value': (), 'idm': ('idm',), 'clion': ('idm', 'clion'),
    'bird': ('bird',), 'soft_bird': ('bird', 'soft_bird'),
    'planet': ('planet',), 'contrastive': ('contrastive',)}
OF_METHODS = frozenset(y for x in SECTIONS.values() for y in x)


def has_effect(key, settings):
  """Says whether a setting can have an effect on a run.

  Args:
    key: str, dotted.
    settings: dict of dotted keys, the run's; it may be incomplete.

  Returns:
    bool. False of the sections of other methods, and of how frames are
    rendered where the patterns for images are those for nothing.
  """
  section = key.partition('.')[0]
  if section in OF_METHODS:
    return section in SECTIONS.get(settings.get('agent'), OF_METHODS)
  if key in ('shadows', 'render_size'):
    return not {
        settings.get(f'{x}.cnn_keys') for x in ('encoder', 'decoder')
    } <= rules.NOTHING
  return True


def idle_flags(argv, config):
  """Finds what the command line asks for and the run will not heed.

  Args:
    argv: list of str, the command line that the config was loaded from.
    config: upstream's Config.

  Returns:
    list of str, one line for each flag none of whose keys has an effect.
  """
  lines = []
  for name in (x[2:].partition('=')[0] for x in argv if x.startswith('--')):
    found = [] if name == 'configs' else keys.find(config, name, '--')
    if found and not any(has_effect(x, config.flat) for x in found):
      section = found[0].partition('.')[0]
      lines.append(f'note: --{name} has no effect ' + (
          f'on the agent {config.agent}; is the preset {section} missing '
          'behind --configs?' if section in OF_METHODS else 'without images'))
  return lines


def check_resumable(config, path):
  """Checks that a run can go on with this config.

  Args:
    config: upstream's Config.
    path: pathlib.Path of the run's config.yaml; it need not exist.

  Raises:
    UsageError: if what its checkpoint and replay depend on (`FIXED`: the arm
      and its keys, the task and its frames, the seed, the networks, the
      precision) is not the run's; names the keys. All else may change.
  """
  # A method of the user's own has its keys in a section of its name.
  sections = {*OF_METHODS, config.agent.rpartition('.')[2]}
  _check(config, path, lambda x: (
      FIXED.fullmatch(x) or x.partition('.')[0] in sections))


def check_same(config, path):
  """Checks that a run is the one that is asked for.

  Args:
    config: upstream's Config.
    path: pathlib.Path of the run's config.yaml; it need not exist.

  Raises:
    UsageError: if any setting is another that has an effect on what it
      learns or how it is scored; names the keys. It may be of another length.
  """
  _check(config, path, lambda x: not INCIDENTAL.fullmatch(x))


def _check(config, path, counts):
  if not path.exists():
    return
  try:
    before = Config(ruamel_yaml.safe_load(path.read_text('utf-8'))).flat
  except Exception as error:
    raise UsageError(
        f'cannot read {path}, the config of the run that is there: mend it, '
        'or choose another folder with --logdir') from error
  # Keys that the run did not know yet have their defaults.
  before, flat = {**config_lib.defaults().flat, **before}, config.flat
  other = [
      f'{k} {before.get(k)} (now {flat.get(k)})'
      for k in sorted({*before, *flat})
      if counts(k) and before.get(k) != flat.get(k)
      and (has_effect(k, before) or has_effect(k, flat))]
  if other:
    other[5:] = [f'and {len(other) - 5} more'] if len(other) > 5 else []
    raise UsageError(
        f'the run in {path.parent} has other settings than asked for: '
        f'{", ".join(other)}; use them again, or choose another folder with '
        '--logdir')
