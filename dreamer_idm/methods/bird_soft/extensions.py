"""BIRD's weights and bonus, and Soft-BIRD's entropy inside the returns.

Unlike in Soft-BIRD, the gradient of the entropies goes through the imagined
states as well, into the actions that led to them.
"""

from ..bird import extensions as bird
from ..soft_bird.extensions import EntropyReward


def extensions(config):
  """Builds the parts of both methods, those that are switched on."""
  parts = bird.extensions(config)
  if config.soft_bird.entropy_reward:
    parts.append(EntropyReward(config, through_states=True))
  return parts
