"""PlaNet: actions are planned in latent space (Hafner et al., 2019).

Shapes: n environments, C candidates, T planning horizon, A action size, F = S +
D feature size. The world model alone learns; there is no actor and no critic.
At every step the cross-entropy method starts again from N(0, 1) for each step
of the plan and each dimension of the action:

  plans = clip(mean + std * noise, -1, 1)        [n, C, T, A]
  score = sum of the T predicted rewards         [n, C]
  mean, std = those of the `elites` best plans   [n, T, A]

  feat     z0       ^1       ^2       ^3         T = 3
  plan      '-- a0 --^-- a1 --^-- a2 --^
  rewards           r1       r2       r3         summed

The first action of the last mean is what the agent does.
"""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from ...agent.extension import Extension
from ...agent.loop_seeds import own_seeds


def extensions(config):
  """Builds the planner."""
  return [Planner(config)]


def refit(plans, scores, elites):
  """Fits a Gaussian to the best plans.

  Args:
    plans: float32 [n, C, T, A].
    scores: float32 [n, C].
    elites: int, how many of the best count.

  Returns:
    Their mean and standard deviation (not the sample's), float32 [n, T, A].
  """
  best = tf.math.top_k(scores, elites, sorted=False).indices
  mean, variance = tf.nn.moments(tf.gather(plans, best, batch_dims=1), 1)
  return mean, tf.sqrt(variance)


def cross_entropy_method(
    score, count, size, horizon, candidates, iterations, elites):
  """Searches for the plans of the highest score.

  Args:
    score: function of plans, float32 [n, C, T, A] in [-1, 1], to float32
      [n, C].
    count: int n, searches that are independent of each other.
    size: int A.
    horizon: int T.
    candidates: int C, plans in each iteration.
    iterations: int.
    elites: int <= C, the best plans, which the next are drawn around.

  Returns:
    float32 [n, T, A] mean, in [-1, 1], and float32 [n, T, A] standard
    deviation of the last elites.
  """
  def refine(mean, std):
    noise = tf.random.normal([count, candidates, horizon, size])
    plans = mean[:, None] + std[:, None] * noise
    plans = tf.clip_by_value(plans, -1.0, 1.0)
    return refit(plans, score(plans), elites)

  shape = [count, horizon, size]
  return _repeat(refine, (tf.zeros(shape), tf.ones(shape)), iterations)


def predicted_return(img_step, reward, start, action):
  """Sums the rewards that a model predicts under given actions.

  Args:
    img_step: function of a state dict and action [N, A] to the next state.
    reward: function of a state dict to float32 [N].
    start: dict of tensors [N, ...], the states at the beginning.
    action: float [T, N, A]; action[t] leads from state t to t + 1.

  Returns:
    float32 [N], the sum over the states 1..T.
  """
  def step(index, state, total):
    following = img_step(state, action[index])
    state = {k: tf.cast(following[k], v.dtype) for k, v in state.items()}
    return index + 1, state, total + reward(state)

  total = tf.zeros(action.shape[1:2])
  return _repeat(step, (0, start, total), action.shape[0])[-1]


def split(feat, stoch, discrete):
  """Takes features apart into the state that they were made of.

  Args:
    feat: float [n, S + D]; S is stoch * discrete for discrete latents.
    stoch: int, size or number of stochastic variables.
    discrete: int, classes of each of them; 0 for Gaussian ones.

  Returns:
    dict: `stoch`, float32 [n, stoch] or [n, stoch, discrete], and `deter`
    [n, D], of feat's dtype.
  """
  size = stoch * (discrete or 1)
  value = tf.cast(feat[:, :size], tf.float32)
  if discrete:
    value = tf.reshape(value, [-1, stoch, discrete])
  return {'stoch': value, 'deter': feat[:, size:]}


def _repeat(step, state, times):
  # One iteration after the other: run side by side, which is the default,
  # random operations would take their numbers in any order.
  return tf.while_loop(
      lambda *_: True, own_seeds(step), state, parallel_iterations=1,
      maximum_iterations=times)


class Planner(Extension):
  """Plans each action by the cross-entropy method; for the agent's policy."""

  unused = ('actor', 'critic')

  def act(self, model, behavior, feat):
    """See `Extension.act`: the planned action, for all n at once."""
    settings, rssm = self.config.planet, self.config.rssm
    size, = behavior.act_space.shape
    start = {
        k: tf.repeat(v, settings.candidates, 0)
        for k, v in split(feat, rssm.stoch, rssm.discrete).items()}

    def reward(state):
      return model.heads['reward'](model.rssm.get_feat(state)).mode()

    def score(plans):
      rows = tf.reshape(plans, [-1, settings.horizon, size])
      total = predicted_return(
          model.rssm.img_step, reward, start, tf.transpose(rows, [1, 0, 2]))
      return tf.reshape(total, plans.shape[:2])

    mean, _ = cross_entropy_method(
        score, feat.shape[0], size, settings.horizon, settings.candidates,
        settings.iterations, settings.elites)
    return tfd.Independent(tfd.Deterministic(mean[:, 0]), 1)
