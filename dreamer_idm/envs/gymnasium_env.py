"""Gymnasium's environments in the older interface that upstream wraps.

`--task gym_<id>` takes any registered id with continuous actions. An
environment of one's own is registered by its module, which the id may name:
`--task gym_mymodule:MyEnv-v0`.
"""

import gymnasium
import numpy as np

from ..errors import UsageError
from ..upstream import envs as upstream_envs


class OldInterface:
  """Four values from `step`, one from `reset`, seeds and action repeat."""

  def __init__(self, env, action_repeat, seed):
    """Wraps an environment.

    Args:
      env: gymnasium.Env.
      action_repeat: int >= 1, steps per action; their rewards are added.
      seed: int, for the first reset; later ones go on from there.
    """
    self._env = env
    self._repeat = action_repeat
    self._seed = seed

  def __getattr__(self, name):
    if name.startswith('_'):
      raise AttributeError(name)
    return getattr(self._env, name)

  def reset(self):
    """Begins an episode.

    Returns:
      the observation alone.
    """
    obs, _ = self._env.reset(seed=self._seed)
    self._seed = None
    return _plain(obs)

  def step(self, action):
    """Repeats an action until it is enough or the episode ends.

    Args:
      action: float array.

    Returns:
      observation, float reward, bool whether the episode is over, and a dict
      with `is_terminal`, which is False where only the time was up.
    """
    total = 0.0
    for _ in range(self._repeat):
      obs, reward, terminated, truncated, info = self._env.step(action)
      total += float(reward)
      if terminated or truncated:
        break
    return (
        _plain(obs), total, terminated or truncated,
        {**info, 'is_terminal': terminated})


def _plain(obs):
  # A dict of its own, since upstream adds keys to it.
  return dict(obs) if isinstance(obs, dict) else obs


def check(name):
  """Checks that an environment is registered, importing its module.

  Args:
    name: str, Gymnasium's id, `[module:]Name-v0`.

  Raises:
    UsageError: if it is not, or its module cannot be imported.
  """
  _told(name, lambda: gymnasium.make(name, disable_env_checker=True).close())


def make(name, action_repeat, render_size, seed, images):
  """Builds an environment in upstream's interface.

  Args:
    name: str, Gymnasium's id.
    action_repeat: int >= 1.
    render_size: pair of ints, height and width that images are brought to.
    seed: int.
    images: bool, whether frames are rendered where the observations have
      none.

  Returns:
    upstream's wrapped environment. A single image is called `image`, a single
    vector `vector`; dicts keep their keys. Rendered frames are `image`.

  Raises:
    UsageError: if it does not exist, or upstream cannot handle its actions or
      observations.
  """
  env = _told(name, lambda: gymnasium.make(name, disable_env_checker=True))
  spaces = getattr(env.observation_space, 'spaces', None) or {
      'only': env.observation_space}
  if images and not any(map(_is_image, spaces.values())):
    env.close()
    env = _told(name, lambda: gymnasium.wrappers.AddRenderObservation(
        gymnasium.make(
            name, disable_env_checker=True, render_mode='rgb_array'),
        render_only=False, render_key='image', obs_key='vector'))
    # The wrapper has rendered already; some environments need a reset first.
    spaces = env.observation_space.spaces
  if not isinstance(env.action_space, gymnasium.spaces.Box) or (
      len(env.action_space.shape) != 1):
    raise UsageError(
        f'gym_{name} has actions {env.action_space}, but a flat Box of '
        'continuous actions is needed')
  for key, space in spaces.items():
    if not isinstance(space, gymnasium.spaces.Box) or not (
        _is_image(space) or len(space.shape) <= 1):
      raise UsageError(
          f'gym_{name} has an observation {key!r} that is {space}: expected '
          'uint8 images [H, W, C] or vectors')
  key = 'image' if _is_image(env.observation_space) else 'vector'
  env.action_space.seed(seed)
  env = upstream_envs.GymWrapper(
      OldInterface(env, action_repeat, seed), obs_key=key)
  env = upstream_envs.NormalizeAction(env)
  if any(map(_is_image, spaces.values())):
    env = upstream_envs.ResizeImage(env, tuple(render_size))
  return env


def _told(name, function):
  try:
    return function()
  except UsageError:
    raise
  except Exception as error:
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise UsageError(
        f'gym_{name} cannot be made: {reason} (a registered id is expected, '
        'or module:id for an environment of your own)') from error


def _is_image(space):
  return getattr(space, 'dtype', None) == np.uint8 and len(space.shape) == 3
