"""DrQ: SAC from pixels with shifted images (Kostrikov, Yarats, Fergus, 2020).

  losses     equations as functions of tensors
  networks   encoder, twin Q and policy
  agent      what the rest of the project trains, saves and acts with
"""

from ...agent.declaration import above
from ...agent.declaration import at_least
from ...agent.declaration import between
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Panel
from ...agent.declaration import Preset
from ...upstream.config import NOTHING
from ...upstream.config import takes_images
from .. import rad

KERNEL, STRIDES = 3, (2, 1, 1, 1)


def conflicts(config):
  """See `Method.conflicts`."""
  drq, encoder = config.drq, config.encoder
  if config.agent != 'drq':
    yield (
        f'--agent {config.agent}: drq has no world model to which another '
        'method could add')
  if config.actor.dist == 'onehot':
    yield '--agent drq acts by continuous actions, but these are discrete'
  if encoder.mlp_keys not in NOTHING or not takes_images(config, encoder):
    yield (
        '--agent drq learns from images alone: use --encoder.cnn_keys image '
        "--encoder.mlp_keys '$^', as the presets dmc and cpu do")
  if min(config.render_size) < 15:  # Convolutions leave nothing.
    yield (
        '--agent drq needs --render_size 15 15 at least, but it is '
        f'{" ".join(map(str, config.render_size))}')
  if config.precision not in ('32', 'auto'):
    yield (
        '--agent drq computes in single precision: use --precision 32, not '
        f'{config.precision}')
  if config.imag_starts:
    yield f'--agent drq imagines nothing: --imag_starts {config.imag_starts}'
  if config.normalize_vectors:
    yield '--agent drq reads no vectors: use --normalize_vectors False'
  if config.replay.ongoing:
    yield '--agent drq draws from whole episodes: use --replay.ongoing False'
  yield from rad.shifted_away(config, 'drq.pad', drq.pad)
  if drq.log_std_min >= drq.log_std_max:
    yield (
        f'--drq.log_std_min {drq.log_std_min} must be smaller than '
        f'drq.log_std_max, {drq.log_std_max}')


def seen_in_training(settings):
  """See `Method.seen_in_training`."""
  pad = settings.get('drq.pad')
  return [f'shifts up to {pad} pixels'] if pad else []


METHOD = Method(
    keys={
        'stack': Key(3, 'frames that make a state', at_least(1), fixed=True),
        'filters': Key(
            32, 'of each of the four convolutions', at_least(1), fixed=True),
        'features': Key(
            50, 'numbers that the encoder makes of a stack', at_least(1),
            fixed=True),
        'layers': Key(
            2, 'hidden layers of policy and Q', at_least(0), fixed=True),
        'units': Key(1024, 'of each of them', at_least(1), fixed=True),
        'batch': Key(512, 'transitions of an update', at_least(1)),
        'discount': Key(0.99, 'gamma', between(0, 1)),
        'pad': Key(
            4, 'pixels that images are shifted by at most, each way',
            at_least(0)),
        'target_views': Key(
            2, 'K, shifts of the next stack that a target averages',
            at_least(1)),
        'views': Key(2, 'M, shifts of the stack in the loss of Q', at_least(1)),
        'temperature': Key(0.1, 'alpha at the beginning', above(0)),
        'log_std_min': Key(-10.0, "the policy's least, before its tanh"),
        'log_std_max': Key(2.0, "the policy's largest, before its tanh"),
        'actor_every': Key(
            2, 'updates of Q for one of policy and temperature', at_least(1)),
        'target_every': Key(
            2, 'updates of Q for one of its slow copy', at_least(1)),
        'tau': Key(
            0.01, 'fraction of Q that its slow copy takes over',
            between(0, 1)),
        'opt': Key(
            {'opt': 'adam', 'lr': 1e-3, 'eps': 1e-8, 'clip': 0.0, 'wd': 0.0},
            'The optimizers of Q, policy and temperature.')},
    presets={'drq': Preset(
        'DrQ, model-free: soft actor-critic from stacks of shifted frames.',
        {'prefill': 1000, 'pretrain': 0, 'train_every': 1, 'train_steps': 1,
         'expl_noise': 0.0, 'eval_noise': 0.0, 'decoder.cnn_keys': '$^',
         'decoder.mlp_keys': '$^', 'grad_heads': ['reward'],
         'replay.minlen': 1, 'imag_starts': 0}, 20)},
    sizes={
        'cpu': {'filters': 16, 'units': 256, 'batch': 64, 'pad': 2},
        'debug': {
            'filters': 4, 'features': 8, 'units': 16, 'batch': 4}},
    panels=(
        Panel('temperature, DrQ', 0, None, (('drq_temperature', '', '-'),)),
        Panel("policy's entropy, DrQ [nats]", None, None, (
            ('drq_entropy', '', '-'),)),
        Panel('Q, DrQ [soft returns]', None, None, (
            ('drq_q', 'Q', '-'), ('drq_target', 'target', '--')))),
    conflicts=conflicts,
    seen_in_training=seen_in_training)
