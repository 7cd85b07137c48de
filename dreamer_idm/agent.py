"""IDM: Dreamer with its world model and its actor-critic replaced.

Only the wiring: the parts are built here and handed to upstream's agent.
"""

import functools

from . import r2s2_world_model
from . import trajectory_evaluator
from . import upstream
from . import weighted_actor_critic
from .errors import UsageError


class IDMAgent(upstream.agent.Agent):
  """Imagination with Derived Memory on upstream's Dreamer.

  Policy, training step, report and checkpointing are upstream's. With
  `cst_scale` 0, `copies` 0 and `evaluator` False it is upstream's agent, bit
  for bit.
  """

  def __init__(self, config, obs_space, act_space, step):
    """Builds the agent; its variables appear with the first training step.

    Args:
      config: upstream's Config with our `idm` section.
      obs_space: dict of gymnasium spaces.
      act_space: dict with the gymnasium space of `action`.
      step: upstream's Counter of agent steps.

    Raises:
      UsageError: if the latents are discrete.
    """
    idm = config.idm
    wanted = idm.cst_scale or idm.copies or idm.evaluator
    if wanted and config.rssm.discrete:
      raise UsageError(
          'IDM needs Gaussian latents, but rssm.discrete is '
          f'{config.rssm.discrete}: add --rssm.discrete 0 --rssm.stoch 30.')
    evaluator = (
        trajectory_evaluator.TrajectoryEvaluator(config)
        if idm.evaluator else None)
    with upstream.parts(
        WorldModel=functools.partial(
            r2s2_world_model.R2S2WorldModel, evaluator=evaluator),
        ActorCritic=functools.partial(
            weighted_actor_critic.WeightedActorCritic, evaluator=evaluator)):
      super().__init__(config, obs_space, act_space, step)
