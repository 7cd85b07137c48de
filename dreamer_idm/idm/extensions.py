"""IDM: Imagination with Derived Memory (Mu et al., NeurIPS 2021)."""

from . import decodes
from . import decoding_constraint
from . import derived_memory
from . import reliability_weights
from . import trajectory_evaluator


def extensions(config, constraint=decoding_constraint.DecodingConstraint):
  """Builds IDM's parts, those that are switched on.

  Args:
    config: upstream's Config with our `idm` section: `cst_scale`, `copies`
      and `evaluator` switch the parts.
    constraint: class of the decoding constraint, built from the config.

  Returns:
    list of Extension.
  """
  idm, parts = config.idm, []
  if idm.cst_scale and decodes(config):
    parts.append(constraint(config))
  if idm.copies:
    parts.append(derived_memory.DerivedMemory(config))
  if idm.evaluator:
    evaluator = trajectory_evaluator.TrajectoryEvaluator(config)
    parts += [
        evaluator,
        reliability_weights.ReliabilityWeights(config, evaluator)]
  return parts
