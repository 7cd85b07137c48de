"""BIRD and Soft-BIRD together; ours, not the paper's."""

from ...agent.declaration import Method
from ...agent.declaration import Preset
from .. import soft_bird

METHOD = Method(
    reads=('bird', 'soft_bird'),
    presets={'bird_soft': Preset(
        "BIRD with the policy's entropy inside the returns as well.",
        {'replay.capacity': 5e4, 'actor_ent': 0.0}, 10)},
    conflicts=soft_bird.conflicts)
