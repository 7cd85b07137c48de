"""Upstream's agent, world model and actor-critic, with the hooks in place.

Each method calls upstream's, whose arguments and results it has, and asks the
extensions; shapes are in `extension`.
"""

import contextlib
import functools

from .. import upstream
from . import loss_weights
from . import registry
from .extension import check_together
from .extension import TARGET


class _OptimizerOfMore(upstream.common.Module):
  """An optimizer that also steps modules which its caller does not name."""

  def __init__(self, optimizer, modules):
    self._optimizer, self._modules_too = optimizer, list(modules)

  def __call__(self, tape, loss, modules):
    return self._optimizer(tape, loss, [*modules, *self._modules_too])

  @property
  def variables(self):
    return self._optimizer.variables


class ExtendedWorldModel(upstream.agent.WorldModel):
  """Upstream's world model: more losses, and steps of other optimizers."""

  def __init__(self, config, obs_space, tfstep, extensions=()):
    """As upstream's, with a sequence of Extension."""
    classes = {k: v for x in extensions for k, v in x.classes.items()}
    with upstream.parts(**classes):
      super().__init__(config, obs_space, tfstep)
    self.extensions = list(extensions)
    more = [m for x in extensions for m in x.model_modules]
    if more:
      self.model_opt = _OptimizerOfMore(
          self.model_opt, more)  # type: ignore[has-type]

  def train(self, data, state=None):
    """Upstream's step of the model, then those of the extensions."""
    for extension in self.extensions:
      data = extension.batch(data)
    state, outputs, metrics = super().train(data, state)
    for extension in self.extensions:
      metrics.update(extension.train(outputs))
    return state, outputs, metrics

  def preprocess(self, obs):
    """Upstream's preprocessing, then that of the extensions.

    Upstream calls it on all that its networks see: batches of training, the
    observations to act on, and the chunks of a report.
    """
    obs = super().preprocess(obs)
    for extension in self.extensions:
      obs = extension.preprocess(obs)
    return obs

  def loss(self, data, state=None):
    """Upstream's loss plus those of the extensions."""
    targets = {
        k.removeprefix(TARGET): v for k, v in self.preprocess(data).items()
        if k.startswith(TARGET)} if any(TARGET in x for x in data) else {}
    with self._recorded_heads(targets) as heads:
      loss, last_state, outs, metrics = super().loss(data, state)
    outs['heads'] = heads
    for extension in self.extensions:
      more, found = extension.model_loss(self, data, outs)
      loss = loss if more is None else loss + more
      metrics.update(found)
    return loss, last_state, outs, metrics

  @contextlib.contextmanager
  def _recorded_heads(self, targets):
    """Context that records the output of each head, in a dict by name.

    Upstream's loss takes likelihoods from the outputs and drops them, so that
    an extension that needs the decoding would have to decode again. Those of
    `targets`, by key, are taken of these and not of the observations.
    """
    heads, outputs = self.heads, {}

    def recorded(name, head):
      def call(feat):
        found = outputs[name] = head(feat)
        return found if name != 'decoder' else {
            k: _Likelihood(v, targets[k]) if k in targets else v
            for k, v in found.items()}
      return call

    calls = {k: recorded(k, v) for k, v in heads.items()}
    with _replaced(self, 'heads', calls):
      yield outputs


class _Likelihood:
  """A distribution whose likelihood is that of a value known beforehand."""

  def __init__(self, dist, value):
    self._dist, self._value = dist, value

  def log_prob(self, _):
    return self._dist.log_prob(self._value)


@contextlib.contextmanager
def _replaced(module, name, value):
  """Context in which an attribute of a tf.Module is another one."""
  before = getattr(module, name)
  # Past tf.Module's bookkeeping, which is for the parts that last.
  object.__setattr__(module, name, value)
  try:
    yield
  finally:
    object.__setattr__(module, name, before)


class ExtendedActorCritic(upstream.agent.ActorCritic):
  """Upstream's actor-critic: other starts, rewards, returns and weights."""

  def __init__(self, config, act_space, tfstep, extensions=()):
    """As upstream's, with a sequence of Extension."""
    super().__init__(config, act_space, tfstep)
    self.extensions = list(extensions)
    self.unused = frozenset(y for x in extensions for y in x.unused)
    if 'critic' in self.unused:
      self.critic_opt = _no_step

  def train(self, world_model, start, is_terminal, reward_fn):
    """Upstream's step on the starts and rewards of the extensions."""
    if 'actor' in self.unused:
      return {}
    for extension in self.extensions:
      start, is_terminal = extension.starts(start, is_terminal)

    def reward(seq):
      value = reward_fn(seq)
      for extension in self.extensions:
        value = extension.reward(self, seq, value)
      return value

    return super().train(world_model, start, is_terminal, reward)

  def target(self, seq):
    """The returns to learn from; weights the sequence on the way.

    Upstream calls this before both losses and hands all three the same dict:
    the weights travel in it as `actor_weight` and `critic_weight`, [H, N].
    """
    found = [x.target(self, seq) for x in self.extensions]
    found = [x for x in found if x is not None]
    target, metrics = found[0] if found else super().target(seq)
    product: dict = {}
    for extension in self.extensions:
      weights = extension.weights(seq)
      if weights is None:
        continue
      *both, more = weights
      for key, weight in zip(('actor_weight', 'critic_weight'), both):
        if weight is not None:
          product[key] = product[key] * weight if key in product else weight
      metrics.update(more)
    # Set, not multiplied: a second call must not square the weights.
    seq.update(product)
    return target, metrics

  def actor_loss(self, seq, target):
    """Upstream's actor loss, weighted, plus the terms of the extensions."""
    changes = {}
    for extension in self.extensions:
      target, found = extension.actor_target(self, target)
      changes.update(found)
    loss, metrics = super().actor_loss(
        _weighted(seq, 'actor_weight', loss_weights.actor_weights), target)
    metrics.update(changes)
    for extension in self.extensions:
      more, found = extension.actor_loss(self, seq)
      loss = loss if more is None else loss + more
      metrics.update(found)
    return loss, metrics

  def critic_loss(self, seq, target):
    """Upstream's critic loss, weighted."""
    if 'critic' in self.unused:
      return 0.0, {}
    return super().critic_loss(
        _weighted(seq, 'critic_weight', loss_weights.critic_weights), target)


def _no_step(tape, loss, modules):
  return {}


def _weighted(seq, key, place):
  if key not in seq:
    return seq
  return {**seq, 'weight': place(seq['weight'], seq[key])}


class ExtendedAgent(upstream.agent.Agent):
  """Dreamer with the extensions of a method.

  Training step and report are upstream's; `runs.checkpoints` saves it. With
  all of its switches off a method has no extensions, and this is upstream's
  agent, bit for bit.
  """

  def __init__(self, config, obs_space, act_space, step, extensions=None):
    """Builds the agent; its variables appear with the first training step.

    Args:
      config: upstream's Config with our keys; `agent` names the method.
      obs_space: dict of gymnasium spaces.
      act_space: dict with the gymnasium space of `action`.
      step: upstream's Counter of agent steps.
      extensions: list of Extension; None for those of the config.

    Raises:
      UsageError: if there is no such method, or if two extensions would take
        the same place.
    """
    if extensions is None:
      extensions = registry.extensions(config)
    check_together(extensions)
    with upstream.parts(
        WorldModel=functools.partial(
            ExtendedWorldModel, extensions=extensions),
        ActorCritic=functools.partial(
            ExtendedActorCritic, extensions=extensions)):
      super().__init__(config, obs_space, act_space, step)

  def policy(self, obs, state=None, mode='train'):
    """Acts; upstream's, with an extension's action in the actor's place."""
    behavior = self._task_behavior
    actor = behavior.actor

    def choose(feat):
      for extension in behavior.extensions:
        policy = extension.act(self.wm, behavior, feat)
        if policy is not None:
          return policy
      return actor(feat)

    with _replaced(behavior, 'actor', choose):
      return super().policy(obs, state, mode)
