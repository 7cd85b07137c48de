"""A trained agent that acts: observations in, actions out.

  import dreamer_idm

  policy = dreamer_idm.load('logdir/run')
  action = policy(observation)

Neither dm_control nor the environment is needed: what they look like stands in
the run's `spaces.json`.
"""

import copy
import functools
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from ..agent import tf_setup
from ..envs import environments
from ..envs import observations as observations_lib
from ..errors import UsageError
from . import rollout


class Policy:
  """Acts in one environment, or in several at once; keeps its latent states.

  Attributes:
    config: upstream's Config of the run.
    agent: upstream's Agent or ours.
    env_step: int, environment steps that it was trained for.
    observation_space: gymnasium space of what it takes. Where the agent read
      rendered frames a Dict with `image`. Parts that the agent does not read
      may be left out of a dict; if it reads one array alone, that array may
      come without a dict.
    action_space: gymnasium Box or Discrete space of the actions that it
      returns, the environment's own.
  """

  def __init__(self, trained, found, mode='eval'):
    """Starts at the beginning of an episode.

    Args:
      trained: Trained.
      found: runs.spaces.Spaces of its run.
      mode: `eval` or `explore`.
    """
    self.config, self.agent = trained.config, trained.agent
    self.env_step = trained.env_step
    self._act = rollout.act(self.agent, mode)
    # Upstream's mode of such an actor is for one row: see `rollout.evaluate`.
    self._one_by_one = (
        mode == 'eval' and self.config.actor.dist == 'tanh_normal')
    self._read(found)
    self.reset()

  def _read(self, found):
    """Takes the spaces of the run's environment."""
    self.action_space = found.action
    self._state: Any = None  # Latent and last action.
    self._first: Any = None  # bool [n], whose episode begins.
    size = tuple(self.config.render_size)
    own = found.observation
    if found.rendered:
      frame = {'image': found.agent_observation['image']}
      own = gymnasium.spaces.Dict({
          **(own.spaces if isinstance(own, gymnasium.spaces.Dict)
             else {'vector': own}), **frame})
    self.observation_space = own
    self._reader = observations_lib.Observations(
        own, size, 'policy', only=functools.partial(
            environments.reads, self.config.encoder))

  def reset(self, which=None):
    """Begins new episodes: the next observation follows nothing.

    Args:
      which: bool [n], those of the environments whose episode ended; None for
        all, of any number.

    Raises:
      ValueError: if there are not n environments.
    """
    if which is None:
      self._state, self._first = None, None
      return
    which = np.asarray(which, bool)
    if self._first is None or which.shape != self._first.shape:
      raise ValueError(
          f'reset takes a flag for each environment, but got {which.shape} '
          f'for {None if self._first is None else self._first.shape}.')
    self._first = self._first | which

  def copy(self):
    """Makes a policy of the same agent with a latent state of its own.

    Returns:
      Policy, from where this one is.
    """
    other = copy.copy(self)
    if self._first is not None:
      other._first = self._first.copy()
    return other

  def __call__(self, observation):
    """Acts.

    Args:
      observation: of `observation_space`; or a batch of them for so many
        environments, an array [n, ...] in each place.

    Returns:
      array of `action_space`, or a batch [n, ...] of them; of discrete actions
      an integer of NumPy's.

    Raises:
      UsageError: if the observation does not fit, says what was expected.
      ValueError: if the number of environments has changed without `reset`.
    """
    self._set_up()
    rows, batched = self._rows(observation)
    obs = {
        k: np.stack([x[k] for x in rows])
        for k in rows[0] if not k.startswith('log_')}
    for key, value in obs.items():
      if not np.isfinite(value).all():  # It would stay in the latent state.
        raise UsageError(f'policy: {key} of the observation is not finite')
    count = len(rows)
    if self._first is None:
      self._first = np.ones(count, bool)
    if len(self._first) != count:
      raise ValueError(
          f'{count} observations came for {len(self._first)} environments: '
          'reset the policy, or make a copy of it for each number.')
    action = self._step(obs)
    self._first = np.zeros(count, bool)
    return action if batched else action[0]

  def _step(self, obs):
    """From arrays [n, ...] to actions of the environment; moves the state."""
    count = len(next(iter(obs.values())))
    for key, space in self.agent.obs_space.items():
      # What the agent's preprocessing asks for and its encoder does not read.
      if key not in obs:
        obs[key] = np.zeros((count, *space.shape), space.dtype)
    obs['is_first'] = self._first
    action, self._state = self._chosen(obs)
    return self._scaled(action.numpy())

  def _chosen(self, obs):
    if not self._one_by_one or len(obs['reward']) == 1:
      outputs, state = self._act(obs, self._state)
      return outputs['action'], state
    parts = []
    for row in range(len(obs['reward'])):
      one = self._state and tf.nest.map_structure(
          lambda x, i=row: x[i:i + 1], self._state)
      parts.append(self._act({k: v[row:row + 1] for k, v in obs.items()}, one))
    join = lambda *rows: tf.concat(rows, 0)
    return (
        join(*(x['action'] for x, _ in parts)),
        tf.nest.map_structure(join, *(x for _, x in parts)))

  def _scaled(self, action):
    # From [-1, 1] to the bounds, where both are finite, as in training.
    space = self.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
      return (space.start + action.argmax(-1)).astype(space.dtype)
    low, high = (np.asarray(x, np.float64) for x in (space.low, space.high))
    finite = np.isfinite(low) & np.isfinite(high)
    with np.errstate(invalid='ignore'):
      scaled = (action.astype(np.float64) + 1) / 2 * (high - low) + low
    value = np.clip(np.where(finite, scaled, action), low, high)
    if space.dtype.kind in 'iu':
      value = np.rint(value)
    return value.astype(space.dtype)

  def _rows(self, observation):
    """The agent's observations, a dict for each environment."""
    parts = self._reader.sources
    if not isinstance(observation, (dict, tuple)) and len(parts) == 1:
      (name, (path, space)), = parts.items()
      for key in reversed(path):
        observation = {key: observation}
    (path, space), *_ = parts.values()
    value = observation
    for key in path:
      try:
        value = value[key]
      except (KeyError, IndexError, TypeError):
        break  # Which `convert` puts into words.
    shape = np.shape(value)
    batched = len(shape) == len(space.shape) + 1 and shape != (1,)
    if not batched:
      return [self._reader.convert(observation, 'the call')], False
    count = shape[0]
    if not count:
      raise UsageError('policy: the batch of observations is empty')
    return [
        self._reader.convert(_row(observation, i), 'the call')
        for i in range(count)], True

  def _set_up(self):
    # Where several agents are loaded, each has the precision of its run.
    config = self.config
    tf_setup.configure(config.precision, 0, config.jit, config.fast)

  def _need_state(self):
    self._set_up()
    if self._state is None:
      raise ValueError('The policy has seen no observation of this episode.')
    return self._state[0]

  @property
  def value(self):
    """The critic's value of the present states, float [n].

    Raises ValueError before the first observation, and if the agent's method
    trains no critic of the environment's rewards.
    """
    latent, behavior = self._need_state(), self.agent._task_behavior
    if not rollout.has_values(behavior):
      raise ValueError(
          f'{self.config.agent} trains no critic of the rewards.')
    feat = self.agent.wm.rssm.get_feat(latent)
    return behavior.critic(feat).mode().numpy().astype(np.float64)

  def imagine(self, steps, actions=None):
    """Predicts what comes next; the policy's own state stays as it is.

    Args:
      steps: int H >= 1.
      actions: float [H, n, A] in [-1, 1], to be taken; None for the actor's
        mode at each step.

    Returns:
      dict of arrays [H, n, ...]: `action` in [-1, 1], `reward` float, and each
      decoded observation by its name: images as float in [0, 1], vectors in
      the units of the environment.

    Raises:
      ValueError: before the first observation of an episode, or without an
        actor or actions.
    """
    latent, wm = self._need_state(), self.agent.wm
    if not hasattr(wm.rssm, 'img_step'):
      raise ValueError(f'{self.config.agent} has no model to imagine with.')
    if steps < 1:
      raise ValueError(f'steps must be at least 1, but is {steps}.')
    shape = (steps, len(self._first), *self.agent.act_space.shape)
    if actions is not None and np.shape(actions) != shape:
      raise ValueError(
          f'actions must be of shape {shape}, not {np.shape(actions)}.')
    actor = self.agent._task_behavior.actor
    if actions is None and 'actor' in getattr(
        self.agent._task_behavior, 'unused', ()):
      raise ValueError(f'{self.config.agent} has no actor: give actions.')
    found: dict = {'action': [], 'reward': []}
    for step in range(steps):
      if actions is None:
        action = actor(wm.rssm.get_feat(latent)).mode()
      else:
        action = tf.cast(actions[step], latent['deter'].dtype)
      latent = wm.rssm.img_step(latent, action)
      feat = wm.rssm.get_feat(latent)
      found['action'].append(action)
      found['reward'].append(wm.heads['reward'](feat).mode())
      for key, value in self._decoded(feat).items():
        found.setdefault(key, []).append(value)
    return {k: np.stack([np.asarray(x) for x in v]) for k, v in found.items()}

  def _decoded(self, feat):
    decoded = {
        k: tf.cast(v.mode(), tf.float32)
        for k, v in self.agent.wm.heads['decoder'](feat).items()}
    for extension in reversed([*getattr(self.agent.wm, 'extensions', ())]):
      decoded = extension.postprocess(decoded)
    return {
        k: np.clip(v + 0.5, 0, 1)
        if self.agent.obs_space[k].dtype == np.uint8 else v
        for k, v in decoded.items()}


def _row(observation, index):
  """One of a batch of nested observations."""
  if isinstance(observation, dict):
    return {k: _row(v, index) for k, v in observation.items()}
  if isinstance(observation, tuple):
    return tuple(_row(x, index) for x in observation)
  return observation[index]
