"""Discrete actions, which upstream's agent chooses as one-hot vectors."""

from ..runs import spaces
from ..upstream import envs as upstream_envs


class OneHotAction(upstream_envs.OneHotAction):
  """Upstream's wrapper, with a space that other processes can be sent.

  The one that upstream makes holds on to the environment.
  """

  @property
  def act_space(self):
    """dict with the OneHot space of `action`."""
    space = self._env.act_space[self._key]
    return {**self._env.act_space, self._key: spaces.OneHot(int(space.n))}
