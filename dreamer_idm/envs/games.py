"""Atari and Crafter, by upstream's wrappers and under upstream's names.

`atari_<game>` needs the extra `atari`, `crafter_reward` and `crafter_noreward`
the extra `crafter`.
"""

import difflib
import importlib.util

import gymnasium

from ..config import load as config_lib
from ..errors import UsageError
from ..patches import gym_atari
from ..patches import gym_module
from ..upstream import envs as upstream_envs
from . import observations
from . import one_hot

# Family, which is the extra's name as well -> the modules that it needs.
NEEDS = {'atari': ('ale_py', 'cv2'), 'crafter': ('crafter',)}
PREFIXES = tuple(f'{x}_' for x in NEEDS)


class Game:
  """One of upstream's environments, its observations as the agent takes them.

  Images are brought to `render_size`, which upstream's Crafter does not know.
  """

  def __init__(self, env, task, size, limit=None):
    """Wraps an environment.

    Args:
      env: upstream's Atari or Crafter.
      task: str, its name in messages.
      size: pair of ints, height and width of images.
      limit: int, agent steps of an episode at most; None if nothing ends it.
    """
    self._env, self.limit = env, limit
    space = gymnasium.spaces.Dict({
        k: v for k, v in env.obs_space.items()
        if k not in observations.FLAGS})
    self._observations = observations.Observations(space, size, task)
    self.act_space = dict(env.act_space)
    # Its own spaces: observations, actions, and whether `image` is missing.
    self.own_spaces = space, self.act_space['action'], False
    self.notes, self.ignored = (
        self._observations.notes, self._observations.ignored)
    self.log_names = tuple(self._observations.log_names)
    self.obs_space = {
        **self._observations.spaces,
        **{k: env.obs_space[k] for k in observations.FLAGS}}

  def reset(self):
    """Begins an episode; returns its observation, a dict."""
    return self._converted(self._env.reset(), 'reset')

  def step(self, action):
    """Takes a step by the number of an action; returns a dict."""
    return self._converted(self._env.step(action), 'step')

  def _converted(self, obs, where):
    flags = {k: obs[k] for k in observations.FLAGS}
    return {**self._observations.convert(obs, where), **flags}

  def close(self):
    """Ends the environment."""
    if hasattr(self._env, 'close'):
      self._env.close()


def check(task):
  """Raises UsageError if a task is not there, or its extra not installed."""
  family, name = task.split('_', 1)
  if not all(map(importlib.util.find_spec, NEEDS[family])):
    raise UsageError(
        f'{task} needs {" and ".join(NEEDS[family])}: '
        f'pip install "dreamer-idm[{family}]"')
  names = ['noreward', 'reward']
  if family == 'atari':
    from ale_py import roms
    names = [*roms.get_all_rom_ids(), 'james_bond']  # Upstream's name of it.
  if name not in names:
    close = difflib.get_close_matches(name, names, 3) or names[:3]
    raise UsageError(
        f'Unknown task {task!r}. Closest: '
        f'{", ".join(f"{family}_{x}" for x in close)}.')


def make(config, seed, mode):
  """Builds an environment in upstream's interface.

  Args:
    config: upstream's Config.
    seed: int.
    mode: str, `train` or `eval`. As upstream has it, training in Crafter
      writes crafter/stats.jsonl in the logdir, and evaluation is always
      rewarded.

  Returns:
    upstream's OneHotAction around a Game.
  """
  family, name = config.task.split('_', 1)
  if family == 'atari':
    with gym_atari.available():
      env = upstream_envs.Atari(
          name, config.action_repeat, tuple(config.render_size),
          config.atari_grayscale)
    env._env.reset(seed=seed)  # Upstream offers no way to.
    game = Game(env, config.task, config.render_size)
  else:
    train = mode == 'train'
    with gym_module.available():  # Which Crafter's spaces are from.
      env = upstream_envs.Crafter(
          config_lib.logdir(config) / 'crafter' if train else None,
          name == 'reward' or not train, seed)
    game = Game(env, config.task, config.render_size, env._env._length)
  return one_hot.OneHotAction(game)
