"""tensorflow-probability warns about upstream's distributions.

Broken: upstream's `TruncNormalDist` and `OneHotDist` redefine `__init__` and
inherit the description of its parameters, for which every instance logs a
warning of thirty lines. Only slicing and copying a distribution use the
description, which upstream never does.
Since: tensorflow-probability 0.12.
Repairs: the classes have the description as their own, which ends the warning.
Can go: when upstream's classes define `_parameter_properties`.
"""


def apply(common):
  """Gives upstream's classes the description that they would inherit."""
  for cls in (common.dists.TruncNormalDist, common.dists.OneHotDist):
    cls._parameter_properties = classmethod(
        cls.__base__._parameter_properties.__func__)
