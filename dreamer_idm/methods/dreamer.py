"""Dreamer itself: upstream's own agent, and settings of it as comparisons."""

from ..agent.declaration import Method
from ..agent.declaration import Preset

NOTHING = '$^'

METHOD = Method(presets={
    'dreamer': Preset(
        "Dreamer itself: upstream's own agent.", order=1),
    'doubled': Preset(
        'Dreamer with twice the batch: as many starts as with derived memory, '
        'and twice the data for the world model.',
        {'batch_multiplier': 2}, 5),
    'reward_only': Preset(
        'Dreamer that learns states from rewards alone.',
        {'decoder.cnn_keys': NOTHING, 'decoder.mlp_keys': NOTHING,
         'grad_heads': ['reward']}, 14)})


def extensions(config):
  """Adds nothing."""
  return []
