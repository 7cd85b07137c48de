"""Random changes of images, for training on them; for `rad` and `curl`.

Shapes: N images, H height, W width, C channels; B batch, L chunk length. Each
is a function of images and of what was drawn for them:

  shift     x'[i, j] = x[clip(i + dy), clip(j + dx)]      edges are repeated,
            as if padded by the edge and cropped again at random
  rotate    about the centre, bilinear; corners black, or the nearest pixel
  jitter    x' = c (g x - mean(g x)) + mean(g x) + b       g for each channel
  noise     x' = x + sigma eps

The last two see values from 0 to 1, and what leaves this range is cut off.
"""

import math

import tensorflow as tf


def shift(images, offset):
  """Moves the section that is seen, repeating the pixels of the edge.

  Args:
    images: tensor [N, H, W, C] of any dtype.
    offset: int32 [N, 2], rows and columns; positive ones move what is seen
      down and right, and so the content up and left.

  Returns:
    tensor [N, H, W, C] of the same dtype.

  Example:
    >>> shift(tf.reshape(tf.range(3), [1, 1, 3, 1]), [[0, 1]]).numpy().ravel()
    array([1, 2, 2], dtype=int32)
  """
  offset = tf.convert_to_tensor(offset)
  for axis in (1, 2):
    size = images.shape[axis]
    index = tf.range(size) + offset[:, axis - 1, None]
    images = tf.gather(
        images, tf.clip_by_value(index, 0, size - 1), axis=axis, batch_dims=1)
  return images


def rotate(images, degrees, fill='zero', black=0.0):
  """Rotates images about their centres, with bilinear interpolation.

  Args:
    images: float [N, H, W, C].
    degrees: float32 [N], counter-clockwise as the image is looked at.
    fill: str, what comes in at the corners: `zero`, or the `nearest` pixel.
    black: float, the value of `zero`.

  Returns:
    float32 [N, H, W, C].
  """
  height, width = images.shape[1:3]
  x, y = (width - 1) / 2, (height - 1) / 2
  angle = degrees * (math.pi / 180)
  cos, sin = tf.cos(angle), tf.sin(angle)
  zero = tf.zeros_like(angle)
  # Where the pixel (x, y) of the result comes from; y points down.
  source = tf.stack([
      cos, -sin, x - cos * x + sin * y,
      sin, cos, y - sin * x - cos * y, zero, zero], -1)
  return tf.raw_ops.ImageProjectiveTransformV3(
      images=tf.cast(images, tf.float32), transforms=source,
      output_shape=[height, width], fill_value=black,
      interpolation='BILINEAR',
      fill_mode={'zero': 'CONSTANT', 'nearest': 'NEAREST'}[fill])


def jitter(images, gain, contrast, brightness):
  """Changes colours, contrast and brightness.

  Args:
    images: float32 [N, H, W, C].
    gain: float32 [N, C], factor of each channel, g.
    contrast: float32 [N], factor of the distance from the image's mean, c.
    brightness: float32 [N], what is added, b.

  Returns:
    float32 [N, H, W, C], not cut off.
  """
  images *= gain[:, None, None]
  mean = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
  each = lambda x: x[:, None, None, None]
  return each(contrast) * (images - mean) + mean + each(brightness)


def changed(images, settings, per):
  """Draws changes and applies them; all images of a frame move alike.

  Args:
    images: dict of tensors [B, L, H, W, C]: uint8, or float from 0 to 1.
    settings: has `shift`, int pixels; `rotation`, degrees; `jitter` and
      `noise`, fractions of the range; each the largest change (of noise the
      standard deviation), 0: none; and `fill`, see `rotate`.
    per: str, `sequence` or `frame`: how often they are drawn.

  Returns:
    dict of tensors of the same shapes and dtypes.
  """
  batch, length = next(iter(images.values())).shape[:2]
  count = batch * length

  def draw(low, high, *shape, dtype=tf.float32, random=tf.random.uniform):
    steps = 1 if per == 'sequence' else length
    value = random([batch, steps, *shape], low, high, dtype)
    return tf.reshape(
        tf.broadcast_to(value, [batch, length, *shape]), [count, *shape])

  most = settings.shift
  offset = most and draw(-most, most + 1, 2, dtype=tf.int32)
  degrees = settings.rotation and draw(
      -settings.rotation, settings.rotation)

  def change(value):
    x = tf.reshape(value, [count, *value.shape[2:]])
    if settings.shift:
      x = shift(x, offset)
    if not (settings.rotation or settings.jitter or settings.noise):
      return tf.reshape(x, value.shape)
    white = 255.0 if value.dtype == tf.uint8 else 1.0
    x = tf.cast(x, tf.float32) / white
    if settings.rotation:
      x = rotate(x, degrees, settings.fill)
    if settings.jitter:
      factor = lambda *shape: draw(
          1 - settings.jitter, 1 + settings.jitter, *shape)
      x = jitter(x, factor(x.shape[-1]), factor(), factor() - 1)
    if settings.noise:
      x += draw(
          0.0, settings.noise, *x.shape[1:], random=tf.random.normal)
    x = white * tf.clip_by_value(x, 0.0, 1.0)
    x = tf.round(x) if value.dtype == tf.uint8 else x
    return tf.reshape(tf.cast(x, value.dtype), value.shape)

  return {k: change(v) for k, v in images.items()}
