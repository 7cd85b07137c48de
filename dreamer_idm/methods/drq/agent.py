"""DrQ in the place of upstream's agent.

Upstream's Agent acts by the states of a world model and by an actor-critic.
Here a state is a stack of frames, with nothing learned in it, and the
actor-critic is SAC; how the agent acts and what it is asked stay upstream's.

  replay -> [B, k + 1 frames] -> stacks s, s' -> M views of s, K views of s'
  step of Q (with the convolutions) -> step of its slow copy
  step of policy and temperature
"""

import types

import numpy as np
import tensorflow as tf

from ... import upstream
from . import losses
from . import networks


class Frames:
  """In the encoder's place: finds the images; several are one's channels."""

  mlp_keys = ()

  def __init__(self, pattern, obs_space):
    """Finds them.

    Args:
      pattern: str, `encoder.cnn_keys`.
      obs_space: dict of gymnasium spaces.
    """
    found = upstream.common.Encoder(
        {k: v.shape for k, v in obs_space.items()}, cnn_keys=pattern)
    self.cnn_keys = tuple(found.cnn_keys)
    shapes = [obs_space[k].shape for k in self.cnn_keys]
    self.shape = (*shapes[0][:2], sum(x[-1] for x in shapes))

  def __call__(self, obs):
    """The frames of a dict of tensors, uint8 [..., H, W, C]."""
    return tf.concat([obs[k] for k in self.cnn_keys], -1)


class FrameStack:
  """In the RSSM's place: a state is the last k frames.

  `deter` is uint8 [n, H, W, k * C], the oldest frame first. `stoch` is zero
  before an episode and one in it, so that a state of zeros begins one; in the
  place of its distribution there are its mean and next to no deviation.
  """

  def __init__(self, config, shape):
    """Holds no variables.

    Args:
      config: upstream's Config with our keys.
      shape: (H, W, C).
    """
    self._count = config.drq.stack
    self.shape = (*shape[:2], self._count * shape[2])
    rssm = config.rssm
    self._stoch = (rssm.stoch, *[rssm.discrete] * bool(rssm.discrete))

  def initial(self, count):
    """Makes states before an episode, a dict of zeros [n, ...]."""
    zeros = tf.zeros((count, *self._stoch))
    return {
        'deter': tf.zeros((count, *self.shape), tf.uint8), 'stoch': zeros,
        'mean': zeros, 'std': zeros}

  def obs_step(self, state, action, frame, is_first, sample=True):
    """Takes in a frame: the first one of an episode fills the stack.

    Args:
      state: dict of tensors [n, ...].
      action: unused.
      frame: uint8 [n, H, W, C].
      is_first: bool [n].
      sample: unused.

    Returns:
      the same state twice, dict of tensors [n, ...].
    """
    stack = state['deter']
    begins = is_first | (
        tf.reshape(state['stoch'], [stack.shape[0], -1])[:, 0] < 0.5)
    stack = tf.where(
        begins[:, None, None, None], tf.tile(frame, [1, 1, 1, self._count]),
        tf.concat([stack[..., frame.shape[-1]:], frame], -1))
    ones = tf.ones_like(state['stoch'])
    state = {
        'deter': stack, 'stoch': ones, 'mean': ones, 'std': 1e-6 * ones}
    return state, state

  @staticmethod
  def get_feat(state):
    """What the actor sees: the stack, uint8 [n, H, W, k * C]."""
    return state['deter']


class Observer:
  """In the world model's place: from observations to states."""

  def __init__(self, config, obs_space):
    """Holds no variables.

    Args:
      config: upstream's Config with our keys.
      obs_space: dict of gymnasium spaces.
    """
    self.encoder = Frames(config.encoder.cnn_keys, obs_space)
    self.rssm = FrameStack(config, self.encoder.shape)
    self.heads = {'decoder': types.SimpleNamespace(cnn_keys=())}

  @staticmethod
  def preprocess(obs):
    """Leaves observations as they are: the networks scale images."""
    return obs


class SoftActorCritic(upstream.common.Module):
  """In the actor-critic's place: twin Q, its slow copy, policy, temperature.

  Attributes:
    unused: names of what evaluations would look for; Q is of soft returns.
  """

  unused = frozenset(['critic'])

  def __init__(self, config, shape, actions):
    """Creates all variables, those of the optimizers too.

    Args:
      config: upstream's Config with our keys.
      shape: (H, W, k * C).
      actions: int A.
    """
    self.config, self._actions = config, actions
    settings = config.drq
    self.critic = networks.Critic(settings, shape, actions)
    self.slow = networks.Critic(settings, shape, actions)
    losses.soft_update(self.slow.variables, self.critic.variables, 1.0)
    self.policy = networks.Actor(
        settings, self.critic.convolutions.output_shape[-1], actions)
    self.temperature = upstream.common.Module()
    self.temperature.log = tf.Variable(
        np.log(settings.temperature), dtype=tf.float32, name='temperature')
    optimizer = lambda name, module: _optimizer(name, settings.opt, module)
    self._critic_opt = optimizer('critic', self.critic)
    self._actor_opt = optimizer('actor', self.policy)
    self._temperature_opt = optimizer('temperature', self.temperature)

  def actor(self, images):
    """The policy's distribution [n, A] at stacks [n, H, W, k * C]."""
    return self.policy(self.critic.convolutions(images))

  @property
  def alpha(self):
    """The temperature, a float32 scalar."""
    return tf.exp(self.temperature.log)

  def target(self, images, reward, discount):
    """What Q learns.

    Args:
      images: [K * B, H, W, k * C], views of the next stacks.
      reward: float32 [B].
      discount: float32 [B], 0 where the task has ended.

    Returns:
      float32 [B].
    """
    action, log_prob = self.actor(images).experimental_sample_and_log_prob()
    q = self.slow(self.slow.convolutions(images), action)
    value = losses.soft_value(q, log_prob, self.alpha)
    return losses.q_target(
        reward, discount, tf.reshape(value, [-1, reward.shape[0]]))

  def train_critic(self, images, action, target):
    """Steps Q and its encoder.

    Args:
      images: [M * B, H, W, k * C], views of the stacks.
      action: float32 [B, A].
      target: float32 [B].

    Returns:
      dict of scalar metrics.
    """
    count = self.config.drq.views
    with tf.GradientTape() as tape:
      q = self.critic(
          self.critic.convolutions(images), tf.tile(action, [count, 1]))
      loss = losses.q_loss(
          tf.reshape(q, [2, count, action.shape[0]]), target)
    metrics = self._critic_opt(tape, loss, self.critic)
    return {
        **metrics, 'drq_q': tf.reduce_mean(q),
        'drq_target': tf.reduce_mean(target)}

  def train_actor(self, images):
    """Steps policy and temperature at stacks [B, H, W, k * C].

    Returns:
      dict of scalar metrics.
    """
    alpha = self.alpha
    convolved = self.critic.convolutions(images)
    with tf.GradientTape() as tape:
      action, log_prob = (
          self.policy(convolved).experimental_sample_and_log_prob())
      loss = losses.actor_loss(
          self.critic(convolved, action), log_prob, alpha)
    metrics = self._actor_opt(tape, loss, self.policy)
    with tf.GradientTape() as tape:
      loss = losses.temperature_loss(log_prob, self.alpha, -self._actions)
    metrics.update(self._temperature_opt(tape, loss, self.temperature))
    return {
        **metrics, 'drq_temperature': alpha,
        'drq_entropy': -tf.reduce_mean(log_prob)}

  def train_slow(self):
    """Moves the slow copy of Q."""
    losses.soft_update(
        self.slow.variables, self.critic.variables, self.config.drq.tau)


def _optimizer(name, settings, module):
  """Upstream's optimizer, with its variables."""
  found = upstream.common.Optimizer(name, **settings)
  found._opt._create_all_weights(module.variables)
  return found


class Agent(upstream.agent.Agent):
  """Upstream's agent, with a stack of frames and SAC as its parts."""

  def __init__(self, config, obs_space, act_space, step):
    """Builds the agent with all its variables.

    Args:
      config: upstream's Config with our keys.
      obs_space: dict of gymnasium spaces.
      act_space: dict with the gymnasium space of `action`.
      step: upstream's Counter of agent steps.
    """
    model = Observer(config, obs_space)
    with upstream.parts(
        WorldModel=lambda *_: model,
        ActorCritic=lambda config, space, _: SoftActorCritic(
            config, model.rssm.shape, *space.shape)):
      super().__init__(config, obs_space, act_space, step)
    self._updates = tf.Variable(0, dtype=tf.int64, name='updates')

  def batches(self, replay):
    """Draws what `train` takes, without end.

    Args:
      replay: training.replay.SeededReplay.

    Returns:
      iterator of dicts of arrays [B, k + 1, ...].
    """
    settings = self.config.drq
    return replay.windows(
        settings.batch * self.config.batch_multiplier, settings.stack + 1)

  def train(self, data, state=None):
    """Makes one update.

    Args:
      data: dict of arrays [B, k + 1, ...]: action, reward and is_terminal of
        the last step belong to the transition between the last two stacks.
      state: anything.

    Returns:
      the same state; and a dict of scalar metrics, those of the policy only
      in updates that step it.
    """
    settings, done = self.config.drq, int(self._updates)
    due = lambda every: done % every == 0
    metrics = self._update(
        {k: data[k] for k in (
            *self.wm.encoder.cnn_keys, 'action', 'reward', 'is_terminal')},
        due(settings.actor_every), due(settings.target_every))
    self._updates.assign_add(1)
    return state, metrics

  @tf.function
  def _update(self, data, actor, slow):
    settings, sac = self.config.drq, self._task_behavior
    before, after = losses.stacks(self.wm.encoder(data))
    clip = {'identity': tf.identity, 'sign': tf.sign, 'tanh': tf.tanh}
    reward = clip[self.config.clip_rewards](
        tf.cast(data['reward'][:, -1], tf.float32))
    goes_on = 1 - tf.cast(data['is_terminal'][:, -1], tf.float32)
    target = sac.target(
        losses.views(after, settings.target_views, settings.pad), reward,
        settings.discount * goes_on)
    images = losses.views(before, settings.views, settings.pad)
    metrics = sac.train_critic(
        images, tf.cast(data['action'][:, -1], tf.float32), target)
    if actor:
      metrics.update(sac.train_actor(images[:before.shape[0]]))
    if slow:
      sac.train_slow()
    return metrics
