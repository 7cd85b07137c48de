"""BIRD: imagined trajectories weighted by their likelihood (NeurIPS 2020)."""

from ...agent.declaration import at_least
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Panel
from ...agent.declaration import Preset

METHOD = Method(
    keys={
        'weights': Key(True, 'weight trajectories by their likelihood'),
        'weight_critic': Key(False, "in the critic's loss as well"),
        'entropy_scale': Key(
            1e-8, "weight of the policy's entropy on replay states",
            at_least(0))},
    presets={'bird': Preset(
        'BIRD: imagined trajectories weighted by their likelihood.',
        {'replay.capacity': 5e4}, 8)},
    panels=(Panel(
        'BIRD: trajectories at a clip of the weight [fraction]', 0, 1.03, [
            ('bird_weight_low', 'at 0', '-'),
            ('bird_weight_high', 'at 2', ':')]),))
