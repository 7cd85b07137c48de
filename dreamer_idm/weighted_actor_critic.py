"""Actor and critic losses weighted by the trajectories' reliability.

Shapes: H horizon, N imagined trajectories. The evaluator rates every imagined
transition, and the ratings weigh the losses around their mean (eq. 4):

  W[t] = sg sigmoid(logit(z_t, a_{t+1}, z_{t+1}))   t = 0..H-1
  w[t] = W[t] / mean(W)                             mean over H and N

  States:      z0     z1     z2     z3
  Actions:      0     a1     a2     a3      a_{t+1} is taken at z_t
  Reliability: w0     w1     w2
  Critic:      w0*l0  w1*l1  w2*l2
  Actor:              w1*t1  w2*t2          upstream pairs weight[t-1] with t_t

The discount weights that upstream puts into seq['weight'] stay a factor of
their own. They are not multiplied once for both losses, since the two losses
pair them with different steps: each gets its own copy of the sequence.
"""

import tensorflow as tf

from . import derived_memory
from . import upstream


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


def critic_weights(discount_weight, reliability):
  """Weights in the places where upstream's critic loss reads them.

  Args:
    discount_weight: float [H + 1, N], upstream's seq['weight'].
    reliability: float32 [H, N], w.

  Returns:
    float [H + 1, N]; [t] is weight[t] * w[t] for t = 0..H-1.
  """
  reliability = tf.cast(reliability, discount_weight.dtype)
  return tf.concat(
      [discount_weight[:-1] * reliability, discount_weight[-1:]], 0)


def actor_weights(discount_weight, reliability):
  """Weights in the places where upstream's actor loss reads them.

  Args:
    discount_weight: float [H + 1, N], upstream's seq['weight'].
    reliability: float32 [H, N], w.

  Returns:
    float [H + 1, N]; [t - 1] is weight[t - 1] * w[t] for t = 1..H-1.
  """
  reliability = tf.cast(reliability, discount_weight.dtype)
  return tf.concat(
      [discount_weight[:-2] * reliability[1:], discount_weight[-2:]], 0)


def effective_sample_size(weight):
  """How many equal weights would tell as much, as a share of all.

  Args:
    weight: float32 [H, N], >= 0, not all 0.

  Returns:
    float32 scalar in (0, 1]: (sum w)^2 / (number * sum w^2).
  """
  return tf.reduce_mean(weight) ** 2 / tf.reduce_mean(weight ** 2)


class WeightedActorCritic(upstream.agent.ActorCritic):
  """Upstream's actor-critic, on more start states and with weighted losses."""

  def __init__(self, config, act_space, tfstep, evaluator=None):
    """Creates actor and critic.

    Args:
      config: upstream's Config with our `idm` section.
      act_space: gymnasium space of the action.
      tfstep: tf.Variable int64, agent steps.
      evaluator: TrajectoryEvaluator that rates trajectories, or None.
    """
    super().__init__(config, act_space, tfstep)
    self.evaluator = evaluator

  def train(self, world_model, start, is_terminal, reward_fn):
    """Upstream's step, imagining from derived states as well.

    Args:
      world_model: the R2S2WorldModel.
      start: dict of posterior tensors [B, L, ...].
      is_terminal: bool [B, L].
      reward_fn: function of an imagined sequence to rewards [H + 1, N].

    Returns:
      dict of scalar metrics.
    """
    start, is_terminal = derived_memory.extend(
        start, is_terminal, self.config.idm)
    return super().train(world_model, start, is_terminal, reward_fn)

  def target(self, seq):
    """Upstream's lambda returns; rates the sequence on the way.

    Upstream calls this once per imagined sequence, before both losses, and
    hands all three the same dict: the weights travel in it as `reliability`.

    Args:
      seq: dict of imagined tensors [H + 1, N, ...].

    Returns:
      float32 [H, N] targets, and a dict of scalar metrics.
    """
    target, metrics = super().target(seq)
    if self.evaluator is not None:
      idm = self.config.idm
      prob = tf.nn.sigmoid(self.evaluator.logit(
          tf.stop_gradient(seq['feat']), tf.stop_gradient(seq['action'])))
      weight = normalised_weights(prob, idm.weight_power, idm.weight_clip)
      seq['reliability'] = weight
      metrics.update(self._describe(weight))
    return target, metrics

  def actor_loss(self, seq, target):
    """Upstream's actor loss with weight[t-1] * w[t] at target t.

    Args:
      seq: dict of imagined tensors [H + 1, N, ...].
      target: float32 [H, N].

    Returns:
      float32 scalar, and a dict of scalar metrics.
    """
    return super().actor_loss(self._weighted(seq, actor_weights), target)

  def critic_loss(self, seq, target):
    """Upstream's critic loss with weight[t] * w[t] at target t.

    Args:
      seq: dict of imagined tensors [H + 1, N, ...].
      target: float32 [H, N].

    Returns:
      float32 scalar, and a dict of scalar metrics.
    """
    return super().critic_loss(self._weighted(seq, critic_weights), target)

  def _weighted(self, seq, place):
    if 'reliability' not in seq:
      return seq
    return {**seq, 'weight': place(seq['weight'], seq['reliability'])}

  def _describe(self, weight):
    metrics = {
        'idm_weight_mean': tf.reduce_mean(weight),
        'idm_weight_std': tf.math.reduce_std(weight),
        'idm_weight_max': tf.reduce_max(weight),
        'idm_weight_ess': effective_sample_size(weight)}
    copies = self.config.idm.copies
    if copies:
      # The originals come first, see derived_memory.extend.
      originals = weight.shape[1] // (1 + copies)
      metrics['idm_weight_original'] = tf.reduce_mean(weight[:, :originals])
      metrics['idm_weight_derived'] = tf.reduce_mean(weight[:, originals:])
    return metrics
