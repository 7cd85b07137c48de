"""Evaluation during training: when, and in which environments."""

import contextlib

from ..envs import environments
from ..evaluation import rollout
from . import restarts


class Evaluator:
  """Evaluates an agent on clean and, if it sees images, rotated frames."""

  def __init__(self, config, obs_space, seed, evaluated=None, note=print):
    """Opens the environments.

    Args:
      config: upstream's Config with our keys.
      obs_space: dict of gymnasium spaces, the training environments'.
      seed: int.
      evaluated: int, agent step of the last evaluation; None before any.
      note: function of str, called with each message.
    """
    self._config, self.evaluated = config, evaluated
    # Without evaluations there is no second environment: a robot is but one.
    perturbations: dict = {'eval': None} if config.eval_eps else {}
    if perturbations and config.rotate.degrees and (
        environments.reads_images(config, obs_space)):
      perturbations['eval_rotated'] = {
          'kind': 'rotation', 'strength': config.rotate.degrees,
          'per': config.rotate.per, 'fill': config.rotate.fill}
    self.envs = {
        name: restarts.make_envs(config, 'eval', 1, seed, note, perturb)[0]
        for name, perturb in perturbations.items()}

  @property
  def restarts(self):
    """How often environments were restarted in this process."""
    return sum(x.restarts for x in self.envs.values())

  def due(self, step):
    """Whether an evaluation is due after so many agent steps.

    It is after the prefill, at the first step of each `eval_every` (which
    several environments may step over) and at the end.
    """
    if self.evaluated is None or self.evaluated == step:
      return self.evaluated is None
    every = self._config.eval_every
    return step >= self._config.steps or (
        step // every > self.evaluated // every)

  def evaluate(self, agent, tick=lambda doing: None):
    """Runs `eval_eps` episodes with the actor's mode in each environment.

    Args:
      agent: upstream's Agent or a subclass.
      tick: function of a str, what happens; called at each step.

    Returns:
      dict of `eval` and, with rotation, `eval_rotated` -> Evaluation; empty
      if `eval_eps` is 0.
    """
    results = {}
    for name, env in self.envs.items():
      doing, failures = name.replace('_', ' '), None
      while failures != env.restarts:  # A broken episode does not count.
        failures = env.restarts
        results[name] = rollout.evaluate(
            agent, env, self._config.eval_eps,
            lambda doing=doing: tick(doing))
    return results

  def close(self):
    """Closes the environments."""
    for env in self.envs.values():
      with contextlib.suppress(Exception):
        env.close()
