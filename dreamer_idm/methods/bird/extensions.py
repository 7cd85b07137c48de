"""BIRD: imagined trajectories weighted by their likelihood (NeurIPS 2020).

Zhu et al., Bridging Imagination and Reality for Model-Based Deep Reinforcement
Learning. Shapes: H horizon, N imagined trajectories, S stochastic size.
What the world model itself finds likely counts for more:

  S[n] = sum_t log p(stoch[t, n])     t = 1..H, under the imagined statistics
  x[n] = clip((S[n] - mean S) / (std S + 1e-9) + 1, 0, 2)

z_0 comes from the replay and not from imagination: it is not counted in S. x
weights all steps of its trajectory alike, in the places that
`agent.loss_weights` shows, around upstream's own discount weights. Since the
clip is not symmetric for skewed S, the mean of x is near one but not one.

Beside this the actor is rewarded for its entropy in the replay's states.
"""

import math

import tensorflow as tf

from ...agent.extension import Extension
from ...agent.policy_entropy import policy_entropy

EPSILON = 1e-9


def extensions(config):
  """Builds BIRD's parts, those that are switched on."""
  parts: list[Extension] = []
  if config.bird.weights:
    parts.append(LikelihoodWeights(config))
  if config.bird.entropy_scale:
    parts.append(ReplayEntropy(config))
  return parts


def log_likelihood(seq):
  """Log-probability of imagined trajectories under their own statistics.

  Args:
    seq: dict of float tensors: stoch, mean, std [H + 1, N, S] of Gaussian
      latents, or one-hot stoch and logit [H + 1, N, S, classes] of discrete
      ones.

  Returns:
    float32 [N], S, without gradient: the sum over the imagined steps 1..H and
    over the dimensions, in float32 whatever the compute precision.
  """
  imagined = {
      k: tf.stop_gradient(tf.cast(seq[k][1:], tf.float32))
      for k in ('stoch', 'mean', 'std', 'logit') if k in seq}
  if 'logit' in imagined:
    log_prob = imagined['stoch'] * tf.nn.log_softmax(imagined['logit'])
    return tf.reduce_sum(log_prob, (0, 2, 3))
  std = imagined['std']
  distance = (imagined['stoch'] - imagined['mean']) / std
  log_prob = -0.5 * (distance ** 2 + math.log(2 * math.pi)) - tf.math.log(std)
  return tf.reduce_sum(log_prob, (0, 2))


def trajectory_weights(log_prob):
  """Weights around one, larger for likelier trajectories.

  Args:
    log_prob: float32 [N], S.

  Returns:
    float32 [N], x in [0, 2], without gradient.
  """
  log_prob = tf.stop_gradient(log_prob)
  score = log_prob - tf.reduce_mean(log_prob)
  score /= tf.math.reduce_std(log_prob) + EPSILON
  return tf.clip_by_value(score + 1, 0.0, 2.0)


class LikelihoodWeights(Extension):
  """The trajectories' likelihood as weights, constant over their steps."""

  def weights(self, seq):
    """See `Extension.weights`: x, for the actor or for both."""
    log_prob = log_likelihood(seq)
    single = trajectory_weights(log_prob)
    weight = tf.tile(single[None], [seq['stoch'].shape[0] - 1, 1])
    critics = weight if self.config.bird.weight_critic else None
    return weight, critics, describe(log_prob, single)


def describe(log_prob, weight):
  """Metrics of S and x, float32 [N]; fractions at either clip."""
  fraction = lambda x: tf.reduce_mean(tf.cast(x, tf.float32))
  return {
      'bird_log_prob_mean': tf.reduce_mean(log_prob),
      'bird_log_prob_std': tf.math.reduce_std(log_prob),
      'bird_weight_mean': tf.reduce_mean(weight),
      'bird_weight_std': tf.math.reduce_std(weight),
      'bird_weight_low': fraction(weight <= 0.0),
      'bird_weight_high': fraction(weight >= 2.0)}


class ReplayEntropy(Extension):
  """A bonus for the policy's entropy in the posterior states of the replay."""

  def actor_loss(self, behavior, seq):
    """See `Extension.actor_loss`: minus the scaled mean entropy."""
    entropy = tf.reduce_mean(policy_entropy(
        behavior.actor, tf.stop_gradient(seq['feat'][0])))
    return -self.config.bird.entropy_scale * entropy, {'bird_entropy': entropy}
