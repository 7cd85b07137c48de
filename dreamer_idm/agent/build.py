"""Building agents."""

import contextlib
import functools
import io

import numpy as np
import tensorflow as tf

from .. import upstream
from . import extended_agent
from . import registry


def build_agent(config, obs_space, act_space, step):
  """Builds the agent that a config asks for, without upstream's prints.

  Args:
    config: upstream's Config with our keys.
    obs_space: dict of gymnasium spaces.
    act_space: dict with the gymnasium space of `action`.
    step: upstream's Counter of agent steps.

  Returns:
    upstream's Agent for `agent: dreamer` without any extension, the agent of a
    method that has its own, otherwise our ExtendedAgent; with all its
    variables.

  Raises:
    UsageError: if there is no such method, or if two extensions would take the
      same place.
  """
  extensions = registry.extensions(config)
  own = registry.own_agent(config.agent)
  if own:
    with contextlib.redirect_stdout(io.StringIO()):
      return own(config, obs_space, act_space, step)
  agent_class = upstream.agent.Agent
  if config.agent != 'dreamer' or extensions:
    agent_class = functools.partial(
        extended_agent.ExtendedAgent, extensions=extensions)
  with contextlib.redirect_stdout(io.StringIO()):
    agent = agent_class(config, obs_space, act_space, step)
    create_variables(agent)
  return agent


def create_variables(agent):
  """Creates all variables, optimizer moments included, without training.

  One training step runs eagerly on a chunk of zeros; afterwards every variable
  has the value that it was created with, also one of an extension's own. A
  graph that finds its variables made is traced once, not twice.
  """
  # Two steps make one transition, the least that an evaluator can rate.
  spaces = {**agent.obs_space, 'action': agent.act_space}
  convert = upstream.common.replay.convert
  data = {
      k: tf.constant(convert(np.zeros((1, 2, *v.shape), v.dtype)))
      for k, v in spaces.items() if not k.startswith('log_')}
  behavior, eagerly = agent._task_behavior, tf.config.functions_run_eagerly()
  config = behavior.config
  behavior.config = config.update({'imag_horizon': 2})  # The least there is.
  tf.config.run_functions_eagerly(True)
  try:
    with _nothing_updated(agent):
      agent.train(data)
  finally:
    tf.config.run_functions_eagerly(eagerly)
    behavior.config = config


@contextlib.contextmanager
def _nothing_updated(agent):
  """Context after which variables, old and new, have their first values."""
  before = [(x, x.numpy()) for x in agent.variables]

  def created(next_creator, **kwargs):
    variable = next_creator(**kwargs)
    before.append((variable, variable.numpy()))
    return variable

  # Gradients would take longer than all the rest.
  stepped = upstream.common.Optimizer.__call__
  upstream.common.Optimizer.__call__ = _only_moments
  try:
    with tf.variable_creator_scope(created):
      yield
  finally:
    upstream.common.Optimizer.__call__ = stepped
  for variable, value in before:
    variable.assign(value)


def _only_moments(self, tape, loss, modules):
  """In the place of an optimizer's step: creates its variables."""
  modules = modules if hasattr(modules, '__len__') else (modules,)
  self._opt._create_all_weights(
      [x for module in modules for x in module.variables])
  return {}
