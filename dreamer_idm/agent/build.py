"""Building agents."""

import contextlib
import io

import numpy as np
import tensorflow as tf

from .. import upstream
from . import extended_agent


def build_agent(config, obs_space, act_space, step):
  """Builds the agent that a config asks for, without upstream's prints.

  Args:
    config: upstream's Config with our keys.
    obs_space: dict of gymnasium spaces.
    act_space: dict with the gymnasium space of `action`.
    step: upstream's Counter of agent steps.

  Returns:
    upstream's Agent, or our ExtendedAgent for all but `agent: dreamer`, with
    all its variables.
  """
  agent_class = (
      upstream.agent.Agent if config.agent == 'dreamer'
      else extended_agent.ExtendedAgent)
  with contextlib.redirect_stdout(io.StringIO()):
    agent = agent_class(config, obs_space, act_space, step)
    create_variables(agent)
  return agent


def create_variables(agent):
  """Creates all variables, optimizer moments included, without training.

  One training step runs eagerly on a chunk of zeros, in which nothing is
  updated. A graph that finds its variables made is traced once, not twice.

  Args:
    agent: upstream's Agent or a subclass.
  """
  # Two steps make one transition, the least that an evaluator can rate.
  data = {
      k: np.zeros((1, 2, *v.shape), _dtype(v))
      for k, v in agent.obs_space.items()}
  data['action'] = np.zeros((1, 2, *agent.act_space.shape), np.float32)
  behavior, eagerly = agent._task_behavior, tf.config.functions_run_eagerly()
  config = behavior.config
  behavior.config = config.update({'imag_horizon': 2})  # The least there is.
  tf.config.run_functions_eagerly(True)
  try:
    with _nothing_updated():
      agent.train(data)
  finally:
    tf.config.run_functions_eagerly(eagerly)
    behavior.config = config


@contextlib.contextmanager
def _nothing_updated():
  def only_moments(self, tape, loss, modules):
    modules = modules if hasattr(modules, '__len__') else (modules,)
    self._opt._create_all_weights(
        [x for module in modules for x in module.variables])
    return {}

  nothing = lambda *args: None
  places = (
      (upstream.common.Optimizer, '__call__', only_moments),
      (upstream.common.StreamNorm, 'update', nothing),
      (upstream.agent.ActorCritic, 'update_slow_target', nothing))
  before = [vars(owner)[name] for owner, name, _ in places]
  try:
    for owner, name, value in places:
      setattr(owner, name, value)
    yield
  finally:
    for (owner, name, _), value in zip(places, before):
      setattr(owner, name, value)


def _dtype(space):
  # As upstream's driver converts observations.
  if np.issubdtype(space.dtype, np.floating):
    return np.float32
  return np.int32 if np.issubdtype(space.dtype, np.signedinteger) else (
      space.dtype)
