"""Actor and critic losses weighted by the trajectories' reliability.

Shapes: H horizon, N imagined trajectories. The evaluator rates every imagined
transition, and the ratings weight the losses around their mean (eq. 4):

  W[t] = sg sigmoid(logit(z_t, a_{t+1}, z_{t+1}))   t = 0..H-1
  w[t] = W[t] / mean(W)                             mean over H and N

  States:      z0     z1     z2     z3
  Actions:      0     a1     a2     a3      a_{t+1} is taken at z_t
  Reliability: w0     w1     w2

How they enter the two losses beside upstream's discount weights is in
`agent.loss_weights`.
"""

import tensorflow as tf

from ..agent.extension import Extension


def normalised_weights(prob, power=1.0, clip=0.0):
  """Reliability weights whose mean is one (eq. 4).

  Args:
    prob: float32 [H, N], W in [0, 1].
    power: float >= 0, exponent of W.
    clip: float, upper bound of the weights before they are scaled to mean
      one again; 0 for none.

  Returns:
    float32 [H, N] without gradient. Unchanged by W -> c * W. Ones if W is 0
    throughout.

  Example:
    >>> normalised_weights(tf.constant([[0.1, 0.3], [0.2, 0.2]])).numpy()
    array([[0.5, 1.5],
           [1. , 1. ]], dtype=float32)
  """
  weight = tf.stop_gradient(prob)
  if power != 1.0:
    weight = tf.pow(weight, power)
  weight = _mean_one(weight)
  if clip:
    weight = _mean_one(tf.minimum(weight, clip))
  return weight


def _mean_one(weight):
  mean = tf.reduce_mean(weight)
  return tf.where(
      mean > 0, tf.math.divide_no_nan(weight, mean), tf.ones_like(weight))


def effective_sample_size(weight):
  """(sum w)^2 / (number * sum w^2), in (0, 1], of w >= 0, not all 0."""
  return tf.reduce_mean(weight) ** 2 / tf.reduce_mean(weight ** 2)


class ReliabilityWeights(Extension):
  """The evaluator's ratings of imagined transitions as weights (eq. 4)."""

  def __init__(self, config, evaluator):
    """Takes an evaluator, which learns elsewhere.

    Args:
      config: upstream's Config with our `idm` section.
      evaluator: TrajectoryEvaluator.
    """
    super().__init__(config)
    self.evaluator = evaluator

  def weights(self, seq):
    """See `Extension.weights`: w, for actor and critic."""
    idm = self.config.idm
    prob = tf.nn.sigmoid(self.evaluator.logit(
        tf.stop_gradient(seq['feat']), tf.stop_gradient(seq['action'])))
    weight = normalised_weights(prob, idm.weight_power, idm.weight_clip)
    return weight, weight, describe(weight, idm.copies)


def describe(weight, copies):
  """Metrics of weights [H, N], K copies of the originals behind them."""
  metrics = {
      'idm_weight_mean': tf.reduce_mean(weight),
      'idm_weight_std': tf.math.reduce_std(weight),
      'idm_weight_max': tf.reduce_max(weight),
      'idm_weight_ess': effective_sample_size(weight)}
  if copies:
    originals = weight.shape[1] // (1 + copies)
    metrics['idm_weight_original'] = tf.reduce_mean(weight[:, :originals])
    metrics['idm_weight_derived'] = tf.reduce_mean(weight[:, originals:])
  return metrics
