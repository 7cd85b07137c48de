"""R2S2: the constraint on how far latent noise moves the decoding (eq. 1).

Shapes: B batch, L chunk length, S stochastic size, D deterministic size.
Real states s, h are perturbed by Gaussian noise, and the decodings of both are
kept close to each other:

  h' = h + sigma_h * eps            s' = s + sigma_s * eps
  o  = mean of decoder(s, h)        o' = mean of decoder(s', h')
  KL = 0.5 * sum over outputs (o' - o)^2        two unit-variance Gaussians
  loss += cst_scale * mean over B, L of max(0, KL - cst_delta)
"""

import tensorflow as tf

from ..agent.extension import Extension


def perturb(stoch, deter, sigma_s, sigma_h):
  """Adds Gaussian noise to a latent state (R2S2's h', s').

  Args:
    stoch: float tensor [..., S].
    deter: float tensor [..., D].
    sigma_s: float, standard deviation of the noise on stoch.
    sigma_h: float, standard deviation of the noise on deter.

  Returns:
    The two perturbed tensors, in the shapes and dtypes of the originals.
  """
  return noisy(stoch, sigma_s), noisy(deter, sigma_h)


def noisy(value, sigma):
  """Adds Gaussian noise, in float32.

  Args:
    value: float tensor [...].
    sigma: float, standard deviation.

  Returns:
    tensor [...] of the same dtype.
  """
  full = tf.cast(value, tf.float32)
  full += sigma * tf.random.normal(tf.shape(full))
  return tf.cast(full, value.dtype)


def decoding_kl(clean, noisy, batch_dims=2):
  """KL between unit-variance Gaussians around two decodings.

  Args:
    clean: dict of float tensors [B, L, ...], decoder means o.
    noisy: dict of the same, decoder means o'.
    batch_dims: int, number of leading dimensions that are kept.

  Returns:
    float32 [B, L], nats: 0.5 * (o' - o)^2 summed over all that a key decodes
    and over the keys.

  Example:
    >>> clean = {'speed': tf.constant([[[1.0, 2.0]]])}
    >>> noisy = {'speed': tf.constant([[[1.0, 4.0]]])}
    >>> decoding_kl(clean, noisy).numpy()
    array([[2.]], dtype=float32)
  """
  total = 0.0
  for key, mean in clean.items():
    error = tf.cast(noisy[key], tf.float32) - tf.cast(mean, tf.float32)
    axes = list(range(batch_dims, len(error.shape)))
    total += 0.5 * tf.reduce_sum(tf.square(error), axes)
  return total


def hinge(kl, delta):
  """The constraint: by how much the KL exceeds its margin.

  Args:
    kl: float32 [B, L], nats.
    delta: float, margin in nats. No gradient below it.

  Returns:
    float32 scalar, mean over B and L of max(0, kl - delta), and float32
    scalar in [0, 1], the fraction of states above the margin.
  """
  loss = tf.reduce_mean(tf.maximum(0.0, kl - delta))
  active = tf.reduce_mean(tf.cast(kl > delta, tf.float32))
  return loss, active


def subset(count, fraction):
  """Draws max(1, round(fraction * count)) distinct int32 in [0, count)."""
  size = max(1, round(fraction * count))
  return tf.random.shuffle(tf.range(count))[:size]


def _means(dists):
  """The means of a decoding: dict of distributions to dict of tensors."""
  return {k: v.mean() for k, v in dists.items()}


class DecodingConstraint(Extension):
  """The constraint as a term of the world model's loss."""

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`; the gradient runs through o and o'.

    With `cst_fraction` below 1 a random subset of the B L states is perturbed
    and decoded; the mean over it is an unbiased estimate of the mean over all.
    """
    idm, decoder = self.config.idm, model.heads['decoder']
    # The likelihood's; a second one would cost a third of the update.
    clean = _means(outs['heads']['decoder'])
    post = {k: outs['post'][k] for k in ('stoch', 'deter')}
    if idm.cst_fraction < 1:
      batch, length = post['deter'].shape[:2]
      some = subset(batch * length, idm.cst_fraction)
      pick = lambda x: tf.gather(tf.reshape(x, [-1, *x.shape[2:]]), some)[None]
      clean, post = ({k: pick(v) for k, v in x.items()} for x in (clean, post))
    noisy = _means(decoder(model.rssm.get_feat(self.perturbed(post))))
    loss, metrics = self.penalty(clean, noisy)
    metrics['idm_cst_loss'] = loss
    return idm.cst_scale * loss, metrics

  def perturbed(self, post):
    """Puts noise on the states, a dict of stoch [B, L, S], deter [B, L, D]."""
    idm = self.config.idm
    stoch, deter = perturb(
        post['stoch'], post['deter'], idm.sigma_s, idm.sigma_h)
    return {'stoch': stoch, 'deter': deter}

  def penalty(self, clean, noisy):
    """Penalises the distance between two decodings.

    Args:
      clean: dict of float tensors [B, L, ...], decoder means o.
      noisy: dict of the same, decoder means o'.

    Returns:
      float32 scalar, and a dict of scalar metrics.
    """
    kl = decoding_kl(clean, noisy)
    tf.debugging.assert_shapes([(kl, ('B', 'L'))])
    loss, active = hinge(kl, self.config.idm.cst_delta)
    return loss, {'idm_kl': tf.reduce_mean(kl), 'idm_kl_active': active}
