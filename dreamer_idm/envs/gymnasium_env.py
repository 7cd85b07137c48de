"""Gymnasium's environments in upstream's interface.

`--task gym_<id>` takes any registered id with a flat Box of continuous or with
discrete actions, also `gym_mymodule:MyEnv-v0`, whose module is imported first.
"""

import math
import os
import re
import sys
import traceback

import gymnasium
import numpy as np

from ..errors import UsageError
from ..upstream import envs as upstream_envs
from . import images
from . import observations
from . import one_hot

FLAGS = ('terminated', 'truncated')
_LIBRARY = os.path.dirname(gymnasium.__file__) + os.sep
_OLD_API = (
    "Gymnasium's API is expected: reset(seed=None, options=None) returns "
    '(observation, info), and step(action) returns (observation, reward, '
    'terminated, truncated, info); the package shimmy wraps environments of '
    "Gym's older API")


class GymnasiumEnv:
  """A gymnasium.Env in upstream's interface: dicts in, dicts out.

  What the environment returns is checked against its own spaces at every
  step: what can safely be converted is, anything else is a UsageError.
  """

  def __init__(
      self, env, source, action_repeat, size, seed, renders=False, logged=()):
    """Wraps an environment.

    Args:
      env: gymnasium.Env with a flat Box of actions, or with a Discrete space.
      source: str, its name in messages.
      action_repeat: int >= 1, steps per action; their rewards are added.
      size: pair of ints, height and width to which images are resized.
      seed: int, for the first reset; later ones continue from there.
      renders: bool, whether to render a frame for each observation, `image`.
      logged: collection of str `log_<name>`: numbers of `info` that become
        observations of this name, 0 where an info lacks them.

    Raises:
      UsageError: if its actions or observations cannot be used.
    """
    self._env, self._source = env, source
    self._repeat, self._size, self._seed = action_repeat, tuple(size), seed
    self._renders, self._logged = renders, tuple(logged)
    self.unlogged = set(logged)  # Those that nothing has had so far.
    self._observations = observations.Observations(
        env.observation_space, size, source, ('image',) if renders else ())
    # Its own spaces: observations, actions, and whether `image` is missing.
    self.own_spaces = env.observation_space, env.action_space, renders
    self.ignored = self._observations.ignored
    # Names `log_*` that its observations have beside those of its space.
    self.log_names = tuple(dict.fromkeys(
        (*self._observations.log_names, *logged)))
    self.notes = [*self._observations.notes, *self._unbounded()]

  def _unbounded(self):
    space = self._env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
      return
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
      raise UsageError(
          f'{self._source} has actions {space}, but a flat Box of continuous '
          'actions or a Discrete space is needed')
    open_ends = ~(np.isfinite(space.low) & np.isfinite(space.high))
    if open_ends.any():
      numbers = ', '.join(map(str, np.flatnonzero(open_ends)))
      yield (
          f'{self._source}: its actions {numbers} lack a finite bound: there '
          'the agent acts in [-1, 1], within the bounds that they have. '
          'Finite bounds in action_space are scaled to.')

  @property
  def obs_space(self):
    """dict of gymnasium spaces."""
    box = gymnasium.spaces.Box
    frame = {'image': box(0, 255, (*self._size, 3), np.uint8)}
    return {
        **self._observations.spaces, **(frame if self._renders else {}),
        'reward': box(-np.inf, np.inf, (), np.float32),
        **{k: box(0, 1, (), bool) for k in observations.FLAGS[1:]}}

  @property
  def act_space(self):
    """dict with the gymnasium space of `action`, Discrete or of floats."""
    space = self._env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
      return {'action': space}
    # Upstream scales to bounds of this type, which must have negative numbers.
    return {'action': gymnasium.spaces.Box(
        space.low.astype(np.float32), space.high.astype(np.float32))}

  @property
  def limit(self):
    """Agent steps of an episode at most, None where that is not declared."""
    steps = self._env.spec and self._env.spec.max_episode_steps
    return math.ceil(steps / self._repeat) if steps else None

  def reset(self):
    """Begins an episode; returns its observation, a dict."""
    answer = self._call('reset', seed=self._seed)
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(
        answer[1], dict):
      raise UsageError(
          f'{self._source}: reset returned no (observation, info). {_OLD_API}')
    self._seed = None
    return self._answer('reset', *answer, 0.0, False, False)

  def step(self, action):
    """Repeats an action, at most until the episode ends.

    Args:
      action: dict with `action`, a float array [A], or the number of a
        discrete one, counted from 0.

    Returns:
      dict, the last observation, with the sum of the rewards. `is_terminal`
      is False where only the time was up.
    """
    total, value = 0.0, self._action(action['action'])
    for _ in range(self._repeat):
      answer = self._call('step', value.copy())
      if not isinstance(answer, tuple) or len(answer) != 5 or not isinstance(
          answer[4], dict):
        raise UsageError(
            f'{self._source}: step returned {_described(answer)}. {_OLD_API}')
      obs, reward, terminated, truncated, info = answer
      total += float(self._number('reward', reward))
      terminated = bool(self._number('terminated', terminated))
      if terminated or self._number('truncated', truncated):
        break
    return self._answer(
        'step', obs, info, total, terminated or bool(truncated), terminated)

  def _action(self, value):
    # As the environment's own space has it.
    space = self._env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
      return space.dtype.type(space.start + value)
    # Scaling to the bounds rounds, and half-open ones were not scaled to.
    value = np.clip(np.asarray(value, np.float64), space.low, space.high)
    if space.dtype.kind in 'iu':
      value = np.rint(value)
    return value.astype(space.dtype)

  def _call(self, name, *args, **kwargs):
    try:
      return getattr(self._env, name)(*args, **kwargs)
    except (TypeError, ValueError) as error:
      old = re.search(
          r"argument '(seed|options)'|values to unpack|unpack non-iterable",
          str(error))
      if not old or not _is_ours(error):
        raise
      raise UsageError(
          f'{self._source}: {name} failed ({error}). {_OLD_API}') from error

  def _number(self, name, value):
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in 'biuf':
      raise UsageError(
          f'{self._source}: step returned the {name} {_described(value)}, but '
          f'{"True or False" if name in FLAGS else "a number"} is expected')
    return array.item()

  def _answer(self, where, obs, info, reward, last, terminal):
    obs = self._observations.convert(obs, where)
    if self._renders:
      obs['image'] = images.frame(
          self._env.render(), self._size, self._source)
    for name in self._logged:
      known = next((x for x in (name, name[len('log_'):]) if x in info), '')
      if name in obs or known:
        self.unlogged.discard(name)
      if name not in obs:
        obs[name] = np.float32(
            self._number(f'info {name}', info.get(known, 0)))
    return {
        **obs, 'reward': reward, 'is_first': where == 'reset',
        'is_last': last, 'is_terminal': terminal}

  def close(self):
    """Ends the environment."""
    self._env.close()


def _described(value):
  if isinstance(value, tuple):
    return f'{len(value)} values'
  return f'{type(value).__name__} {images.shortly(value)}'


def _is_ours(error):
  # Whether it was raised by the caller of the user's code, not within it.
  *_, last = traceback.extract_tb(error.__traceback__)
  return last.filename == __file__ or last.filename.startswith(_LIBRARY)


def check(name):
  """Raises UsageError if an id, `[module:]Name-v0`, cannot be made."""
  _make(name).close()


def make(config, seed, images):
  """Builds an environment in upstream's interface.

  It acts in [-1, 1], or by one-hot vectors.

  Args:
    config: upstream's Config.
    seed: int.
    images: bool, whether `image` is rendered if the observations have none.

  Raises:
    UsageError: if it does not exist, or its spaces cannot be used.
  """
  name = config.task[len('gym_'):]
  env = _make(name)
  rendered = images and not observations.has_image(env.observation_space)
  if rendered:
    modes = env.metadata.get('render_modes') or []
    env.close()
    if 'rgb_array' not in modes:
      raise UsageError(
          f'gym_{name} has no image among its observations and renders none '
          f"(its render_modes are {modes}, without 'rgb_array'): read its "
          'vectors, with --configs cpu_proprio')
    env = _make(name, render_mode='rgb_array')
  env.action_space.seed(seed)
  wrapped = GymnasiumEnv(
      env, config.task, config.action_repeat, config.render_size, seed,
      rendered, _logged(config))
  discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
  return (one_hot.OneHotAction if discrete else upstream_envs.NormalizeAction)(
      wrapped)


def _logged(config):
  # The names that --log_keys_* give in full, such as log_is_success or
  # ^log_a$|^log_b$. An info may have a number at some steps only, so that a
  # pattern cannot tell at the first one what the episode will have.
  patterns = '|'.join(
      getattr(config, f'log_keys_{x}') for x in ('sum', 'mean', 'max'))
  names = [x.strip('^$') for x in patterns.split('|')]
  return tuple(dict.fromkeys(
      x for x in names if re.fullmatch(r'log_\w+', x)))


def _make(name, **kwargs):
  module, colon, _ = name.rpartition(':')
  if colon and not re.fullmatch(r'\w+(\.\w+)*', module):
    raise UsageError(
        f'gym_{name} cannot be made: {module!r} is not a module that Python '
        'could import (module:id is expected)')
  # Modules beside the user count, whatever program was started.
  here = os.getcwd()
  if not {'', here} & set(sys.path):
    sys.path.append(here)
  try:
    return gymnasium.make(name, disable_env_checker=True, **kwargs)
  except Exception as error:
    raise UsageError(f'gym_{name} cannot be made: {_why(error, name)}') from (
        error)


def _why(error, name):
  # Where only a traceback says what is wrong, it is printed.
  root = error.__cause__ or error  # Gymnasium wraps what an import raises.
  reason = ' '.join(str(error).split()) or type(error).__name__
  if isinstance(root, ImportError):
    last = traceback.extract_tb(root.__traceback__)[-1].filename
    extra = re.match(re.escape(f'{_LIBRARY}envs{os.sep}') + r'(\w+)', last)
    if extra:
      group = extra[1].replace('_', '-')
      return f'{reason} (pip install "gymnasium[{group}]")'
  itself = isinstance(root, ModuleNotFoundError) and (
      f'{name.partition(":")[0]}.'.startswith(f'{root.name}.'))
  if itself or isinstance(error, gymnasium.error.Error):
    return (
        f'{reason} (a registered id is expected, or module:id for an '
        'environment of your own)')
  traceback.print_exception(error)
  return f'{type(error).__name__}: {reason} (its traceback is above)'
