"""Perturbed observations for any Gymnasium environment.

  import gymnasium
  from dreamer_idm import perturbations

  env = gymnasium.make('CarRacing-v3')
  env = perturbations.Perturb(env, 'rotation', strength=5)

`KINDS` are those of `dreamer-idm evaluate --perturb` that change observations;
those that change the scene of dm_control are not among them. Neither TensorFlow
nor dm_control is needed.
"""

import gymnasium
import numpy as np

from .envs import images
from .envs import observations
from .envs import perturbations as perturbations_lib
from .errors import UsageError

__all__ = ['KINDS', 'Perturb']
KINDS = {
    k: v for k, v in perturbations_lib.KINDS.items() if v.of != 'scene'}


class Perturb(
    gymnasium.Wrapper, gymnasium.utils.RecordConstructorArgs):
  """Perturbs all observations, the first of an episode as well.

  Images may be uint8, or of other numbers with bounds of 0 and 1 or 0 and 255
  (these are rounded to 256 levels, as for the agent); [H, W], [H, W, C] or
  [C, H, W]; alone or anywhere in a Dict or Tuple. Vectors are of floats, and
  are cut at the bounds of their space. All images are changed alike; rewards,
  ends, infos and spaces stay as they are.

  Example:
    >>> env = gymnasium.make('Pendulum-v1')
    >>> env = Perturb(env, 'dead_sensor', strength=0.3)
    >>> observation, info = env.reset(seed=1)
    >>> observation  # Of cosine, sine and speed one reads 0 in this episode.
    array([0.        , 0.07420918, 0.90092736], dtype=float32)
  """

  def __init__(self, env, kind, strength=None, per=None, fill='zero'):
    """Wraps an environment.

    Args:
      env: gymnasium.Env.
      kind: str, a key of `KINDS`.
      strength: float, in the kind's unit, 0 for none; or `easy`, `medium`,
        `hard`; None: its default.
      per: str, whether to draw for each `frame` or for each `episode`, or
        `walk` at random from frame to frame; None: the kind's default.
      fill: str, what comes in at the edges of images: `zero`, which is black,
        or the `nearest` pixel.

    Raises:
      UsageError: if one of these is not valid, or the kind changes nothing in
        such observations.
    """
    gymnasium.utils.RecordConstructorArgs.__init__(
        self, kind=kind, strength=strength, per=per, fill=fill)
    gymnasium.Wrapper.__init__(self, env)
    self._perturb = perturbations_lib.Perturbation(
        kind, strength, per, fill, None)
    self._leaves = [*observations.leaves(env.observation_space)]
    self._readers = {
        x.name: images.reader(x.space, None) for x in self._leaves
        if images.is_image(x.space)}
    possible = perturbations_lib.kinds_for({
        x.name: self._readers[x.name].space if x.name in self._readers
        else x.space for x in self._leaves})
    if kind not in possible:
      raise UsageError(
          f'{kind} changes nothing in observations of '
          f'{env.observation_space}: '
          + (f'choose from {", ".join(possible)}' if possible else
             'there are neither images nor vectors of floats'))

  def reset(self, *, seed=None, options=None):
    """Begins an episode.

    Args:
      seed: int, for the environment and for the perturbations; None: both
        continue.
      options: dict or None, for the environment.

    Returns:
      the observation, perturbed, and the info.
    """
    observation, info = self.env.reset(seed=seed, options=options)
    if seed is None:
      self._perturb.begin()
    else:
      self._perturb.seed([seed, 1])
    return self._perturbed(observation), info

  def step(self, action):
    """Takes an action; returns what the environment does, perturbed."""
    observation, *others = self.env.step(action)
    return (self._perturbed(observation), *others)

  def _perturbed(self, observation):
    inner = {}
    for name, path, space in self._leaves:
      value = observation
      for key in path:
        value = value[key]
      if name in self._readers:
        value = np.clip(value, space.low, space.high)
        if space.high.max() > 1:
          value = np.rint(value).astype(space.dtype)
        value = self._readers[name].convert(value)
      inner[name] = value
    found = self._perturb(inner)
    for name, path, space in self._leaves:
      if found[name] is inner[name]:
        continue
      if name in self._readers:
        value = images.restored(found[name], space)
      else:
        value = np.clip(found[name], space.low, space.high)
      observation = _replaced(observation, path, value)
    return observation


def _replaced(observation, path, value):
  """A copy of nested dicts and tuples with another value at a path of keys."""
  if not path:
    return value
  key, *rest = path
  inner = _replaced(observation[key], rest, value)
  if isinstance(observation, dict):
    return {**observation, key: inner}
  return (*observation[:key], inner, *observation[key + 1:])
