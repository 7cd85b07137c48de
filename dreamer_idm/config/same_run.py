"""Whether a run that is there has the settings that are asked for."""

import functools
import re

from ..agent import registry
from ..errors import UsageError
from ..runs import saved_step
from . import command_line
from . import keys
from . import load as config_lib
from . import methods
from . import rules

# How long, where, how fast, and what is shown: the only list of settings that
# may differ between starts of the same run. `report` reads it too.
INCIDENTAL = re.compile(
    r'steps|logdir|threads|checkpoints|jit|fast|envs_parallel|eval_every|'
    r'log_every|log_keys_\w+|loggers|resume_changed')
# What returns depend on: with other values they are not of one kind.
SCORING = (
    'action_repeat', 'eval_eps', 'eval_noise', 'eval_state_mean',
    'render_size', 'rotate.degrees', 'rotate.fill', 'rotate.per',
    'time_limit')
# A run's checkpoint, replay and name fit no other values of these keys.
FIXED = re.compile(
    r'agent|method|seed|task|action_repeat|render_size|shadows|supersample|'
    r'precision|pred_discount|slow_target|expl_behavior|'
    r'(rssm|encoder|decoder|actor|critic|(.*\.)?(\w+_)?head)\..*|.*opt\.opt')

# Keys of one kind of environment, and how its tasks' names begin.
_OF_TASKS = {
    'shadows': 'dmc_', 'supersample': 'dmc_', 'dmc_camera': 'dmc_',
    'atari_grayscale': 'atari_'}


def has_effect(key, settings):
  """Says whether a setting can have an effect on a run.

  Args:
    key: str, dotted.
    settings: dict of dotted keys, the run's; it may be incomplete.

  Returns:
    bool, False of other methods' keys, of `expl_until` where no other actor
    explores, of other environments' keys, and of how frames are rendered and
    rotated where the patterns for images match nothing.
  """
  section, _, rest = key.partition('.')
  if section in methods.sections():
    return section in methods.reads(str(settings.get('agent')))
  if rest and section not in _sections():  # Of a method of the user's own.
    return section in methods.own_sections(str(settings.get('agent')))
  if key == 'expl_until':
    return settings.get('expl_behavior') != 'greedy'
  family = _OF_TASKS.get(key, '')
  if not str(settings.get('task', family)).startswith(family):
    return False
  images = 'shadows', 'supersample', 'dmc_camera', 'render_size'
  if key in images or section == 'rotate':
    return not {
        settings.get(f'{x}.cnn_keys') for x in ('encoder', 'decoder')
    } <= rules.NOTHING
  return True


@functools.cache
def _sections():
  return frozenset(x.partition('.')[0] for x in config_lib.defaults().flat)


def idle_flags(argv, config):
  """Finds what the command line asks for and the run will not respect.

  Args:
    argv: list of str, the command line that the config was loaded from.
    config: upstream's Config.

  Returns:
    list of str, one line for each flag none of whose keys has an effect, and
    for each method that a later one replaces.
  """
  lines = _replaced(argv, config.agent)
  for name in (x[2:].partition('=')[0] for x in argv if x.startswith('--')):
    found = [] if name == 'configs' else keys.find(config, name, '--')
    if found and not any(has_effect(x, config.flat) for x in found):
      section = found[0].partition('.')[0]
      lines.append(f'note: --{name} has no effect ' + (
          f'on the agent {config.agent}; is the preset {section} missing '
          'behind --configs?' if section in methods.sections() else
          'while --expl_behavior is greedy' if found == ['expl_until'] else
          'without images' if config.task.startswith(
              _OF_TASKS.get(found[0], '')) else f'on {config.task}'))
  return lines


def _replaced(argv, agent):
  # Without the baseline, which `ab` and its users name to be replaced.
  presets = [
      y for key, values in command_line.split(argv) if key == 'configs'
      for x in values for y in x.split(',')]
  adding = ', '.join(x.name for x in methods.declared() if x.adds)
  return [
      f'note: the preset {preset} is replaced by a later one, the agent is '
      f'{agent}; only these add to others: {adding}'
      for method in methods.declared() for preset in presets
      if preset in method.presets and method.name != 'dreamer'
      and method.name not in registry.parts(agent)]


def resumed(starts):
  """Describes the settings that were changed on resuming.

  Args:
    starts: list of dicts, the lines of `runs.provenance`.

  Returns:
    dict of dotted keys to the values that held and from which environment step
    on, str; or to the one value that held from the first start on, where
    config.yaml has another.
  """
  from ..runs import provenance  # With NumPy.
  found = {}
  for key, values in provenance.changed(starts).items():
    if INCIDENTAL.fullmatch(key):
      continue
    values = [tuple(x) if isinstance(x, list) else x for x in values]
    later = [
        f'then {x} from {start.get("step")}' for before, x, start in zip(
            values, values[1:], starts[1:]) if x != before]
    found[key] = ', '.join([str(values[0]), *later]) if later else values[0]
  return found


def changes(config, path):
  """Finds the settings that are not those that a run began with.

  Args:
    config: upstream's Config.
    path: pathlib.Path of the run's config.yaml; it need not exist.

  Returns:
    dict of dotted keys to tuples, the value that the run began with and the
    one that is asked for (None: there is no such key any more); without the
    keys that have no effect with either.

  Raises:
    UsageError: if the file cannot be read.
  """
  return _differences(_begun(config, path), config) if path.exists() else {}


def _begun(config, path):
  # Keys that the run did not know yet have their defaults.
  return {
      **config_lib.defaults(config.agent).flat,
      **config_lib.stored_settings(path)}


def _differences(before, config):
  now = config.flat
  return {
      k: (before.get(k), now.get(k)) for k in sorted({*before, *now})
      if before.get(k) != now.get(k)
      and (has_effect(k, before) or has_effect(k, now))}


def _others(config, path, resumes):
  """What differs from the latest start; of a complete run, from any start."""
  from ..runs import provenance  # With NumPy.
  if not path.exists():
    return {}
  begun, starts = _begun(config, path), provenance.read(path.parent)
  found: dict = {}
  for start in (starts[-1:] or [{}]) if resumes else [{}, *starts]:
    held = {
        k: tuple(v[-1]) if isinstance(v[-1], list) else v[-1]
        for k, v in provenance.changed([start]).items()}
    found.update(_differences({**begun, **held}, config))
  return {k: v for k, v in found.items() if not INCIDENTAL.fullmatch(k)}


def check(config, path, resumes=True):
  """Checks that a run is the one that is asked for.

  What counts is what held at its latest start: going back is a change as well.

  Args:
    config: upstream's Config. Its `resume_changed` allows other values of
      what neither the checkpoint nor the replay depends on.
    path: pathlib.Path of the run's config.yaml; it need not exist.
    resumes: bool, whether the run will be resumed. One that is complete must
      have been trained with these settings throughout, whatever
      `resume_changed` says.

  Raises:
    UsageError: if a setting is another that can change what is learned or how
      it is scored; names the keys and both values.
  """
  if not path.exists() and saved_step.saved_step(path.parent) is not None:
    raise UsageError(
        f'{path.parent} has checkpoints but no {path.name}, so nothing says '
        'with which settings they were trained: restore it, or choose another '
        'folder with --logdir')
  other = _others(config, path, resumes)
  fixed = {k: v for k, v in other.items() if _fixed(k)}
  if config.resume_changed and resumes:
    other = fixed
  if other:
    found = ', '.join(
        f'{k} {_short(v[0])} (now {_short(v[1])})' for k, v in other.items())
    advice = '' if fixed or not resumes else (
        ', or resume it with the new ones by --resume_changed True')
    raise UsageError(
        f'the run in {path.parent} has other settings than asked for: '
        f'{found}; use them again, or choose another folder with --logdir'
        f'{advice}')


def _fixed(key):
  declared = methods.key(key)
  return bool(FIXED.fullmatch(key)) or key in registry.COMMON or bool(
      declared and declared.fixed)


def _short(value):
  text = keys.text(value) if isinstance(value, tuple) else str(value)
  return text if len(text) <= 60 else f'{text[:59]}…'
