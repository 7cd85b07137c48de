"""Contrastive Dreamer: states learned by distinguishing observations.

Shapes: B batch, L chunk length, N = B * L, F = S + D feature size, E size of
the embedding. Instead of a reconstruction, the world model's loss has InfoNCE
between the state s and the embedding of its own observation o, against all
observations o' of the batch (Dreamer, Hafner et al., 2020, appendix):

  q(s|o) = N(s; MLP(embed(o)), 1)
  loss  += scale * mean over s of -(ln q(s|o) - ln sum over o' of q(s|o'))
"""

import tensorflow as tf

from ... import upstream
from ...agent.extension import Extension


def extensions(config):
  """Builds the contrastive loss, if it is switched on."""
  return [ContrastiveLoss(config)] if config.contrastive.scale else []


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
  # Rows are states, columns observations. What is the same in a whole row, as
  # the square of the state and the normalisation are, leaves its softmax alone.
  logits = tf.matmul(feat, mean, transpose_b=True)
  logits -= 0.5 * tf.reduce_sum(tf.square(mean), -1)
  return contrast(logits)


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
    rows = lambda x: tf.reshape(
        tf.cast(x, tf.float32), [-1, x.shape[-1]])
    mean = self._head(outs['embed']).mean()
    loss, accuracy = info_nce(rows(outs['feat']), rows(mean))
    return self.config.contrastive.scale * loss, {
        'contrastive_loss': loss, 'contrastive_accuracy': accuracy}
