"""PlaNet: actions are planned in latent space (Hafner et al., 2019)."""

from ...agent.declaration import at_least
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Preset


def conflicts(config):
  """See `Method.conflicts`."""
  planet = config.planet
  if config.actor.dist == 'onehot':
    yield '--agent planet plans continuous actions, but these are discrete'
  if planet.elites > planet.candidates:
    yield (
        f'--planet.elites {planet.elites} must not be more than '
        f'planet.candidates, {planet.candidates}')


METHOD = Method(
    keys={
        'horizon': Key(12, 'steps of a plan', at_least(1)),
        'candidates': Key(1000, 'plans per iteration', at_least(1)),
        'iterations': Key(10, 'of the cross-entropy method', at_least(1)),
        'elites': Key(
            100, 'best plans, around which the next ones are drawn',
            at_least(1))},
    presets={'planet': Preset(
        'PlaNet: no actor and no critic, actions are planned in latent space.',
        {'expl_noise': 0.3, 'eval_noise': 0.0}, 11)},
    sizes={'debug': {
        'candidates': 50, 'iterations': 3, 'elites': 5, 'horizon': 5}},
    conflicts=conflicts)
