"""Upstream's exploration at random cannot be built.

Broken: `Random.__init__` reads its action space instead of keeping it, and
takes `actor.dist: auto` for continuous actions.
Since: dreamerv2 2.2.0.
Repairs: the space is kept, and tells the kind of actions.
Can go: when upstream's class does so.
"""


def apply(expl):
  """Replaces the class's `__init__`."""

  def init(self, config, act_space, wm, tfstep, reward):
    if hasattr(act_space, 'n'):
      config = config.update({'actor.dist': 'onehot'})
    self.config, self.act_space = config, act_space

  expl.Random.__init__ = init
