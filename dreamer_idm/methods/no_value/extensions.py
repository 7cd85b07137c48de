"""Dreamer without a value model: the actor maximises imagined rewards alone.

The variant of the Dreamer paper (Hafner et al., ICLR 2020, section 5) that
shows what the critic is good for: nothing behind the horizon counts. The sums
are discounted as upstream's returns are; --discount 1 makes them the paper's
V_R (eq. 4).
"""

import tensorflow as tf

from ... import upstream
from ...agent.extension import Extension


def extensions(config):
  """Builds the method's only part."""
  return [RewardSums(config)]


def reward_sums(reward, discount):
  """Discounted sums of the rewards from each step to the horizon.

  Args:
    reward: float32 [H + 1, N], of being in each state.
    discount: float32 [H + 1, N]; [t] stands between the rewards t and t + 1,
      the last one is not read.

  Returns:
    float32 [H, N]; [t] is the sum over k = t..H of reward[k] times the product
    of discount[t..k - 1].
  """
  return upstream.common.static_scan(
      lambda following, now: now[0] + now[1] * following,
      (reward[:-1], discount[:-1]), reward[-1], reverse=True)


class RewardSums(Extension):
  """Sums of imagined rewards as the actor's targets."""

  unused = ('critic',)

  def target(self, behavior, seq):
    """See `Extension.target` and `reward_sums`."""
    target = reward_sums(
        tf.cast(seq['reward'], tf.float32),
        tf.cast(seq['discount'], tf.float32))
    return target, {'actor_target': tf.reduce_mean(target)}
