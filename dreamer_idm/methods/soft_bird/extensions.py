"""Soft-BIRD: BIRD with the policy's entropy inside the returns.

  States:     z0       z1       z2       z3        H = 3
  Rewards:    r0       r1       r2       r3        of being in z_t
  Entropies:  e0       e1       e2       e3        of choosing a_{t+1} in z_t
  Targets:    t0       t1       t2                 of r[t] + scale * e[t]

Upstream's reward[t] is a function of z_t, and so must what is added to it be,
or the critic's value of z_t would depend on how z_t was reached: the entropy
that belongs to it is that of the policy IN z_t, as in the soft value of
maximum-entropy methods, V(z_t) = r(z_t) + scale * H(pi(.|z_t)) + d V(z_{t+1}).
The actor learns from t1, t2, ..., so that e0 reaches the critic only (the
actor's entropy in the replay's states is BIRD's own bonus); upstream's
`actor_ent` instead pairs e[t-1] with t[t], and is off here.

The gradient goes into the policy, and through the states into the actions that
led to them. Imagination runs the policy on states without gradient, hence its
hidden layers cannot serve here (as they do in `patches/fast_actor.py`): the
actor is run once more on the imagined states.
"""

from ...agent.extension import Extension
from ...agent.policy_entropy import policy_entropy
from ..bird import extensions as bird


def extensions(config):
  """Builds Soft-BIRD's parts, those that are switched on.

  Args:
    config: upstream's Config with our sections `bird` and `soft_bird`;
      `soft_bird.entropy_reward` switches the entropy.

  Returns:
    list of Extension.
  """
  parts = bird.extensions(config)
  if config.soft_bird.entropy_reward:
    parts.append(EntropyReward(config))
  return parts


class EntropyReward(Extension):
  """The policy's entropy as a part of the imagined rewards."""

  def reward(self, behavior, seq, reward):
    """Adds the scaled entropy; the reward head learns without it.

    Args:
      behavior: the ActorCritic.
      seq: imagined sequence.
      reward: float32 [H + 1, N].

    Returns:
      float32 [H + 1, N]; with `reward_norm` the sum is what is normalised.
    """
    entropy = policy_entropy(behavior.actor, seq['feat'])
    return reward + self.config.soft_bird.entropy_reward * entropy
