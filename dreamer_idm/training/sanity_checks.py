"""Whether a training can continue from its state."""

import numpy as np
import tensorflow as tf

from .. import upstream

# Entries of a checkpoint's plain state that a training cannot do without.
ENTRIES = {
    'step': int, 'updates': int, 'to_pretrain': int, 'episodes': list,
    'loaded': list, 'random': list}


def problem(state):
  """Says what is wrong with a checkpoint's plain state; '' if nothing is."""
  for key, kind in ENTRIES.items():
    if not isinstance(state.get(key), kind):
      return f'it has no {key}'
  for random in state['random']:
    try:
      name, keys, *rest = random
      np.random.RandomState().set_state((name, keys, *rest))
    except (TypeError, ValueError):
      return 'it has no random states'
  return '' if len(state['random']) == 2 else 'it has no random states'


def not_finite(agent):
  """Looks for numbers that no training recovers from.

  Args:
    agent: upstream's Agent or a subclass.

  Returns:
    str, the name of a parameter or optimizer moment that has NaN or inf;
    empty if there is none.
  """
  optimizers = [
      x for x in agent.submodules if isinstance(x, upstream.common.Optimizer)]
  for variable in [
      *agent.variables, *(y for x in optimizers for y in x.variables)]:
    if variable.dtype.is_floating and not tf.reduce_all(
        tf.math.is_finite(variable)):
      return variable.name
  return ''
