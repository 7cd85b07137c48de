"""Soft-BIRD: the policy's entropy inside the returns (Zhu et al., 2020).

  States:     z0       z1       z2       z3        H = 3
  Rewards:    r0       r1       r2       r3        of being in z_t
  Entropies:  e0       e1       e2       e3        of choosing a_{t+1} in z_t
  Targets:    t0       t1       t2                 of r[t] + scale * e[t]

Upstream's reward[t] is a function of z_t, and so must what is added to it be,
or the critic's value of z_t would depend on how z_t was reached: the entropy
that belongs to it is that of the policy IN z_t, as in the soft value of
maximum-entropy methods, V(z_t) = r(z_t) + scale * H(pi(.|z_t)) + d V(z_{t+1}).
The actor learns from t1, t2, ..., so that e0 reaches the critic only;
upstream's `actor_ent` instead pairs e[t-1] with t[t], and is off here.

The gradient of an entropy goes into the policy. It does not go through the
state, into the actions that led there, as in the authors' code; `bird_soft`
lets it.
"""

import tensorflow as tf

from ...agent.extension import Extension
from ...agent.policy_entropy import policy_entropy


def extensions(config):
  """Builds the method's only part, if it is switched on."""
  return [EntropyReward(config)] if config.soft_bird.entropy_reward else []


class EntropyReward(Extension):
  """The policy's entropy as a part of the imagined rewards."""

  def __init__(self, config, through_states=False):
    """Takes the settings.

    Args:
      config: upstream's Config with our section `soft_bird`.
      through_states: bool, whether the gradient goes through the states too.
    """
    super().__init__(config)
    self._through_states = through_states

  def reward(self, behavior, seq, reward):
    """See `Extension.reward`; the reward head learns without it.

    With `reward_norm` the sum is what is normalised.
    """
    # Imagination runs the policy on states without gradient, but samples an
    # action where the entropy needs the distribution: the actor runs again.
    feat = seq['feat']
    if not self._through_states:
      feat = tf.stop_gradient(feat)
    entropy = policy_entropy(behavior.actor, feat)
    return reward + self.config.soft_bird.entropy_reward * entropy
