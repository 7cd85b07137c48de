"""Contrastive Dreamer: states learned by distinguishing observations.

Shapes: B batch, L chunk length, N = B * L, F = S + D feature size, E size of
the embedding. Instead of a reconstruction, the world model's loss has InfoNCE
between the state s and the embedding of its own observation o, against all
observations o' of the batch (Dreamer, Hafner et al., 2020, appendix):

  q(s|o) = N(s; MLP(embed(o)), 1)
  loss  += scale * mean over s of -(ln q(s|o) - ln sum over o' of q(s|o'))

Behind IDM, whose constraint (eq. 1) has no decoding to hold then, what a state
says of the batch's observations takes its place; ours, not the papers':

  p(o|s) = q(s|o) / sum over o' of q(s|o')      of all observations of the batch
  KL     = sum over o of p(o|s) (ln p(o|s) - ln p(o|s'))     s' perturbed as in
  loss  += idm.cst_scale * mean of max(0, KL - idm.cst_delta)             IDM
"""

import tensorflow as tf

from ... import idm
from ... import upstream
from ...agent.extension import Extension
from ...idm import decoding_constraint


def extensions(config):
  """Builds the contrastive loss, if it is on, and IDM's constraint with it."""
  parts: list[Extension] = []
  if config.contrastive.scale:
    parts.append(ContrastiveLoss(config))
    if config.idm.cst_scale and idm.contrasts(config):
      parts.append(ObservationConstraint(config))
  return parts


def info_nce(feat, mean):
  """Measures how badly observations distinguish their states from others.

  Args:
    feat: float32 [N, F], states.
    mean: float32 [N, F], means of q(s|o); row i is of state i's observation.

  Returns:
    float32 scalar loss in nats, ln N where all are alike, and float32
    scalar in [0, 1], the fraction of states whose own observation is the
    likeliest.
  """
  return contrast(log_likelihoods(feat, mean))


def log_likelihoods(feat, mean):
  """ln q(s|o) of all pairs, up to a number of each state's own.

  Args:
    feat: float32 [M, F], states.
    mean: float32 [N, F], means of q(s|o).

  Returns:
    float32 [M, N]; a row's softmax is p(o|s).
  """
  # What is the same in a whole row, as the square of the state and the
  # normalisation are, leaves its softmax alone.
  return tf.matmul(feat, mean, transpose_b=True) - (
      0.5 * tf.reduce_sum(tf.square(mean), -1))


def observation_kl(clean, noisy, mean):
  """KL between what states and perturbed states say of the observations.

  Args:
    clean: float32 [M, F], states.
    noisy: float32 [M, F], the same states with noise.
    mean: float32 [N, F], means of q(s|o).

  Returns:
    float32 [M], nats, of p(o|s) from p(o|s').
  """
  log_p, log_q = (
      tf.nn.log_softmax(log_likelihoods(x, mean)) for x in (clean, noisy))
  return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), -1)


def contrast(logits):
  """Cross-entropy of finding the own one among all.

  Args:
    logits: float32 [N, N]; the own one of row i is column i.

  Returns:
    float32 scalar in nats, ln N where all are alike, and float32 scalar in
    [0, 1], the fraction of rows whose own column is the largest.
  """
  own = tf.range(tf.shape(logits)[0])
  loss = tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits)
  hits = tf.equal(tf.argmax(logits, -1, tf.int32), own)
  return tf.reduce_mean(loss), tf.reduce_mean(tf.cast(hits, tf.float32))


class ContrastiveLoss(Extension):
  """InfoNCE as a term of the world model's loss, with a head of its own."""

  def __init__(self, config):
    """Creates the head; its variables appear with the first call.

    Args:
      config: upstream's Config with our `contrastive` section.
    """
    super().__init__(config)
    rssm = config.rssm
    self._head = upstream.common.MLP(
        rssm.stoch * (rssm.discrete or 1) + rssm.deter, dist='mse',
        **config.contrastive.head)
    self.model_modules = (self._head,)

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`; through `embed` and `feat` alike."""
    mean = _rows(self._head(outs['embed']).mean())
    outs['contrastive'] = mean
    loss, accuracy = info_nce(_rows(outs['feat']), mean)
    return self.config.contrastive.scale * loss, {
        'contrastive_loss': loss, 'contrastive_accuracy': accuracy}


class ObservationConstraint(Extension):
  """IDM's constraint, on what states say of the batch's observations."""

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`; the gradient runs through both.

    With `cst_fraction` below 1 a random subset of the states is perturbed, as
    in `DecodingConstraint`; the observations are all of the batch's.
    """
    settings, post = self.config.idm, outs['post']
    stoch, deter = decoding_constraint.perturb(
        post['stoch'], post['deter'], settings.sigma_s, settings.sigma_h)
    clean = _rows(outs['feat'])
    noisy = _rows(model.rssm.get_feat({'stoch': stoch, 'deter': deter}))
    if settings.cst_fraction < 1:
      some = decoding_constraint.subset(
          clean.shape[0], settings.cst_fraction)
      clean, noisy = tf.gather(clean, some), tf.gather(noisy, some)
    kl = observation_kl(clean, noisy, outs['contrastive'])
    loss, active = decoding_constraint.hinge(kl, settings.cst_delta)
    return settings.cst_scale * loss, {
        'idm_kl': tf.reduce_mean(kl), 'idm_kl_active': active,
        'idm_cst_loss': loss}


def _rows(value):
  """[B, L, F] to float32 [B * L, F]."""
  return tf.reshape(tf.cast(value, tf.float32), [-1, value.shape[-1]])
