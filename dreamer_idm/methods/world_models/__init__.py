"""World Models: a linear controller, found by evolution (Ha et al., 2018)."""

from ...agent.declaration import above
from ...agent.declaration import at_least
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Panel
from ...agent.declaration import Preset

METHOD = Method(
    keys={
        'candidates': Key(
            64, 'controllers of a generation, one generation in an update',
            at_least(4)),
        'starts': Key(
            32, 'states of a batch that each of them is tried from, drawn at '
            'random', at_least(1)),
        'horizon': Key(25, 'imagined steps of a trial', at_least(1)),
        'sample': Key(
            False, 'draw the latents of a trial, as in imagination, in place '
            'of their means'),
        'decay': Key(
            0.1, 'of the weights: times the mean of their squares it is '
            'taken off a score', at_least(0)),
        'sigma': Key(
            0.1, 'std of the weights of the first generation', above(0)),
        'least_sigma': Key(
            0.01, 'the step size of CMA-ES does not fall below it, because '
            'the world model goes on changing', at_least(0))},
    presets={'world_models': Preset(
        'World Models: a linear controller on the latent state, by CMA-ES in '
        'imagination.', {'expl_noise': 0.3, 'eval_noise': 0.0}, 11.5)},
    sizes={'debug': {'candidates': 8, 'starts': 4, 'horizon': 5}},
    panels=(Panel(
        'World Models: imagined return', None, None, [
            ('world_models_mean', 'mean of a generation', '-'),
            ('world_models_best', 'best', ':')]),))
