"""dreamerv2 is written against Keras 2.

Broken: `tf.keras` is Keras 3, without `AbstractRNNCell`, the optimizers'
`experimental_aggregate_gradients` and more that upstream uses.
Since: TensorFlow 2.16.
Repairs: `TF_USE_LEGACY_KERAS=1` makes `tf.keras` the tf-keras package. It is
read when TensorFlow is imported, so it must be set before.
Can go: when upstream is ported to Keras 3.
"""

import importlib.util
import os
import pathlib
import sys


def apply():
  """Asks TensorFlow for Keras 2.

  Raises:
    ImportError: if TensorFlow was imported before, with Keras 3, or tf-keras
      is not installed.
  """
  os.environ['TF_USE_LEGACY_KERAS'] = '1'
  tf = sys.modules.get('tensorflow')
  # `import tensorflow.keras` goes by this path, `tf.keras` by the variable.
  # Without tf-keras there is a None in it.
  if tf is not None and not any(
      'tf_keras' in pathlib.Path(x or '').parts for x in tf.__path__):
    if importlib.util.find_spec('tf_keras') is None:
      raise ImportError(
          'tf_keras is not installed: pip install tf-keras, of the same minor '
          'version as TensorFlow')
    raise ImportError(
        'dreamer_idm needs Keras 2, but TensorFlow was imported before with '
        'Keras 3: import dreamer_idm before tensorflow, or set '
        'TF_USE_LEGACY_KERAS=1 in the environment.')
