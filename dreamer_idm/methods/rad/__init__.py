"""RAD: the world model learns from augmented images (Laskin et al., 2020)."""

from ...agent.declaration import amount
from ...agent.declaration import at_least
from ...agent.declaration import between
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import one_of
from ...agent.declaration import Preset
from ...upstream.config import takes_images

# The changes of images, for every method that makes some.
CHANGES = {
    'shift': Key(
        4, 'largest shift of the images, in pixels, edges repeated; 0: none',
        at_least(0)),
    'rotation': Key(
        5.0, 'largest angle of their rotation, degrees, bilinear; 0: none',
        between(0, 180)),
    'fill': Key(
        'zero', 'what comes in at the corners: black, or the nearest pixel',
        one_of('zero', 'nearest')),
    'jitter': Key(
        0.0, 'largest change of colours, contrast and brightness, as a '
        'fraction; 0: none', between(0, 1)),
    'noise': Key(
        0.0, 'std of noise on the pixels, as a fraction of their range; 0: '
        'none', between(0, 1))}


def no_images(agent):
  """Says what is wrong with a task or preset without images, a str."""
  return (
      f'--agent {agent} augments images, and this agent reads none: use '
      '--encoder.cnn_keys image, or a preset for pixels, such as cpu')


def shifted_away(config, key, pixels):
  """Says what is wrong with shifts as large as the images: list of str."""
  if pixels < min(config.render_size):
    return []
  return [
      f'--{key} {pixels} must be smaller than the images, which are '
      f'--render_size {" ".join(map(str, config.render_size))}']


def conflicts(config):
  """See `Method.conflicts`."""
  if not takes_images(config, config.encoder):
    yield no_images('rad')
  yield from shifted_away(config, 'rad.shift', config.rad.shift)


def seen_in_training(settings, section='rad'):
  """See `Method.seen_in_training`: the changes that are switched on."""
  get = lambda x: settings.get(f'{section}.{x}')
  texts = {
      'shift': 'shifts up to {} pixels', 'rotation': 'rotations up to {}°',
      'jitter': 'colour jitter of {}', 'noise': 'pixel noise of {}'}
  return [text.format(amount(get(x))) for x, text in texts.items() if get(x)]


METHOD = Method(
    keys={
        **CHANGES,
        'per': Key(
            'sequence', 'how often these are drawn',
            one_of('sequence', 'frame')),
        'reconstruct': Key(
            'augmented', 'which images the decoder learns to reconstruct',
            one_of('augmented', 'clean'))},
    presets={
        'rad': Preset(
            'The world model learns from images that are shifted and rotated '
            'at random.', order=15),
        'rad_shift': Preset(
            'The world model learns from images that are shifted at random, '
            'never rotated.', {'rad.rotation': 0.0}, 16)},
    sizes={'cpu': {'shift': 2}},
    conflicts=conflicts,
    seen_in_training=seen_in_training,
    adds=True)
