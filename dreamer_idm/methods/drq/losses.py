"""The equations of SAC and DrQ, as functions of tensors.

Shapes: B transitions, K and M shifted views, A action size, k frames of a
stack. With alpha the temperature, d = 1 where the task goes on, else 0:

  V(s')  = min(Q1, Q2)(s', a') - alpha log pi(a' | s')    by the slow copy of Q
  y      = r + gamma d mean over K views of V(s')         [B]
  L_Q    = mean over M views and B of (Q1 - y)^2 + (Q2 - y)^2
  L_pi   = mean of alpha log pi(a | s) - min(Q1, Q2)(s, a)
  L_alpha = mean of alpha (- log pi(a | s) + |A|)         with the target -|A|

A view is the whole stack shifted by one draw; a time limit ends an episode but
not the task, so that d stays 1 there.
"""

import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from ..rad import augmentations


def stacks(frames):
  """Makes the stacks before and after a transition out of its frames.

  Args:
    frames: [B, k + 1, H, W, C].

  Returns:
    [B, H, W, k * C] and the same, the oldest frame first.
  """
  batch, _, height, width, channels = frames.shape
  frames = tf.reshape(
      tf.transpose(frames, [0, 2, 3, 1, 4]), [batch, height, width, -1])
  return frames[..., :-channels], frames[..., channels:]


def shift(images, offsets, pad):
  """Crops images that were padded by their edges.

  Args:
    images: [N, H, W, C].
    offsets: int32 [N, 2] from 0 to 2 * pad, where the crop begins; `pad` is
      the image itself.
    pad: int, pixels.

  Returns:
    [N, H, W, C].
  """
  return augmentations.shift(images, offsets - pad)


def views(images, count, pad):
  """Shifts images by random numbers of pixels.

  Args:
    images: [B, H, W, C].
    count: int M, views of each image.
    pad: int, the largest shift.

  Returns:
    [M * B, H, W, C], all images in one view, then in the next.
  """
  images = tf.tile(images, [count, 1, 1, 1])
  offsets = tf.random.uniform(
      [images.shape[0], 2], 0, 2 * pad + 1, tf.int32)
  return shift(images, offsets, pad)


class TanhNormal(tfd.TransformedDistribution):
  """Independent normal numbers through a tanh, see `tanh_normal`."""

  def _mode(self):
    # Not the densest action but the one that SAC is evaluated by.
    return tf.tanh(self.distribution.mode())


def tanh_normal(mean, log_std):
  """Builds the distribution of actions [N, A].

  Args:
    mean: float32 [N, A], before the tanh.
    log_std: float32 [N, A], before the tanh.

  Returns:
    TanhNormal; its `mode()` is the tanh of the mean.
  """
  return TanhNormal(
      tfd.MultivariateNormalDiag(mean, tf.exp(log_std)), tfb.Tanh())


def log_std(raw, low, high):
  """Squashes any number into [low, high] by a tanh; shapes as given."""
  return low + (high - low) * (tf.tanh(raw) + 1) / 2


def soft_value(q, log_prob, alpha):
  """Values states by an action that was drawn in them.

  Args:
    q: float32 [2, N].
    log_prob: float32 [N], of the action.
    alpha: float32 scalar.

  Returns:
    float32 [N].
  """
  return tf.reduce_min(q, 0) - alpha * log_prob


def q_target(reward, discount, value):
  """What Q learns.

  Args:
    reward: float32 [B], of the transition.
    discount: float32 [B], gamma, or 0 where the task has ended.
    value: float32 [K, B], of the next state in each view.

  Returns:
    float32 [B], without gradient.
  """
  return tf.stop_gradient(reward + discount * tf.reduce_mean(value, 0))


def q_loss(q, target):
  """Squared errors.

  Args:
    q: float32 [2, M, B].
    target: float32 [B].

  Returns:
    float32 scalar: their mean over views and batch, summed over both Q.
  """
  return tf.reduce_sum(tf.reduce_mean(tf.square(q - target), [1, 2]))


def actor_loss(q, log_prob, alpha):
  """The policy's loss, a float32 scalar; arguments as for `soft_value`."""
  return -tf.reduce_mean(soft_value(q, log_prob, tf.stop_gradient(alpha)))


def temperature_loss(log_prob, alpha, target_entropy):
  """The temperature's loss.

  Args:
    log_prob: float32 [N], of actions drawn from the policy.
    alpha: float32 scalar.
    target_entropy: float, -|A|.

  Returns:
    float32 scalar, with a gradient for alpha alone.
  """
  return tf.reduce_mean(
      alpha * tf.stop_gradient(-log_prob - target_entropy))


def soft_update(slow, fast, tau):
  """Moves variables: slow + tau * (fast - slow).

  Args:
    slow: sequence of tf.Variable.
    fast: sequence of tf.Variable or tensors of the same shapes.
    tau: float in [0, 1].
  """
  for old, new in zip(slow, fast, strict=True):
    old.assign((1 - tau) * old + tau * new)
