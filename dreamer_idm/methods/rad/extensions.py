"""RAD: the world model learns from augmented images (Laskin et al., 2020).

Each training batch is changed at random before the world model sees it, see
`augmentations`. What is decoded from the states is held against the changed
images, or with `reconstruct` clean against the original ones, which asks the
states to leave out what was changed. Environments, policy and evaluation are
untouched.
"""

from ...agent.extension import Extension
from ...agent.extension import TARGET
from ...errors import UsageError
from ...upstream.config import matching
from . import augmentations
from . import no_images


def extensions(config):
  """Builds the method's only part, if any change is switched on."""
  rad = config.rad
  changes = rad.shift or rad.rotation or rad.jitter or rad.noise
  return [Augmentation(config)] if changes else []


def images(data, config, agent):
  """Picks the images of a batch that the encoder or the decoder knows.

  Args:
    data: dict of tensors [B, L, ...].
    config: upstream's Config.
    agent: str, who needs them, for messages.

  Returns:
    dict of tensors [B, L, H, W, C].

  Raises:
    UsageError: if the encoder reads none.
  """
  found = {k: v for k, v in data.items() if len(v.shape) == 5}
  if not matching(config.encoder.cnn_keys, found):
    raise UsageError(no_images(agent))
  return {
      k: v for k, v in found.items()
      if matching(config.encoder.cnn_keys, [k])
      or matching(config.decoder.cnn_keys, [k])}


class Augmentation(Extension):
  """Random changes of the images of a training batch."""

  def batch(self, data):
    """See `Extension.batch` and `augmentations.changed`."""
    rad, clean = self.config.rad, images(data, self.config, 'rad')
    data = {**data, **augmentations.changed(clean, rad, rad.per)}
    if rad.reconstruct == 'clean':
      data |= {TARGET + k: v for k, v in clean.items()}
    return data
