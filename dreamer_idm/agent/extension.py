"""What a method may add to Dreamer: the hooks, each of which does nothing.

Shapes: B batch, L chunk length, H horizon, N imagined trajectories, F = S + D
feature size. A method is a list of extensions, see `registry`. In the order in
which an update asks them; brackets are hooks, lines are the tapes:

  replay --> [batch]
  model tape:  [preprocess] -> upstream's loss -> [model_loss]
  step of the world model -> [train]
  [starts]
  actor tape:  imagination -> [reward] -> [target], [weights]
               -> [actor_target] -> upstream's loss -> [actor_loss]
  critic tape: upstream's loss
  steps of actor and critic

To act, the agent asks [preprocess] and [act]; what it imagines for a user goes
through [postprocess], in reverse order. An imagined sequence `seq` is
upstream's dict of tensors [H + 1, N, ...]: `feat`, `stoch`, `deter`, `action`,
`reward`, `discount`, `weight` and the latents' statistics; action[t + 1] is
taken at feat[t] and leads to feat[t + 1], action[0] is zeros.

What is switched off should be left out of the list, not multiplied by zero:
without extensions an update is upstream's, bit for bit.

An extension may keep numbers of its own in tf.Variables that are attributes of
it: they are saved with the agent. Building an agent runs one update on zeros to
create all variables; afterwards each has its first value again.
"""

from .. import upstream
from ..errors import UsageError

TARGET = 'target of '  # Before the key of an observation, see `batch`.


class Extension(upstream.common.Module):
  """One thing that a method adds; subclasses override what they need.

  Attributes:
    config: upstream's Config with our keys.
    classes: dict of names of upstream's classes to subclasses that the world
      model is built from instead, such as {'Encoder': MyEncoder}; no two
      extensions may name the same class.
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

  def batch(self, data):
    """Outside of any tape, once per update: changes the replay's batch.

    The world model learns from what is returned; acting and reports are not
    asked. The flags that mark episodes must stay. What the decoder is to
    predict in place of an observation may be added as TARGET + its key.

    Args:
      data: dict of tensors [B, L, ...] as the replay stores them, images
        uint8; action[:, t] led to observation t.

    Returns:
      dict of tensors [B, L, ...] of the same dtypes; the one that was given is
      not to be changed.
    """
    return data

  def preprocess(self, obs):
    """Under the model's tape in training, else none: changes all inputs.

    Asked wherever upstream preprocesses: in the world model's loss, in acting
    and in reports, so that the networks see the same kind of numbers
    everywhere. The decoder's targets are what is returned here, too.

    Args:
      obs: dict of tensors [..., ...] after upstream's preprocessing: images
        in [-0.5, 0.5], rewards clipped; the leading dimensions are [B, L] in
        training and [n] in acting.

    Returns:
      dict of tensors of the same shapes; the one that was given is not to be
      changed.
    """
    return obs

  def postprocess(self, decoded):
    """Outside of any tape: undoes `preprocess` for what the decoder predicts.

    Args:
      decoded: dict of float32 tensors [..., ...], some of the observations, as
        the networks see them.

    Returns:
      dict of tensors of the same shapes, as `preprocess` gets them.
    """
    return decoded

  def model_loss(self, model, data, outs):
    """Under the model's tape: adds to the world model's loss.

    Args:
      model: the WorldModel: encoder, rssm, heads, preprocess.
      data: dict of tensors [B, L, ...] as `batch` returns them.
      outs: dict of what upstream's loss returns: embed [B, L, E], feat
        [B, L, F], post and prior (dicts of [B, L, ...]), kl [B, L]; and
        heads, the output of each head by name: a distribution, or the
        decoder's dict of them by key. What is put in here reaches `train`.

    Returns:
      float32 scalar to be added, scaled, or None; and a dict of scalar metrics.
    """
    return None, {}

  def train(self, outs):
    """Outside of any tape, after the model's step: steps other optimizers.

    Args:
      outs: dict, see `model_loss`; from before the world model's step.

    Returns:
      dict of scalar metrics.
    """
    return {}

  def starts(self, start, is_terminal):
    """Outside of any tape: changes the states that imagination starts from.

    Args:
      start: dict of posterior tensors [B, L, ...].
      is_terminal: bool [B, L].

    Returns:
      dict of tensors [B', L, ...] and bool [B', L].
    """
    return start, is_terminal

  def reward(self, behavior, seq, reward):
    """Under the actor's tape: changes the rewards that make up the returns.

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
    """Under the actor's tape: replaces the lambda returns of actor and critic.

    As with `reward`, evaluations then leave the critic's values out.

    Args:
      behavior: the ActorCritic.
      seq: imagined sequence.

    Returns:
      None for upstream's lambda returns, else float32 [H, N] and a dict of
      scalar metrics. No two extensions may override this.
    """
    return None

  def weights(self, seq):
    """Under the actor's tape: weights imagined steps in both losses.

    The weights of several extensions are multiplied.

    Args:
      seq: imagined sequence.

    Returns:
      None, or: the actor's weights and the critic's, each float32 [H, N]
      without gradient, or None; and a dict of scalar metrics. Element t
      belongs to target t, of the state t.
    """
    return None

  def actor_target(self, behavior, target):
    """Under the actor's tape: changes the targets of the actor's loss alone.

    The critic still learns from what `target` returned. With the actor's
    gradient `reinforce` or `both` upstream subtracts the critic's value from
    the result.

    Args:
      behavior: the ActorCritic.
      target: float32 [H, N].

    Returns:
      float32 [H, N], and a dict of scalar metrics.
    """
    return target, {}

  def actor_loss(self, behavior, seq):
    """Under the actor's tape: adds to the actor's loss.

    Args:
      behavior: the ActorCritic.
      seq: imagined sequence; its first states are the starts.

    Returns:
      float32 scalar to be added, scaled, or None; and a dict of scalar metrics.
    """
    return None, {}

  def act(self, model, behavior, feat):
    """Outside of any tape: chooses the action in the actor's place.

    Args:
      model: the WorldModel.
      behavior: the ActorCritic.
      feat: float [n, F], the current posterior states.

    Returns:
      None for the actor's policy, else a distribution over actions [n, A] of
      which `mode()` is used in evaluation and `sample()` in training;
      upstream adds eval_noise or expl_noise to either. No two extensions may
      override this.
    """
    return None


def check_together(extensions):
  """Checks that no extension takes the place of another one.

  Args:
    extensions: list of Extension, those of one agent.

  Raises:
    UsageError: if two of them override `target` or `act`, or replace the same
      class of upstream's; names both.
  """
  taken: dict = {}
  for extension in extensions:
    kind = type(extension)
    places = [
        f'the hook {x}' for x in ('target', 'act')
        if getattr(kind, x) is not getattr(Extension, x)]
    places += [f"upstream's class {x}" for x in extension.classes]
    name = f'{kind.__module__}.{kind.__qualname__}'
    for place in places:
      if place in taken:
        raise UsageError(
            f'{taken[place]} and {name} both replace {place}, which only one '
            'extension can: switch one of them off')
      taken[place] = name
