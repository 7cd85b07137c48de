"""Contrastive Dreamer: states learned by distinguishing observations."""

from ...agent.declaration import at_least
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Preset

METHOD = Method(
    keys={
        'scale': Key(1.0, 'weight of the InfoNCE loss, 0: none', at_least(0)),
        'head': Key(
            {'layers': 2, 'units': 400, 'act': 'elu', 'norm': 'none'},
            'The network that predicts the state from the embedding.')},
    presets={'contrastive': Preset(
        'Dreamer that learns states by contrast instead of reconstruction.',
        {'decoder.cnn_keys': '$^', 'decoder.mlp_keys': '$^',
         'grad_heads': ['reward']}, 13)},
    sizes={
        'cpu': {'head.units': 128}, 'cpu_proprio': {'head.units': 64},
        'debug': {'head.units': 16}},
    adds=True)
