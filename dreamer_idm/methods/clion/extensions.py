"""CLION: what IDM grew from (ICLR 2021 submission), as a difference to it.

Shapes: B batch, L chunk length, D deterministic size, E embedding size.

  constraint   h' = h + sigma_h * eps, s stays
               loss += cst_scale * mean over B, L of 0.5 ||o' - o||_2
               the norm, not its square, and no margin
  invariance   loss += rotation_scale * mean ||encoder(rot(x)) - encoder(x)||_2
               rot by U(-rotation_degrees, rotation_degrees), for each frame
  starts       h + noise, s drawn again from its posterior: stoch_mode resample
  evaluator    linear in its probabilities: eva_loss linear

The last two are settings of the preset. The images that are rotated are those
of a training batch: environments, policy and evaluation never see them. An
agent without images has no invariance to learn, and goes without that term.
"""

import functools

import tensorflow as tf

from ...agent.extension import Extension
from ...idm import decoding_constraint
from ...idm import extensions as idm
from ..rad import augmentations

# Black corners: -0.5 after upstream's preprocessing.
rotate = functools.partial(augmentations.rotate, black=-0.5)


def extensions(config):
  """Builds CLION's parts, those that are switched on."""
  parts = idm.extensions(config, NormConstraint)
  if config.clion.rotation_scale and config.clion.rotation_degrees:
    parts.append(RotationInvariance(config))
  return parts


def norm(square):
  """The root of a sum of squares, with a gradient of 0 where it is 0."""
  positive = square > 0
  # The inner `where` keeps infinity out of the gradient: 0 * inf is not 0.
  return tf.where(
      positive, tf.sqrt(tf.where(positive, square, 1.0)), 0.0)


class NormConstraint(decoding_constraint.DecodingConstraint):
  """The decoding constraint on h alone, by the distance between decodings."""

  def perturbed(self, post):
    """Puts noise on h alone, see `DecodingConstraint.perturbed`."""
    deter = decoding_constraint.noisy(post['deter'], self.config.idm.sigma_h)
    return {**post, 'deter': deter}

  def penalty(self, clean, noisy):
    """Mean over B and L of 0.5 ||o' - o||_2, over all that is decoded."""
    kl = decoding_constraint.decoding_kl(clean, noisy)
    tf.debugging.assert_shapes([(kl, ('B', 'L'))])
    # The KL is half the summed square. Logged to be compared with IDM's.
    return 0.5 * tf.reduce_mean(norm(2 * kl)), {'idm_kl': tf.reduce_mean(kl)}


class RotationInvariance(Extension):
  """The embeddings of an image and of its rotations as a loss."""

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`; the gradient runs through both embeddings."""
    keys = model.encoder.cnn_keys
    if not keys:
      return None, {}
    clion, embed = self.config.clion, tf.cast(outs['embed'], tf.float32)
    batch, length = embed.shape[:2]
    # All images of one frame are turned alike, as by one camera.
    degrees = tf.random.uniform(
        [batch * length], -clion.rotation_degrees, clion.rotation_degrees)
    data = {**model.preprocess(data)}
    for key in keys:
      flat = tf.reshape(data[key], [batch * length, *data[key].shape[2:]])
      data[key] = tf.reshape(rotate(flat, degrees), data[key].shape)
    turned = tf.cast(model.encoder(data), tf.float32)
    distance = norm(tf.reduce_sum(tf.square(turned - embed), -1))
    tf.debugging.assert_shapes([(distance, ('B', 'L'))])
    loss = tf.reduce_mean(distance)
    return clion.rotation_scale * loss, {'clion_rotation_loss': loss}
