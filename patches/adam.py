"""`tf.optimizers.Adam` no longer behaves as upstream's `Optimizer` expects.

Broken: the rewritten Keras optimizers have a `variables` that is no longer
callable, and no `experimental_aggregate_gradients`.
Since: TensorFlow 2.11.
Mends: inside upstream's `tfutils` alone, `tf.optimizers` are the legacy ones;
the rest of the program sees TensorFlow as it is.
Can go: when upstream's `Optimizer` is ported.
"""

import types


class _TensorFlow(types.ModuleType):
  """TensorFlow with the legacy optimizers as `optimizers`."""

  def __init__(self, tf):
    super().__init__(tf.__name__)
    self._tf = tf
    self.optimizers = tf.keras.optimizers.legacy

  def __getattr__(self, name):
    return getattr(self._tf, name)


def apply(common):
  """Gives `common.tfutils` the legacy optimizers.

  Args:
    common: dreamerv2's imported `common` package.
  """
  if not isinstance(common.tfutils.tf, _TensorFlow):
    common.tfutils.tf = _TensorFlow(common.tfutils.tf)
