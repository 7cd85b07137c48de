"""Seeds of their own for the random operations in a loop of the graph.

TensorFlow seeds a random operation by the global seed and by how many came
before it in its graph. The body of a `tf.while_loop` or `tf.scan` is a graph
of its own, where the count begins again: its first operation would draw the
same numbers as the first one of the graph around it.
"""

import functools

import numpy as np
import tensorflow as tf


def own_seeds(body):
  """Gives the random operations of a loop's body other seeds than the graph's.

  The seed is made of the graph's and of the loop's place in it, like that of
  any other random operation, so that the next loop has yet another one. Without
  a global seed, or outside of a graph, nothing changes.

  Args:
    body: function, what `tf.while_loop` or `tf.scan` is to repeat.

  Returns:
    function that does the same.
  """
  if tf.executing_eagerly():
    return body
  seeds = tf.compat.v1.get_seed(None)
  if seeds[0] is None:
    return body
  own = int(np.random.SeedSequence(seeds).generate_state(1)[0]) % 2 ** 31

  @functools.wraps(body)
  def seeded(*args):
    tf.compat.v1.set_random_seed(own)  # Of the body's graph alone.
    return body(*args)

  return seeded
