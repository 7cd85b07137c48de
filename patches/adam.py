"""`tf.optimizers.Adam` is no longer the optimizer upstream was written for.

Broken: nothing crashes with tf-keras, but the rewritten optimizers update each
variable by a dozen small operations where the old ones use a fused one, so
that the graph is several times as large and the step takes longer.
Since: TensorFlow 2.11.
Repairs: inside upstream's `tfutils` alone, `tf.optimizers` are the legacy ones;
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
  """Gives `common.tfutils` the legacy optimizers."""
  if not isinstance(common.tfutils.tf, _TensorFlow):
    common.tfutils.tf = _TensorFlow(common.tfutils.tf)
