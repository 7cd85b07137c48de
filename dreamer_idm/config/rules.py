"""What the values of a config must satisfy, by themselves and together.

Upstream checks few of its values, and those where they are used: minutes into
a run and by an assertion. Here they are checked before anything starts.
"""

import importlib.util
import math
import re

from ..agent import registry
from ..agent.declaration import above
from ..agent.declaration import at_least
from ..agent.declaration import between
from ..agent.declaration import one_of
from ..agent.declaration import Rule
from ..agent.declaration import ZERO_OR_MORE_THAN_ONE
from ..errors import UsageError
from ..upstream.config import NOTHING
from . import conflicts
from . import methods
from .keys import text


def _compiles(pattern):
  try:
    re.compile(pattern)
  except (re.error, OverflowError, RecursionError):
    return False
  return True


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


ACTIVATIONS = one_of(
    'none', 'elu', 'relu', 'relu6', 'leaky_relu', 'selu', 'gelu', 'silu',
    'swish', 'mish', 'softplus', 'softsign', 'tanh', 'sigmoid', 'identity')
OPTIMIZERS = one_of('adam', 'nadam', 'adamax', 'sgd', 'momentum')

# Pattern of whole keys -> what each value, or each element of a list, must be.
RULES = {
    # Ours.
    'agent': Rule(
        ' | '.join([*registry.METHODS, 'a module of your own']), _is_method),
    'method': Rule(
        'a file name', lambda x: re.fullmatch(r'\w[\w.+-]*', x) is not None),
    'precision': one_of('auto', '16', 'bf16', '32'),
    'threads': at_least(0),
    'batch_multiplier|checkpoints': at_least(1),
    'eval_eps': at_least(0),
    'imag_starts': at_least(0),
    r'rotate\.degrees': between(0, 180),
    r'rotate\.per': one_of('frame', 'episode'),
    r'rotate\.fill': one_of('zero', 'nearest'),
    # Upstream's: the run.
    'seed': between(0, 2 ** 31 - 1),
    'envs|action_repeat|train_every|train_steps|render_size': at_least(1),
    'envs_parallel': one_of('none', 'thread', 'process'),
    'dmc_camera': at_least(-1),
    'steps|eval_every|log_every': Rule(
        'a whole number >= 1', lambda x: x >= 1 and x == int(x)),
    'time_limit|pretrain|expl_until': at_least(0),
    # What would have no effect.
    'atari_grayscale': Rule('True: there are no Atari tasks', bool),
    'slow_baseline': Rule('True: dreamerv2 reads it nowhere', bool),
    'prefill': at_least(1),  # With no episode there is nothing to sample.
    r'replay\.(capacity|maxlen)': at_least(0),
    r'replay\.minlen|dataset\.batch': at_least(1),
    r'dataset\.length': at_least(2),
    'log_keys_video': Rule('names of observations', lambda x: bool(x)),
    r'log_keys_(sum|mean|max)|.*\.(cnn|mlp)_keys': Rule(
        'a regular expression', _compiles),
    # Upstream's: networks. Its `normal` has a standard deviation that may be
    # negative, and `binary` a mode that is an integer.
    r'.*\.act': ACTIVATIONS,
    r'.*\.norm': one_of('none', 'layer'),
    r'.*\.layers|rssm\.discrete|.*min_std': at_least(0),
    r'.*\.(units|cnn_depth|cnn_kernels|mlp_layers)': at_least(1),
    r'rssm\.(ensemble|stoch|deter|hidden)': at_least(1),
    r'rssm\.std_act': one_of('softplus', 'sigmoid', 'sigmoid2'),
    r'actor\.dist': one_of('auto', 'tanh_normal', 'trunc_normal'),
    r'discount_head\.dist': one_of('binary', 'mse'),
    r'(reward_head|critic|expl_head)\.dist': one_of('mse'),
    # Upstream's: losses and optimizers.
    'clip_rewards': one_of('identity', 'sign', 'tanh'),
    'grad_heads': one_of('decoder', 'reward', 'discount'),
    r'loss_scales\..*|kl\.free|expl_noise|eval_noise': at_least(0),
    r'.*reward_norm\.eps': at_least(0),
    r'kl\.balance|.*reward_norm\.momentum': between(0, 1),
    'discount|discount_lambda|actor_grad_mix': between(0, 1),
    'slow_target_fraction': between(0, 1),
    'slow_target_update|disag_models': at_least(1),
    'imag_horizon': at_least(2),  # The actor's loss drops two states.
    'actor_grad': one_of('auto', 'dynamics', 'reinforce', 'both'),
    r'.*_opt\.opt': OPTIMIZERS,
    r'.*_opt\.lr': at_least(0),
    r'.*_opt\.eps': above(0),
    r'.*_opt\.clip': ZERO_OR_MORE_THAN_ONE,
    r'.*_opt\.wd': Rule('>= 0 and < 1', lambda x: 0 <= x < 1),
    # Upstream's `Random` reads its action space before it has one.
    'expl_behavior': one_of('greedy', 'Plan2Explore', 'ModelLoss'),
    'expl_model_loss': one_of('kl'),
    'disag_target': one_of('embed', 'stoch', 'deter', 'feat'),
    'disag_offset': at_least(0),
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
  # The rules of a key: ours by pattern, and its method's.
  declared = methods.key(key, own)
  return [x for p, x in RULES.items() if re.fullmatch(p, key)] + (
      [declared.rule] if declared and declared.rule else [])


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
