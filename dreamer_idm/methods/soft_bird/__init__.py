"""Soft-BIRD: the policy's entropy inside the returns (NeurIPS 2020)."""

from ...agent.declaration import at_least
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Preset


def conflicts(config):
  """See `Method.conflicts`."""
  if config.soft_bird.entropy_reward and config.actor_grad == 'reinforce':
    yield (
        '--actor_grad reinforce cuts off the gradient of the entropies in the '
        'returns: use --actor_grad dynamics, or --soft_bird.entropy_reward 0')


METHOD = Method(
    keys={'entropy_reward': Key(
        0.2, "weight of the policy's entropy in the returns, 0: none",
        at_least(0))},
    presets={'soft_bird': Preset(
        "Soft-BIRD: the policy's entropy inside the returns.",
        {'actor_ent': 0.0}, 9)},
    conflicts=conflicts)
