"""What the values of a config must satisfy, by themselves and together.

Upstream checks few of its values, and those where they are used: minutes into
a run and by an assertion. Here they are checked before anything starts.
"""

import importlib.util
import math
import os
import re

from ..agent import registry
from ..agent.declaration import above
from ..agent.declaration import at_least
from ..agent.declaration import between
from ..agent.declaration import one_of
from ..agent.declaration import Rule
from ..agent.declaration import ZERO_OR_MORE_THAN_ONE
from ..errors import UsageError
from ..upstream.config import matches_nothing
from ..upstream.config import NOTHING
from ..upstream.config import takes_images
from . import methods


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


def text(value):
  """Writes a value as it is given on the command line.

  Args:
    value: scalar or tuple of scalars.

  Returns:
    str.
  """
  if isinstance(value, (tuple, list)):
    return ' '.join(text(x) for x in value)
  return repr(value) if isinstance(value, str) else str(value)


def allowed(key, own=()):
  """Describes the values that a key may take.

  Args:
    key: str, such as `idm.sigma_h`.
    own: Methods that do not come with the project.

  Returns:
    str, empty if every value of its type will do.
  """
  return next((x.text for x in _rules(key, own)), '')


def _rules(key, own):
  # The rules of a key: ours by pattern, and its method's.
  declared = methods.rule(key, own)
  return [x for p, x in RULES.items() if re.fullmatch(p, key)] + (
      [declared] if declared else [])


def check(config):
  """Checks every value that would otherwise fail later or worse.

  Args:
    config: upstream's Config with our keys.

  Raises:
    UsageError: for the first value that cannot be.
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
  for problem in _conflicts(config):
    raise UsageError(problem)


def _passes(rule, value):
  try:
    return rule.test(value)
  except TypeError:  # Whoever edits our defaults can change a type.
    return False


def _conflicts(config):
  # One line per pair of values that do not go together.
  if len(config.render_size) != 2:
    yield (
        '--render_size must be a height and a width, but is '
        f'{text(config.render_size)}')
  logdir = os.path.expanduser(config.logdir)
  if '://' in config.logdir:
    yield (
        f'--logdir must be a folder of this machine, but is '
        f'{text(config.logdir)}: train into a folder, then copy it')
  if os.path.exists(logdir) and not os.path.isdir(logdir):
    yield f'--logdir is a file, not a folder: {text(config.logdir)}'
  yield from _method_conflicts(config)
  yield from _image_conflicts(config)
  yield from _replay_conflicts(config)
  if config.loss_scales.proprio != 1 and not config.task.startswith('gym_'):
    yield (
        f'--loss_scales.proprio {config.loss_scales.proprio} has no effect: '
        f'{config.task} has no observation of this name')
  if 'discount' in config.grad_heads and not config.pred_discount:
    yield (
        '--grad_heads has discount, but --pred_discount False builds no such '
        'head: use --grad_heads decoder reward')
  if config.expl_behavior == 'Plan2Explore':
    if config.disag_offset >= config.dataset.length:
      yield (
          f'--disag_offset {config.disag_offset} must be smaller than '
          f'dataset.length, {config.dataset.length}')
    if config.disag_target == 'feat' and config.rssm.discrete:
      yield '--disag_target feat needs Gaussian latents: --rssm.discrete 0'


def _method_conflicts(config):
  if config.expl_behavior != 'greedy':
    if config.agent != 'dreamer':
      yield (
          f'--agent {config.agent} explores by itself: --expl_behavior '
          f'{config.expl_behavior} needs --agent dreamer')
    for key in registry.common(config):
      yield (
          f'--{key} {text(config.flat[key])} and --expl_behavior '
          f'{config.expl_behavior} exclude each other')
  yield from registry.declaration(config.agent).conflicts(config)


def decodes_nothing(config):
  """Whether the decoder is switched off, by the patterns for nothing.

  Args:
    config: upstream's Config.

  Returns:
    bool.
  """
  decoder = config.decoder
  return {decoder.cnn_keys, decoder.mlp_keys} <= NOTHING


def _image_conflicts(config):
  height, width = config.render_size
  if takes_images(config, config.encoder):
    size = min(height, width)
    for kernel in config.encoder.cnn_kernels:
      if kernel > size:
        yield (
            f'--encoder.cnn_kernels {text(config.encoder.cnn_kernels)} leave '
            f'nothing of {height}x{width} images: use smaller or fewer ones, '
            'or a larger --render_size')
      size = (size - kernel) // 2 + 1
  if matches_nothing(config, config.encoder):
    yield (
        '--encoder.cnn_keys and --encoder.mlp_keys match nothing: use '
        '--encoder.cnn_keys image or --encoder.mlp_keys .*')
  if takes_images(config, config.decoder):
    size = 1
    for kernel in config.decoder.cnn_kernels:
      size = 2 * size + max(kernel - 2, 0)
    if (height, width) != (size, size):
      yield (
          f'--decoder.cnn_kernels {text(config.decoder.cnn_kernels)} make '
          f'{size}x{size} images, but render_size is {height}x{width}: use '
          f'--render_size {size} {size} or other kernels (5 5 6 6 make '
          '64x64, 5 6 6 make 32x32)')
    if config.dataset.length < 6:
      yield (
          '--dataset.length must be >= 6 with images, but is '
          f'{config.dataset.length}: the logged videos predict from 5 frames')


def _replay_conflicts(config):
  minlen, maxlen = config.replay.minlen, config.replay.maxlen
  if maxlen and minlen > maxlen:
    yield (
        f'--replay.minlen {minlen} must not be larger than replay.maxlen, '
        f'{maxlen}')
  # DMControl's episodes have 1000 env steps; upstream drops shorter ones than
  # minlen, and then there may be none.
  longest = math.ceil(1000 / config.action_repeat)
  if config.time_limit:
    longest = min(longest, config.time_limit)
  if config.task.startswith('dmc_') and minlen > longest:
    yield (
        f'--replay.minlen {minlen} must not be larger than an episode, '
        f'{longest} agent steps with this action_repeat and time_limit')
