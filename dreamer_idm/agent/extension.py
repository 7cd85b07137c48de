"""What a method may add to Dreamer: the hooks, each of which does nothing.

Shapes: B batch, L chunk length, H horizon, N imagined trajectories, F = S + D
feature size. A method is a list of extensions, see `methods`. In the order in
which an update asks them:

  replay -> [model_loss] world-model step [train] -> [starts] imagination
  -> [reward] -> [target] -> [weights] -> [actor_loss] actor and critic steps

and [act] when the agent acts. An imagined sequence `seq` is upstream's dict of
tensors [H + 1, N, ...]: `feat`, `stoch`, `deter`, `action`, `reward`,
`discount`, `weight` and the latents' statistics; action[t + 1] is taken at
feat[t] and leads to feat[t + 1], action[0] is zeros.

What is switched off should be left out of the list, not multiplied by zero:
without extensions an update is upstream's, bit for bit.
"""

from .. import upstream


class Extension(upstream.common.Module):
  """One thing that a method adds; subclasses override what they need.

  Attributes:
    config: upstream's Config with our keys.
    classes: dict of names of upstream's classes to subclasses that the world
      model is built from instead, such as {'Decoder': RememberingDecoder}; of
      two extensions that name the same class, the later one is heard.
    unused: names, of `actor` and `critic`, of what this method does not train.
    model_modules: modules with variables beside the world model's own that its
      optimizer trains too.
  """

  classes: dict = {}
  unused: tuple = ()
  model_modules: tuple = ()

  def __init__(self, config):
    """Keeps the config; variables appear with the first call.

    Args:
      config: upstream's Config with our keys.
    """
    self.config = config

  def model_loss(self, model, data, outs):
    """Adds to the world model's loss, inside the tape of its step.

    Args:
      model: the WorldModel: encoder, rssm, heads, preprocess.
      data: dict of tensors [B, L, ...] from the replay, images uint8;
        action[:, t] led to observation t.
      outs: dict of what upstream's loss returns: embed [B, L, E], feat
        [B, L, F], post and prior (dicts of [B, L, ...]), kl [B, L]. What is
        put in here reaches `train`.

    Returns:
      float32 scalar to be added, scaled, or None; and a dict of scalar metrics.
    """
    return None, {}

  def train(self, outs):
    """Steps optimizers of the extension's own, after the world model's.

    Args:
      outs: dict, see `model_loss`; from before the world model's step.

    Returns:
      dict of scalar metrics.
    """
    return {}

  def starts(self, start, is_terminal):
    """Changes the states that imagination starts from.

    Args:
      start: dict of posterior tensors [B, L, ...]; no gradient is taken.
      is_terminal: bool [B, L].

    Returns:
      dict of tensors [B', L, ...] and bool [B', L].
    """
    return start, is_terminal

  def reward(self, behavior, seq, reward):
    """Changes the rewards that the returns are made of.

    The critic then no longer predicts what an episode returns, and evaluations
    leave the comparison out.

    Args:
      behavior: the ActorCritic: actor, critic.
      seq: imagined sequence, without `reward`.
      reward: float32 [H + 1, N], the reward head's for each state.

    Returns:
      float32 [H + 1, N].
    """
    return reward

  def target(self, behavior, seq):
    """Replaces the lambda returns that actor and critic learn from.

    As with `reward`, evaluations then leave the critic's values out.

    Args:
      behavior: the ActorCritic.
      seq: imagined sequence.

    Returns:
      None for upstream's lambda returns, else float32 [H, N] and a dict of
      scalar metrics. At most one extension of a method does so.
    """
    return None

  def weights(self, seq):
    """Weighs the steps of imagined trajectories in both losses.

    The weights of several extensions are multiplied.

    Args:
      seq: imagined sequence.

    Returns:
      None, or: the actor's weights and the critic's, each float32 [H, N]
      without gradient, or None; and a dict of scalar metrics. Element t weighs
      target t, of the state t.
    """
    return None

  def actor_loss(self, behavior, seq):
    """Adds to the actor's loss, inside the tape of its step.

    Args:
      behavior: the ActorCritic.
      seq: imagined sequence; its first states are the starts.

    Returns:
      float32 scalar to be added, scaled, or None; and a dict of scalar metrics.
    """
    return None, {}

  def act(self, model, behavior, feat):
    """Chooses the action in the environment, in the actor's place.

    Args:
      model: the WorldModel.
      behavior: the ActorCritic.
      feat: float [n, F], the current posterior states.

    Returns:
      None for the actor's policy, else a distribution over actions [n, A] of
      which `mode()` is used in evaluation and `sample()` in training;
      upstream adds eval_noise or expl_noise to either.
    """
    return None
