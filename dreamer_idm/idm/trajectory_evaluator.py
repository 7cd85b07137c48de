"""The trajectory evaluator: how real does a transition look?

Shapes: B batch, L chunk length, T horizon of an overshoot, W windows a chunk,
A action size, F = S + D feature size. It tells transitions of the replay's
posteriors from open-loop predictions under the same actions (eq. 3):

  logit = MLP(z_t, a_t, z_{t+1})     1 real, 0 overshoot

In the replay, action[:, t] LED TO observation t:

  posterior:    z0 --a1--> z1 --a2--> z2 --a3--> z3 --a4--> z4
  windows, T=2: z0 --a1--> ^1 --a2--> ^2
                                      z2 --a3--> ^3 --a4--> ^4

A transition into the first step of an episode (is_first) never happened, and
the overshoot after it follows from a state that never was: both are masked.
"""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from .. import upstream
from ..agent.extension import Extension
from ..agent.loop_seeds import own_seeds

LOSSES = ('bce', 'linear')


def windows(value, horizon):
  """Cuts chunks into windows of T + 1 states that share their end states.

  Args:
    value: tensor [B, L, ...].
    horizon: int T, 1 <= T <= L - 1.

  Returns:
    tensor [T + 1, B * W, ...], time-major, W = (L - 1) // T; the windows
    start at 0, T, 2T, ... while they fit.

  Example:
    >>> windows(tf.constant([[0, 1, 2, 3, 4, 5]]), 2).numpy().T
    array([[0, 1, 2],
           [2, 3, 4]], dtype=int32)
  """
  count = (value.shape[1] - 1) // horizon
  cuts = [value[:, t:t + horizon + 1] for t in
          range(0, count * horizon, horizon)]
  stacked = tf.concat(cuts, 0)
  order = [1, 0] + list(range(2, len(stacked.shape)))
  return tf.transpose(stacked, order)


def transition_mask(is_first):
  """Marks the transitions of a window that come before a new episode.

  Args:
    is_first: bool or float [T + 1, N], time-major.

  Returns:
    float32 [T, N]; element t is 1 if none of is_first[1..t+1] is set.
  """
  return tf.math.cumprod(1.0 - tf.cast(is_first[1:], tf.float32), 0)


def overshoot(img_step, start, action):
  """Predicts open loop, under given actions.

  Args:
    img_step: function of a state dict and action [N, A] to the next state.
    start: dict of tensors [N, ...], the state at the window's start.
    action: float [T + 1, N, A]; action[t + 1] leads from state t to t + 1.

  Returns:
    dict of tensors [T + 1, N, ...], element 0 is `start`.
  """
  # A loop in the graph: nothing is differentiated through it, and an unrolled
  # one would take a second of every start to trace. One step after the other:
  # side by side they would take their noise in any order.
  states = tf.scan(
      own_seeds(img_step), action[1:], start, parallel_iterations=1)
  return {k: tf.concat([start[k][None], states[k]], 0) for k in start}


def transition(feat, action):
  """Lays transitions side by side as the evaluator's input.

  Args:
    feat: float [T + 1, N, F].
    action: float [T + 1, N, A]; action[t + 1] leads from feat t to t + 1.

  Returns:
    float32 [T, N, 2 F + A].
  """
  parts = [feat[:-1], action[1:], feat[1:]]
  return tf.concat([tf.cast(x, tf.float32) for x in parts], -1)


def evaluator_loss(real, fake, mask, kind='bce'):
  """The evaluator's objective over the transitions that count.

  Args:
    real: float32 [T, N], logits of replay transitions.
    fake: float32 [T, N], logits of overshoot transitions.
    mask: float32 [T, N], 0 or 1.
    kind: `bce` is eq. 3, softplus(-real) + softplus(fake); `linear` is the
      difference of the probabilities, fake minus real.

  Returns:
    float32 scalar, the masked mean; 0 if nothing counts.

  Raises:
    ValueError: for an unknown kind.
  """
  if kind == 'bce':
    loss = tf.nn.softplus(-real) + tf.nn.softplus(fake)
  elif kind == 'linear':
    loss = tf.nn.sigmoid(fake) - tf.nn.sigmoid(real)
  else:
    raise ValueError(f'eva_loss is one of {LOSSES}, not {kind!r}.')
  return masked_mean(loss, mask)


def masked_mean(value, mask):
  """Mean over the elements whose mask is 1; 0 if there are none."""
  # A masked element may be anything, even infinite: 0 * inf is not 0.
  value = tf.where(mask > 0, value, tf.zeros_like(value))
  return tf.reduce_sum(value) / tf.maximum(tf.reduce_sum(mask), 1.0)


class TrajectoryEvaluator(Extension):
  """A discriminator on transitions with an optimizer of its own."""

  def __init__(self, config):
    """Creates the evaluator; its variables appear with the first call.

    Args:
      config: upstream's Config with our `idm` section.
    """
    super().__init__(config)
    self._horizon = config.idm.eva_horizon or config.imag_horizon
    self._loss = config.idm.eva_loss
    self._head = upstream.common.MLP([], dist='binary', **config.idm.eva_head)
    self._opt = upstream.common.Optimizer('evaluator', **config.idm.eva_opt)

  def logit(self, feat, action):
    """Log odds that each transition is real.

    Args:
      feat: float [T + 1, N, F], time-major.
      action: float [T + 1, N, A]; action[t + 1] leads from feat t to t + 1.

    Returns:
      float32 [T, N].
    """
    return self._logit(transition(feat, action))

  def _logit(self, inputs):
    dist = self._head(inputs)
    assert isinstance(dist.distribution, tfd.Bernoulli), dist
    return dist.distribution.logits

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`: `outs` gets `overshoot`, see `transitions`.

    Here, before the world model's step, posteriors and overshoots come from
    the same parameters. The loss stays as it is.
    """
    outs['overshoot'] = self.transitions(
        model.rssm, outs['post'], data['action'], data['is_first'])
    return None, {}

  def transitions(self, rssm, post, action, is_first):
    """Real and overshoot transitions under the model's current parameters.

    Args:
      rssm: upstream's EnsembleRSSM.
      post: dict of posterior tensors [B, L, ...].
      action: float [B, L, A], as in the replay.
      is_first: bool [B, L].

    Returns:
      dict: `real` and `fake`, float32 [T, N, 2 F + A] without gradient, and
      `mask`, float32 [T, N]; N = B * W. T is the horizon, or L - 1 if the
      chunks are shorter.
    """
    horizon = min(self._horizon, action.shape[1] - 1)
    cut = lambda x: windows(tf.stop_gradient(x), horizon)
    post = {k: cut(v) for k, v in post.items()}
    action, is_first = cut(action), cut(is_first)
    guess = overshoot(
        rssm.img_step, {k: v[0] for k, v in post.items()}, action)
    real = transition(rssm.get_feat(post), action)
    fake = transition(rssm.get_feat(guess), action)
    return {
        'real': tf.stop_gradient(real), 'fake': tf.stop_gradient(fake),
        'mask': transition_mask(is_first)}

  def train(self, outs):
    """See `Extension.train`: one step of the evaluator, on `transitions`."""
    data = outs['overshoot']
    with tf.GradientTape() as tape:
      # One pass over both halves: the matrix products are twice as tall.
      inputs = tf.concat([data['real'], data['fake']], 1)
      real, fake = tf.split(self._logit(inputs), 2, 1)
      loss = evaluator_loss(real, fake, data['mask'], self._loss)
    metrics = self._opt(tape, loss, self._head)
    mean = lambda x: masked_mean(tf.cast(x, tf.float32), data['mask'])
    metrics['idm_eva_prob_real'] = mean(tf.nn.sigmoid(real))
    metrics['idm_eva_prob_fake'] = mean(tf.nn.sigmoid(fake))
    metrics['idm_eva_accuracy'] = 0.5 * (mean(real > 0) + mean(fake < 0))
    return metrics
