"""Dreamer without a value model: the actor maximises imagined rewards alone."""

from ...agent.declaration import Method
from ...agent.declaration import Preset


def conflicts(config):
  """See `Method.conflicts`."""
  if config.actor_grad in ('reinforce', 'both'):
    yield (
        f'--actor_grad {config.actor_grad} needs a critic, which --agent '
        'no_value does not have: use --actor_grad dynamics')


METHOD = Method(
    presets={'no_value': Preset(
        'Dreamer whose actor maximises the imagined rewards alone, without a '
        'critic.', order=12)},
    conflicts=conflicts)
