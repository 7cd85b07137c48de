"""The networks of DrQ: convolutions, encoder, twin Q and policy.

Shapes: N states, H x W images, k frames of C channels, E features of the
convolutions, A action size. As in the paper weights are orthogonal and biases
zero.
"""

import tensorflow as tf

from ... import upstream
from . import KERNEL
from . import losses
from . import STRIDES

layers = tf.keras.layers
orthogonal = tf.keras.initializers.Orthogonal


def convolutions(settings, shape):
  """Builds the convolutions.

  Args:
    settings: the section `drq` of upstream's Config.
    shape: (H, W, k * C).

  Returns:
    keras model of images [N, H, W, k * C] from 0 to 255 to float32 [N, E].
  """
  return tf.keras.Sequential([
      layers.InputLayer(shape),
      layers.Rescaling(1 / 255),
      *(layers.Conv2D(
          settings.filters, KERNEL, stride, activation='relu',
          kernel_initializer=orthogonal(2 ** 0.5)) for stride in STRIDES),
      layers.Flatten()])


def _projection(settings, size):
  # From [N, E] to [N, features] in [-1, 1].
  return tf.keras.Sequential([
      layers.InputLayer((size,)),
      _dense(settings.features),
      layers.LayerNormalization(epsilon=1e-5),
      layers.Activation('tanh')])


def _mlp(settings, size, outputs):
  return tf.keras.Sequential([
      layers.InputLayer((size,)),
      *(_dense(settings.units, 'relu') for _ in range(settings.layers)),
      _dense(outputs)])


def _dense(units, act=None):
  return layers.Dense(units, act, kernel_initializer=orthogonal())


class Critic(upstream.common.Module):
  """The encoder, which is convolutions and a projection, and two networks Q."""

  def __init__(self, settings, shape, actions):
    """Creates the variables.

    Args:
      settings: the section `drq` of upstream's Config.
      shape: (H, W, k * C).
      actions: int A.
    """
    self.convolutions = convolutions(settings, shape)
    self._projection = _projection(
        settings, self.convolutions.output_shape[-1])
    self._q = [
        _mlp(settings, settings.features + actions, 1) for _ in range(2)]

  def __call__(self, convolved, action):
    """From convolved images [N, E] and action [N, A] to float32 [2, N]."""
    inputs = tf.concat([self._projection(convolved), action], -1)
    return tf.stack([q(inputs)[:, 0] for q in self._q])


class Actor(upstream.common.Module):
  """The policy; the convolutions before it are the critic's."""

  def __init__(self, settings, size, actions):
    """Creates the variables.

    Args:
      settings: the section `drq` of upstream's Config.
      size: int E.
      actions: int A.
    """
    self._settings = settings
    self._projection = _projection(settings, size)
    self._mlp = _mlp(settings, settings.features, 2 * actions)

  def __call__(self, convolved):
    """From convolved images [N, E] to the distribution of actions [N, A].

    No gradient reaches the convolutions.
    """
    encoded = self._projection(tf.stop_gradient(convolved))
    mean, raw = tf.split(self._mlp(encoded), 2, -1)
    return losses.tanh_normal(mean, losses.log_std(
        raw, self._settings.log_std_min, self._settings.log_std_max))
