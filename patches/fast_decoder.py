"""Transposed convolutions, written as what they are to the machine.

Slow: on a CPU, oneDNN takes 0.75 s forward and backward for the decoder's
first transposed convolution (800 images, from 1x1 to 5x5), which is a matrix
product: 0.11 s. For the last one, of three channels, it computes sixteen.
Does: from 1x1, one matrix product; for at most four channels and an even
kernel, one convolution of stride 1 whose channels are the four pixels of each
2x2 block. The layers, and so the variables, stay upstream's.
Equal: up to the order of the sums.
"""

from . import fast

FEW = 4  # Output channels that make a transposed convolution wasteful.


def apply(common):
  """Gives upstream's decoder the faster layers."""
  import tensorflow as tf

  def get(published, self, name, ctor, *args, **kwargs):
    layer = published(self, name, ctor, *args, **kwargs)
    if ctor is not tf.keras.layers.Conv2DTranspose or not layer.built:
      return layer
    return lambda x: convolve(layer, x)

  common.Decoder.get = common.Decoder.get  # Its own, not Module's.
  fast.replace(common.Decoder, 'get', get)


def convolve(layer, x):
  """Runs upstream's transposed convolution, faster where that is possible.

  Args:
    layer: built Conv2DTranspose, square kernel k, stride 2, `valid`.
    x: float [N, n, n, C].

  Returns:
    float [N, m, m, F], m = 2 (n - 1) + k.
  """
  import tensorflow as tf
  size, channels = layer.kernel.shape[0], layer.kernel.shape[2]
  if x.shape[1:3] != (1, 1) and (size % 2 or channels > FEW):
    return layer(x)
  x = tf.cast(x, layer.compute_dtype)
  kernel = tf.cast(layer.kernel, layer.compute_dtype)  # [k, k, F, C]
  if x.shape[1:3] == (1, 1):
    y = from_one_pixel(x, kernel)
  else:
    y = by_blocks(x, kernel)
  return tf.nn.bias_add(y, tf.cast(layer.bias, layer.compute_dtype))


def from_one_pixel(x, kernel):
  """Of a single pixel [N, 1, 1, C]: each gives a whole kernel [N, k, k, F]."""
  import tensorflow as tf
  size, _, channels, depth = kernel.shape
  matrix = tf.reshape(tf.transpose(kernel, [3, 0, 1, 2]), [depth, -1])
  y = tf.matmul(tf.reshape(x, [-1, depth]), matrix)
  return tf.reshape(y, [-1, size, size, channels])


def by_blocks(x, kernel):
  """Of stride 2, k even, as a convolution to 2x2 blocks; as `convolve`.

  Output pixel 2 i + p sums x[i - a] kernel[2 a + p] over a: for each p in
  {0, 1} a convolution of stride 1 with the kernel's elements of one parity.
  """
  import tensorflow as tf
  size, _, channels, depth = kernel.shape
  half = size // 2
  # [a, p, b, q, F, C] -> [a, b, C, (p, q, F)], then a and b turned round.
  blocks = tf.reshape(kernel, [half, 2, half, 2, channels, depth])
  blocks = tf.reverse(tf.transpose(blocks, [0, 2, 5, 1, 3, 4]), [0, 1])
  blocks = tf.reshape(blocks, [half, half, depth, 4 * channels])
  edge = [half - 1, half - 1]
  x = tf.pad(x, [[0, 0], edge, edge, [0, 0]])
  return tf.nn.depth_to_space(tf.nn.conv2d(x, blocks, 1, 'VALID'), 2)
