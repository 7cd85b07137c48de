"""Values of a config that are right by themselves and wrong together."""

import math
import os

from ..agent import registry
from ..upstream.config import matches_nothing
from ..upstream.config import takes_images
from .keys import text


def found(config):
  """Yields a line for each pair of values that do not go together."""
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
  if config.task.startswith('crafter_') and config.action_repeat != 1:
    yield f'{config.task} takes --action_repeat 1, not {config.action_repeat}'
  if config.task.startswith('atari_') and len({*config.render_size}) > 1:
    yield (
        f'{config.task} takes a square --render_size, not '
        f'{text(config.render_size)}')
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
  if config.actor.dist == 'onehot':
    for key in ('expl_noise', 'eval_noise'):
      if config[key] > 1:
        yield (
            f'--{key} is a probability where actions are discrete, but is '
            f'{config[key]}')
  if config.expl_behavior != 'greedy':
    if config.agent != 'dreamer':
      yield (
          f'--agent {config.agent} explores by itself: --expl_behavior '
          f'{config.expl_behavior} needs --agent dreamer')
    for key in registry.common(config):
      yield (
          f'--{key} {text(config.flat[key])} and --expl_behavior '
          f'{config.expl_behavior} exclude each other')
  for name in registry.parts(config.agent):
    yield from registry.declaration(name).conflicts(config)


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
