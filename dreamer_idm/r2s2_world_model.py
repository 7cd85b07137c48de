"""R2S2: the world model whose decoder stays put under latent noise.

Shapes: B batch, L chunk length, S stochastic size, D deterministic size.
Real states s, h are disturbed by Gaussian noise, and the decoder is asked to
say much the same of both:

  h' = h + sigma_h * eps            s' = s + sigma_s * eps
  o  = mean of decoder(s, h)        o' = mean of decoder(s', h')
  KL = 0.5 * sum over outputs (o' - o)^2        two unit-variance Gaussians
  loss += cst_scale * mean over B, L of max(0, KL - cst_delta)
"""

import tensorflow as tf

from . import upstream


def disturb(stoch, deter, sigma_s, sigma_h):
  """Adds Gaussian noise to a latent state (R2S2's h', s').

  Args:
    stoch: float tensor [..., S].
    deter: float tensor [..., D].
    sigma_s: float, standard deviation of the noise on stoch.
    sigma_h: float, standard deviation of the noise on deter.

  Returns:
    The two disturbed tensors, in the shapes and dtypes of the originals; the
    noise itself is drawn and added in float32.
  """
  def noisy(x, sigma):
    value = tf.cast(x, tf.float32)
    value += sigma * tf.random.normal(tf.shape(value))
    return tf.cast(value, x.dtype)
  return noisy(stoch, sigma_s), noisy(deter, sigma_h)


def decoding_kl(clean, noisy, batch_dims=2):
  """KL between unit-variance Gaussians around two decodings.

  Args:
    clean: dict of float tensors [B, L, ...], decoder means o.
    noisy: dict of the same, decoder means o'.
    batch_dims: int, number of leading dimensions that are kept.

  Returns:
    float32 [B, L], nats: 0.5 * (o' - o)^2 summed over all that a key decodes
    and over the keys.
  """
  total = 0.0
  for key, mean in clean.items():
    error = tf.cast(noisy[key], tf.float32) - tf.cast(mean, tf.float32)
    axes = list(range(batch_dims, len(error.shape)))
    total += 0.5 * tf.reduce_sum(tf.square(error), axes)
  return total


def hinge(kl, delta):
  """The constraint: what the KL exceeds its margin by.

  Args:
    kl: float32 [B, L], nats.
    delta: float, margin in nats. No gradient below it.

  Returns:
    float32 scalar, mean over B and L of max(0, kl - delta), and float32
    scalar in [0, 1], the share of states above the margin.
  """
  loss = tf.reduce_mean(tf.maximum(0.0, kl - delta))
  active = tf.reduce_mean(tf.cast(kl > delta, tf.float32))
  return loss, active


def share(count, fraction):
  """Draws a random share of states without replacement.

  Args:
    count: int, number of states.
    fraction: float in (0, 1].

  Returns:
    int32 [max(1, round(fraction * count))], distinct, in [0, count).
  """
  size = max(1, round(fraction * count))
  return tf.random.shuffle(tf.range(count))[:size]


class _Last:
  """Holds a decoding for its reader; a plain object, so never a variable."""

  dists: dict = {}


class RememberingDecoder(upstream.common.Decoder):
  """Upstream's decoder, whose latest output can be read again.

  Upstream's `WorldModel.loss` decodes the clean states for the likelihood and
  keeps the result to itself. A second clean decode would cost a third of the
  update, so the first one is kept here.
  """

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self._last = _Last()

  def __call__(self, features):
    """Decodes and remembers.

    Args:
      features: float tensor [..., S + D].

    Returns:
      dict of distributions, as upstream's.
    """
    dists = super().__call__(features)
    # The means are left to the reader: with the constraint off, the graph
    # stays upstream's.
    self._last.dists = dists
    return dists

  def take(self):
    """Hands out the means of the latest call, once.

    Returns:
      dict of float tensors [..., *shape of the key].
    """
    dists, self._last.dists = self._last.dists, {}
    return {k: v.mean() for k, v in dists.items()}


class R2S2WorldModel(upstream.agent.WorldModel):
  """Upstream's world model, with the constraint and the evaluator's data."""

  def __init__(self, config, obs_space, tfstep, evaluator=None):
    """Creates the model.

    Args:
      config: upstream's Config with our `idm` section.
      obs_space: dict of gymnasium spaces.
      tfstep: tf.Variable int64, agent steps.
      evaluator: TrajectoryEvaluator that learns beside the model, or None.
    """
    with upstream.parts(Decoder=RememberingDecoder):
      super().__init__(config, obs_space, tfstep)
    self.evaluator = evaluator

  def train(self, data, state=None):
    """Upstream's step of the model, then one of the evaluator.

    The evaluator's transitions were drawn inside `loss`, before the step, so
    that posteriors and overshoots come from the same parameters.

    Args:
      data: dict of tensors [B, L, ...] from the replay.
      state: dict of tensors [B, ...], the latent before the chunk, or None.

    Returns:
      As upstream's: last state, dict of outputs, dict of metrics.
    """
    state, outputs, metrics = super().train(data, state)
    if self.evaluator is not None:
      metrics.update(self.evaluator.train(outputs['overshoot']))
    return state, outputs, metrics

  def loss(self, data, state=None):
    """Upstream's loss plus the decoding constraint.

    Args:
      data: dict of tensors [B, L, ...] from the replay.
      state: dict of tensors [B, ...], or None.

    Returns:
      As upstream's: float32 scalar loss, last state, outputs, metrics.
    """
    loss, last_state, outs, metrics = super().loss(data, state)
    if self.config.idm.cst_scale:
      constraint, mets = self.constraint(outs['post'])
      loss += self.config.idm.cst_scale * constraint
      metrics.update(mets)
    if self.evaluator is not None:
      outs['overshoot'] = self.evaluator.transitions(
          self.rssm, outs['post'], data['action'], data['is_first'])
    return loss, last_state, outs, metrics

  def constraint(self, post):
    """The decoding constraint for the states that were just decoded.

    With `cst_fraction` below 1 a random share of the B L states is disturbed
    and decoded; the mean over them estimates the mean over all, unbiased.

    Args:
      post: dict of posterior tensors [B, L, ...] with stoch and deter; the
        gradient runs through the clean and through the noisy decoding.

    Returns:
      float32 scalar, and a dict of scalar metrics.
    """
    idm = self.config.idm
    clean = self.heads['decoder'].take()
    post = {k: post[k] for k in ('stoch', 'deter')}
    if idm.cst_fraction < 1:
      batch, length = post['deter'].shape[:2]
      some = share(batch * length, idm.cst_fraction)
      pick = lambda x: tf.gather(tf.reshape(x, [-1, *x.shape[2:]]), some)[None]
      clean, post = ({k: pick(v) for k, v in x.items()} for x in (clean, post))
    stoch, deter = disturb(
        post['stoch'], post['deter'], idm.sigma_s, idm.sigma_h)
    feat = self.rssm.get_feat({'stoch': stoch, 'deter': deter})
    self.heads['decoder'](feat)
    kl = decoding_kl(clean, self.heads['decoder'].take())
    tf.debugging.assert_shapes([(kl, ('B', 'L'))])
    loss, active = hinge(kl, idm.cst_delta)
    metrics = {
        'idm_kl': tf.reduce_mean(kl), 'idm_kl_active': active,
        'idm_cst_loss': loss}
    return loss, metrics
