"""Imagination from some of a batch's states, for any method.

Dreamer imagines from every state of a batch, which makes long chunks, good for
the world model, expensive for the behaviour. Starting from a random subset of
them, new in every update, gives each a size of its own. What a method does to
the starts, such as derived memory, it does to the subset.

B batch, L chunk length, N starts.
"""

import tensorflow as tf

from .extension import Extension


def extensions(config):
  """Builds the choice of starts if it is switched on."""
  return [SomeStarts(config)] if config.imag_starts else []


def some(start, is_terminal, count):
  """Draws states of a batch, none of them twice.

  Args:
    start: dict of posterior tensors [B, L, ...].
    is_terminal: bool [B, L].
    count: int N > 0.

  Returns:
    dict of tensors [1, N, ...] and bool [1, N], of the same states; what was
    given if there are no more than N.
  """
  is_terminal = tf.convert_to_tensor(is_terminal)
  size = is_terminal.shape.num_elements()
  if size <= count:
    return start, is_terminal
  chosen = tf.random.shuffle(tf.range(size))[:count]

  def choose(value):
    flat = tf.reshape(value, (size, *value.shape[2:]))
    return tf.gather(flat, chosen)[None]

  return {k: choose(v) for k, v in start.items()}, choose(is_terminal)


class SomeStarts(Extension):
  """A random subset of the states to imagine from."""

  def starts(self, start, is_terminal):
    """See `Extension.starts` and `some`; twice the batch has twice as many."""
    count = self.config.imag_starts * self.config.batch_multiplier
    return some(start, is_terminal, count)
