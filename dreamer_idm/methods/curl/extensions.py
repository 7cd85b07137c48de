"""CURL: embeddings that tell augmented images apart (Laskin et al., 2020).

Shapes: N images of a batch, E size of the embedding. Each is changed at random
twice, see `rad.augmentations`; one embedding has to find the other among those
of all images, by a bilinear similarity:

  z_q = encoder(x')     z_k = sg average(x'')
  loss += scale * mean over i of -ln softmax over j (z_q[i]^T W z_k[j])[i]

The encoder of the keys has the exponential moving average of the encoder's
parameters, average = m average + (1 - m) encoder, and gets no gradient. The
world model itself goes on learning from the images as they are.
"""

import tensorflow as tf

from ... import upstream
from ...agent.extension import Extension
from ...agent.extension import TARGET
from ..contrastive.extensions import contrast
from ..rad import augmentations
from ..rad.extensions import images


def extensions(config):
  """Builds the method's only part, if it is switched on."""
  return [AugmentedContrast(config)] if config.curl.scale else []


def similarity(query, key, weight):
  """The bilinear similarity of all pairs.

  Args:
    query: float32 [N, E], z_q.
    key: float32 [N, E], z_k.
    weight: float32 [E, E], W.

  Returns:
    float32 [N, N]; [i, j] is z_q[i]^T W z_k[j].
  """
  return tf.matmul(tf.matmul(query, weight), key, transpose_b=True)


def averaged(average, values, momentum):
  """Moves an average towards values: sequences of float tensors [...]."""
  return [momentum * x + (1 - momentum) * y for x, y in zip(average, values)]


class _Weight(upstream.common.Module):
  """W, which appears with the first call."""

  def __call__(self, size):
    if not hasattr(self, '_value'):
      self._value = tf.Variable(
          tf.keras.initializers.GlorotUniform()([size, size]), name='bilinear')
    return tf.convert_to_tensor(self._value)


class AugmentedContrast(Extension):
  """InfoNCE between two augmentations as a term of the world model's loss."""

  def __init__(self, config):
    """Creates the weight; all variables appear with the first call.

    Args:
      config: upstream's Config with our `curl` section.
    """
    super().__init__(config)
    self._weight = _Weight()
    self._keys = None
    self._updates = tf.Variable(0, trainable=False, name='updates')
    self.model_modules = (self._weight,)

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`; the gradient runs through the queries.

    Vectors beside the images are zeros here: they would tell them apart.
    """
    curl, encoder = self.config.curl, model.encoder
    data = _some(
        {k: v for k, v in data.items() if not k.startswith(TARGET)},
        curl.images)
    pixels = images(data, self.config, 'curl')
    views = []
    for _ in range(2):
      view = model.preprocess({
          **data, **augmentations.changed(pixels, curl, 'frame')})
      views.append(view | {k: tf.zeros_like(view[k]) for k in encoder.mlp_keys})
    rows = lambda x: tf.reshape(tf.cast(x, tf.float32), [-1, x.shape[-1]])
    query = rows(encoder(views[0]))
    key = tf.stop_gradient(rows(self._average(encoder, views[1])(views[1])))
    loss, accuracy = contrast(
        similarity(query, key, self._weight(query.shape[-1])))
    return curl.scale * loss, {'curl_loss': loss, 'curl_accuracy': accuracy}

  def _average(self, encoder, obs):
    """Moves the encoder of the keys, at first onto the other; returns it."""
    if self._keys is None:
      self._keys = type(encoder)(encoder.shapes, **self.config.encoder)
      self._keys(obs)
    momentum = tf.where(self._updates == 0, 0.0, self.config.curl.momentum)
    for variable, value in zip(self._keys.variables, averaged(
        self._keys.variables, encoder.variables, momentum), strict=True):
      variable.assign(value)
    self._updates.assign_add(1)
    return self._keys


def _some(data, count):
  """Draws N of the B L steps: dict of [B, L, ...] to [N, 1, ...]."""
  batch, length = data['is_first'].shape
  chosen = tf.random.shuffle(tf.range(batch * length))[:count or None]
  return {
      k: tf.gather(tf.reshape(v, [batch * length, *v.shape[2:]]), chosen)[
          :, None] for k, v in data.items()}
