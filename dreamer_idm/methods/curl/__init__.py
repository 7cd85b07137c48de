"""CURL: embeddings that tell augmented images apart (Laskin et al., 2020)."""

from ...agent.declaration import at_least
from ...agent.declaration import between
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Preset
from ...upstream.config import takes_images
from .. import rad


def conflicts(config):
  """See `Method.conflicts`."""
  if not takes_images(config, config.encoder):
    yield rad.no_images('curl')
  yield from rad.shifted_away(config, 'curl.shift', config.curl.shift)
  if config.curl.images == 1:
    yield '--curl.images 1 leaves no other image to be told apart from'


def seen_in_training(settings):
  """See `Method.seen_in_training`."""
  if not settings.get('curl.scale'):
    return []
  return [
      f"{x} in a term of the encoder's"
      for x in rad.seen_in_training(settings, 'curl')]


METHOD = Method(
    keys={
        'scale': Key(1.0, 'weight of the InfoNCE loss, 0: none', at_least(0)),
        'images': Key(
            256, 'images of a batch that it tells apart, drawn at random, 0: '
            'all', at_least(0)),
        'momentum': Key(
            0.95, 'fraction that the encoder of the keys keeps of itself in '
            'an update', between(0, 1)),
        **rad.CHANGES,
        'rotation': rad.CHANGES['rotation']._replace(default=0.0)},
    presets={'curl': Preset(
        'An InfoNCE loss of the encoder between two augmentations of an '
        'image.', order=17)},
    sizes={'cpu': {'shift': 2, 'images': 128}},
    conflicts=conflicts,
    seen_in_training=seen_in_training,
    adds=True)
