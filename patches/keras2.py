"""dreamerv2 is written against Keras 2.

Broken: `tf.keras` is Keras 3, without `AbstractRNNCell`, the optimizers'
`experimental_aggregate_gradients` and more that upstream uses.
Since: TensorFlow 2.16.
Mends: `TF_USE_LEGACY_KERAS=1` makes `tf.keras` the tf-keras package. It is
read when `tf.keras` is first touched, so it must be set before.
Can go: when upstream is ported to Keras 3.
"""

import os
import sys


def apply():
  """Asks TensorFlow for Keras 2.

  Raises:
    ImportError: if Keras 3 is already in use as `tf.keras`.
  """
  os.environ['TF_USE_LEGACY_KERAS'] = '1'
  tf = sys.modules.get('tensorflow')
  if hasattr(tf, 'keras') and not hasattr(tf.keras.layers, 'AbstractRNNCell'):
    raise ImportError(
        'dreamer_idm needs Keras 2, but TensorFlow is already in use with '
        'Keras 3: import dreamer_idm before tensorflow, or set '
        'TF_USE_LEGACY_KERAS=1 in the environment.')
