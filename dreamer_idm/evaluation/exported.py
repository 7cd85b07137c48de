"""The part of a trained agent that acts, as a TensorFlow module of its own.

It holds the weights that acting reads, in the precision that they have, and no
optimizer. What `export` writes of it needs TensorFlow alone.
"""

import contextlib
import logging

import gymnasium
import numpy as np
import tensorflow as tf

from .. import upstream
from ..agent.extension import Extension


class Exported(tf.Module):
  """From a state and an observation to an action and a state.

  Observations are a dict of what the encoder reads, as the agent takes it:
  images uint8 [B, h, w, C] of the run's `render_size`, vectors float32 [B, n].
  Actions are in the environment's range. A state is a dict of `stoch`, `deter`
  and the last `action` in [-1, 1]; a row of zeros begins an episode.
  """

  def __init__(self, trained, space, batch=1):
    """Traces nothing yet.

    Args:
      trained: load.Trained.
      space: gymnasium Box or Discrete space of the environment's actions.
      batch: int B, how many environments are acted in at once.
    """
    super().__init__()
    agent = trained.agent
    self._agent = _Hidden(agent)
    self._space, self._batch = space, batch
    self._draws = not trained.config.eval_state_mean
    encoder, rssm = agent.wm.encoder, trained.config.rssm
    spec = lambda k: tf.TensorSpec(
        (batch, *agent.obs_space[k].shape),
        tf.uint8 if agent.obs_space[k].dtype == np.uint8 else tf.float32, k)
    self._observation = {
        k: spec(k) for k in (*encoder.cnn_keys, *encoder.mlp_keys)}
    initial = {
        **{k: v for k, v in agent.wm.rssm.initial(batch).items()
           if k in ('stoch', 'deter')},
        'action': tf.zeros((batch, *agent.act_space.shape))}
    self._state = {
        k: tf.TensorSpec(v.shape, v.dtype, k) for k, v in initial.items()}
    self._noise_spec = tf.TensorSpec(
        (batch, rssm.stoch, *[rssm.discrete] * bool(rssm.discrete)),
        tf.float32, 'noise')
    self.initial = tf.function(
        lambda: {k: tf.zeros(v.shape, v.dtype) for k, v in self._state.items()},
        input_signature=[])
    self.act = tf.function(
        self._act, input_signature=[self._observation, self._state])
    self.act_given = tf.function(
        self._act_given,
        input_signature=[self._observation, self._state, self._noise_spec])
    # A global seed at tracing would give each loaded copy the same noise.
    with _unseeded():
      functions = [
          x.get_concrete_function()
          for x in (self.initial, self.act, self.act_given)]
    # What SavedModel looks for: all that the functions read, and no more.
    self.weights = list({
        id(v): v for x in functions for v in x.graph.variables}.values())

  def to_onnx(self, path):
    """Writes `act_given` as an ONNX model.

    Its inputs are the observation by its names, the state as `state_stoch`
    and so on, and `noise`; its outputs `action` and `next_stoch` and so on.

    Args:
      path: pathlib.Path.

    Raises:
      ImportError: if tf2onnx is not installed.
      Exception: whatever tf2onnx raises of operations that it does not know.
    """
    import tf2onnx
    logging.getLogger('tf2onnx').setLevel(logging.CRITICAL)
    observation, state = [*self._observation], [*self._state]

    def flat(*values):
      count = len(observation)
      action, following = self._act_given(
          dict(zip(observation, values)), dict(zip(state, values[count:])),
          values[-1])
      return {
          'action': action, **{f'next_{k}': v for k, v in following.items()}}

    with _unseeded():
      tf2onnx.convert.from_function(
          tf.function(flat), opset=17, output_path=str(path),
          input_signature=[
              *self._observation.values(), *(
                  tf.TensorSpec(v.shape, v.dtype, f'state_{k}')
                  for k, v in self._state.items()), self._noise_spec])

  def describe(self):
    """Says what goes in and out: name -> shape and type, as plain data."""
    told = lambda specs: {
        k: [list(v.shape), v.dtype.name] for k, v in specs.items()}
    return {
        'draws': self._draws,  # Whether evaluation draws the latents.
        'observation': told(self._observation), 'state': told(self._state),
        'noise': told({'noise': self._noise_spec})['noise'],
        'action': [
            [self._batch, *self._space.shape], str(self._space.dtype)]}

  def _act(self, observation, state):
    noise = tf.zeros(self._noise_spec.shape)
    if self._draws:
      noise = tf.random.normal(self._noise_spec.shape)
      if len(noise.shape) == 3:  # Gumbel noise: the largest is a sample.
        noise = -tf.math.log(-tf.math.log(
            tf.random.uniform(self._noise_spec.shape, 1e-20, 1.0)))
    return self._act_given(observation, state, noise)

  def _act_given(self, observation, state, noise):
    agent, config = self._agent.it, self._agent.it.config
    wm, rssm = agent.wm, agent.wm.rssm
    obs = {
        k: observation[k] if k in observation else tf.zeros(
            (self._batch, *v.shape),
            tf.bool if v.dtype == bool else v.dtype)
        for k, v in agent.obs_space.items()}
    embed = wm.encoder(wm.preprocess(obs))
    latent = {**rssm.initial(self._batch), 'stoch': state['stoch'],
              'deter': state['deter']}
    latent, _ = rssm.obs_step(
        latent, state['action'], embed, tf.zeros(self._batch, bool), False)
    if 'logit' in latent:
      logit = tf.cast(latent['logit'], tf.float32)
      stoch = tf.one_hot(tf.argmax(logit + noise, -1), logit.shape[-1])
    else:
      stoch = tf.cast(latent['mean'], tf.float32) + noise * tf.cast(
          latent['std'], tf.float32)
    latent['stoch'] = tf.cast(stoch, state['stoch'].dtype)
    action = upstream.common.action_noise(
        self._chosen(rssm.get_feat(latent)), config.eval_noise,
        agent.act_space)
    action = tf.cast(action, tf.float32)
    return self._scaled(action), {
        'stoch': latent['stoch'], 'deter': latent['deter'], 'action': action}

  def _chosen(self, feat):
    agent = self._agent.it
    behavior = agent._task_behavior
    for extension in getattr(behavior, 'extensions', ()):
      policy = extension.act(agent.wm, behavior, feat)
      if policy is not None:
        return policy.mode()
    return behavior.actor(feat).mode()

  def _scaled(self, action):
    # As `policy.Policy` does.
    space = self._space
    if isinstance(space, gymnasium.spaces.Discrete):
      return tf.cast(space.start + tf.argmax(action, -1), space.dtype)
    low, high = (np.asarray(x, np.float64) for x in (space.low, space.high))
    finite = np.isfinite(low) & np.isfinite(high)
    with np.errstate(invalid='ignore'):
      scale = np.where(finite, (high - low) / 2, 1).astype(np.float32)
      shift = np.where(finite, (high + low) / 2, 0).astype(np.float32)
    value = tf.clip_by_value(
        action * scale + shift, low.astype(np.float32),
        high.astype(np.float32))
    if space.dtype.kind in 'iu':
      value = tf.round(value)
    return tf.cast(value, space.dtype)


class _Hidden:
  """Keeps an agent from the bookkeeping of tf.Module."""

  def __init__(self, it):
    self.it = it


@contextlib.contextmanager
def _unseeded():
  from tensorflow.python.eager import context
  before = context.global_seed()
  tf.random.set_seed(None)
  try:
    yield
  finally:
    tf.random.set_seed(before)


def why_no_onnx(error):
  """Says in a line why there is no ONNX model."""
  if isinstance(error, ImportError):
    return (
        f'{error.name} is not installed (pip install "dreamer_idm[onnx]", or '
        'tf2onnx onnxruntime)')
  words = ' '.join(str(error).split())
  return f'it cannot be converted ({type(error).__name__}: {words[:200]})'


def drawn(agent):
  """Whether the action is a random draw, given the state, a bool."""
  config = agent.config
  return bool(
      config.actor.dist == 'tanh_normal' or config.eval_noise or any(
          type(x).act is not Extension.act
          for x in getattr(agent._task_behavior, 'extensions', ())))
