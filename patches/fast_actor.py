"""The actor's loss on the policy that imagination has already computed.

Slow: `actor_loss` runs the actor a second time on the imagined states, forward
and backward, for the policy's entropy; with `tanh_normal` it draws 100 actions
a state. With an entropy scale of 0 all of that is for one number in the log.
Does: imagination keeps the actor's last hidden layer of each state, and the
policy is made of those. With scale 0 and dynamics gradients the entropy is kept
out of the gradient, and one action a state is drawn for the log.
Equal: up to the order of the sums, given the same noise; with scale 0 the
logged entropy of a `tanh_normal` policy is an estimate from other draws.
"""

from . import fast


def apply(common, agent):
  """Gives upstream's actor-critic and imagination the faster bodies."""
  common.MLP.get = common.MLP.get  # Its own, not Module's.
  fast.replace(common.MLP, 'get', _get)
  fast.replace(agent.WorldModel, 'imagine', _imagine)
  fast.replace(agent.ActorCritic, 'actor_loss', _actor_loss)


def _get(published, self, name, ctor, *args, **kwargs):
  layer = published(self, name, ctor, *args, **kwargs)
  log = getattr(self, '_hidden', None)
  if name != 'out' or log is None:
    return layer

  def remember(x):
    log.append(x)
    return layer(x)

  return remember


def _imagine(published, self, policy, start, is_terminal, horizon):
  import tensorflow as tf
  if not hasattr(policy, '_modules'):
    return published(self, policy, start, is_terminal, horizon)
  log: list = []
  object.__setattr__(policy, '_hidden', log)
  try:
    seq = published(self, policy, start, is_terminal, horizon)
  finally:
    object.__delattr__(policy, '_hidden')
  # The first call only tells the action's shape.
  seq['policy_hidden'] = tf.stack(log[-horizon:], 0)
  return seq


class _Policy:
  """A policy whose entropy is for the log alone."""

  def __init__(self, dist):
    import tensorflow as tf
    if hasattr(dist, '_samples'):
      dist._samples = 1
    self.entropy = lambda: tf.stop_gradient(dist.entropy())


def _actor_loss(published, self, seq, target):
  import tensorflow as tf
  if 'policy_hidden' not in seq:
    return published(self, seq, target)
  actor, hidden = self.actor, seq['policy_hidden'][:-1]
  unused = self.config.actor_grad == 'dynamics' and (
      str(self.config.actor_ent) in ('0', '0.0'))
  if unused:
    hidden = tf.stop_gradient(hidden)
  policy = actor._modules['out'](hidden)
  policy = _Policy(policy) if unused else policy
  # Past tf.Module's bookkeeping, which is for the parts that last.
  object.__setattr__(self, 'actor', lambda feat: policy)
  try:
    return published(self, seq, target)
  finally:
    object.__setattr__(self, 'actor', actor)
