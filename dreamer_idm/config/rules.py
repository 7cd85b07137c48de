"""What the values of a config must satisfy, by themselves and together.

Upstream checks few of its values, and those where they are used: minutes into
a run and by an assertion. Here they are checked before anything starts.
"""

import importlib.util
import math
import re

from ..agent import registry
from ..agent.declaration import at_least
from ..agent.declaration import between
from ..agent.declaration import one_of
from ..agent.declaration import Rule
from ..errors import UsageError
from ..upstream.config import NOTHING
from . import conflicts
from . import methods
from . import upstream_keys
from .keys import text


def _is_agent(name):
  parts = registry.parts(name)
  return len({*parts}) == len(parts) and all(map(_is_method, parts)) and (
      len(parts) == 1 or [
          registry.declaration(x).adds for x in parts].count(False) < 2)


def _is_method(name):
  if name in registry.METHODS:
    return True
  try:
    return importlib.util.find_spec(name) is not None
  except ModuleNotFoundError as error:
    # Looking for a.b imports a, which may fail by itself.
    if f'{name}.'.startswith(f'{error.name}.'):
      return False
    raise
  except (ImportError, ValueError):  # A relative name, or none at all.
    return False


# Our keys; those of methods and of upstream have their rules where they stand.
RULES = {
    'agent': Rule(
        ' | '.join([
            *registry.METHODS, 'a module of your own',
            'one of them and what adds to it, as idm+rad']), _is_agent),
    'method': Rule(
        'a file name', lambda x: re.fullmatch(r'\w[\w.+-]*', x) is not None),
    'precision': one_of('auto', '16', 'bf16', '32'),
    'threads': at_least(0),
    'loggers': one_of('jsonl', 'tensorboard', 'csv', 'wandb', 'mlflow'),
    'batch_multiplier': at_least(1),
    'checkpoints': at_least(1),
    'eval_eps': at_least(0),
    'imag_starts': at_least(0),
    'supersample': at_least(1),
    'slow_target_fraction': between(0, 1),
    'rotate.degrees': between(0, 180),
    'rotate.per': one_of('frame', 'episode'),
    'rotate.fill': one_of('zero', 'nearest'),
}


def allowed(key, own=()):
  """Describes the values that a key may take.

  Args:
    key: str, dotted.
    own: Methods of the user's own.

  Returns:
    str, empty if every value of its type will do.
  """
  return next((x.text for x in _rules(key, own)), '')


def _rules(key, own):
  declared = methods.key(key, own)
  found = (
      RULES.get(key), upstream_keys.rule(key), declared and declared.rule)
  return [x for x in found if x]


def decodes_nothing(config):
  """Whether the decoder is switched off, by the patterns for nothing."""
  decoder = config.decoder
  return {decoder.cnn_keys, decoder.mlp_keys} <= NOTHING


def check(config):
  """Checks every value that would otherwise fail late, or silently.

  Args:
    config: upstream's Config with our keys.

  Raises:
    UsageError: for the first invalid value.
  """
  own = methods.own(config.agent)
  for key, value in config.flat.items():
    elements = value if isinstance(value, tuple) else (value,)
    if any(isinstance(x, float) and not math.isfinite(x) for x in elements):
      raise UsageError(f'--{key} must be finite, but is {text(value)}')
    for rule in _rules(key, own):
      if not all(_passes(rule, x) for x in elements):
        raise UsageError(
            f'--{key} must be {rule.text}, but is {text(value)}')
  for problem in conflicts.found(config):
    raise UsageError(problem)


def _passes(rule, value):
  try:
    return rule.test(value)
  except TypeError:  # Whoever edits our defaults can change a type.
    return False
