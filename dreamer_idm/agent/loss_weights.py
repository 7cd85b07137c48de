"""Where weights of imagined steps enter upstream's two losses.

Shapes: H horizon, N imagined trajectories. Weights w [H, N] belong to the
targets; upstream's losses pair seq['weight'], its discount product, with
different steps:

  States:      z0     z1     z2     z3
  Targets:     t0     t1     t2
  Weights:     w0     w1     w2
  Critic:      w0*l0  w1*l1  w2*l2
  Actor:              w1*t1  w2*t2          upstream pairs weight[t-1] with t_t

So w is never multiplied into seq['weight'] once for both losses: each loss gets
a copy of the sequence with its own product.
"""

import tensorflow as tf


def critic_weights(discount_weight, reliability):
  """Weights in the places where upstream's critic loss reads them.

  Args:
    discount_weight: float [H + 1, N], upstream's seq['weight'].
    reliability: float32 [H, N], w.

  Returns:
    float [H + 1, N]; [t] is weight[t] * w[t] for t = 0..H-1.
  """
  reliability = tf.cast(reliability, discount_weight.dtype)
  return tf.concat(
      [discount_weight[:-1] * reliability, discount_weight[-1:]], 0)


def actor_weights(discount_weight, reliability):
  """Weights in the places where upstream's actor loss reads them.

  Args:
    discount_weight: float [H + 1, N], upstream's seq['weight'].
    reliability: float32 [H, N], w.

  Returns:
    float [H + 1, N]; [t - 1] is weight[t - 1] * w[t] for t = 1..H-1.

  Example:
    >>> ones, w = tf.ones([4, 1]), tf.constant([[5.0], [6.0], [7.0]])
    >>> actor_weights(ones, w).numpy().ravel().tolist()
    [6.0, 7.0, 1.0, 1.0]
    >>> critic_weights(ones, w).numpy().ravel().tolist()
    [5.0, 6.0, 7.0, 1.0]
  """
  reliability = tf.cast(reliability, discount_weight.dtype)
  return tf.concat(
      [discount_weight[:-2] * reliability[1:], discount_weight[-2:]], 0)
