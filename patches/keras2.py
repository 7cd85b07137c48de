"""dreamerv2 is written against Keras 2.

Broken: `tf.keras` is Keras 3, without `AbstractRNNCell`, the optimizers'
`experimental_aggregate_gradients` and more that upstream uses.
Since: TensorFlow 2.16.
Mends: `TF_USE_LEGACY_KERAS=1` makes `tf.keras` the tf-keras package. It is
read once, so it must be set before `tf.keras` is first touched.
Can go: when upstream is ported to Keras 3.
"""

import os
import sys


def apply():
  """Asks TensorFlow for Keras 2.

  Raises:
    ImportError: if Keras 3 is already in use as `tf.keras`.
  """
  if 'tensorflow' in sys.modules:
    version = sys.modules['tensorflow'].keras.__name__
    modules = sys.modules['tensorflow.keras'].__path__
    if 'tf_keras' not in str(list(modules)) and 'tf_keras' not in version:
      raise ImportError(
          'dreamer_idm needs Keras 2, but TensorFlow was already imported '
          'with Keras 3: import dreamer_idm before tensorflow, or set '
          'TF_USE_LEGACY_KERAS=1 in the environment.')
  os.environ['TF_USE_LEGACY_KERAS'] = '1'
