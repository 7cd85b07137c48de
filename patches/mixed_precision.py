"""`tensorflow.keras.mixed_precision.experimental` is gone.

Broken: upstream's `nets.py` imports its precision policy from there.
Since: TensorFlow 2.11 (deprecated since 2.4).
Repairs: a module of that name with the same things under their old names.
Can go: when upstream imports `tensorflow.keras.mixed_precision`.
"""

import sys
import types

NAME = 'tensorflow.keras.mixed_precision.experimental'


def apply():
  """Puts the old module back, on top of the current one."""
  from tensorflow.keras import mixed_precision
  module = types.ModuleType(NAME)
  module.Policy = mixed_precision.Policy
  module.LossScaleOptimizer = mixed_precision.LossScaleOptimizer
  module.global_policy = mixed_precision.global_policy
  module.set_policy = mixed_precision.set_global_policy
  mixed_precision.experimental = module
  sys.modules[NAME] = module
