"""Building agents, and loading trained ones for anything but training."""

import collections
import contextlib
import io
import pathlib

import numpy as np

from . import checkpoints
from . import config as config_lib
from . import environments
from . import upstream
from .errors import UsageError

# A trained agent: config, agent, int env_step, str name of its checkpoint.
Trained = collections.namedtuple(
    'Trained', ['config', 'agent', 'env_step', 'checkpoint'])


def build(config, obs_space, act_space, step):
  """Builds the agent that a config asks for, without upstream's prints.

  Args:
    config: upstream's Config with our keys.
    obs_space: dict of gymnasium spaces.
    act_space: dict with the gymnasium space of `action`.
    step: upstream's Counter of agent steps.

  Returns:
    upstream's Agent or our IDMAgent; its variables appear when it is used.
  """
  if config.agent == 'idm':
    from .agent import IDMAgent
    agent_class = IDMAgent
  else:
    agent_class = upstream.agent.Agent
  with contextlib.redirect_stdout(io.StringIO()):
    return agent_class(config, obs_space, act_space, step)


def create_variables(agent):
  """Runs world model, actor and critic once on zeros, without training.

  Args:
    agent: upstream's Agent or a subclass.
  """
  # Two steps make one transition, the least that an evaluator can rate.
  data = {
      k: np.zeros((1, 2, *v.shape), _dtype(v))
      for k, v in agent.obs_space.items()}
  data['action'] = np.zeros((1, 2, *agent.act_space.shape), np.float32)
  behavior = agent._task_behavior
  _, _, outputs, _ = agent.wm.loss(data)
  feat = outputs['feat'][:, 0]
  for network in (behavior.actor, behavior.critic, behavior._target_critic):
    network(feat)


def _dtype(space):
  # As upstream's driver converts observations.
  if np.issubdtype(space.dtype, np.floating):
    return np.float32
  return np.int32 if np.issubdtype(space.dtype, np.signedinteger) else (
      space.dtype)


def load(run, checkpoint='latest'):
  """Loads a trained agent.

  Args:
    run: pathlib.Path or str, the logdir of a run.
    checkpoint: `latest`, `best`, or an agent step among the latest few.

  Returns:
    Trained.

  Raises:
    UsageError: if there is no such run or checkpoint, or it is damaged.
  """
  run = pathlib.Path(run)
  config = config_lib.saved(run)
  found = checkpoints.Checkpoints(run / 'checkpoints')
  path = found.path(checkpoint)
  if not path:
    raise UsageError(
        f'{run} has no checkpoint {checkpoint}: there is '
        f'{", ".join(found.names()) or "none yet"}')
  step = found.state(checkpoint)['step']
  env, = environments.make_envs(config, 'eval', 1, 0)
  try:
    spaces = env.obs_space, env.act_space
  finally:
    env.close()
  agent = build(config, *spaces, upstream.common.Counter(step))
  with contextlib.redirect_stdout(io.StringIO()):
    create_variables(agent)
  try:
    checkpoints.Checkpoints(run / 'checkpoints', agent).restore(checkpoint)
  except AssertionError as error:
    raise UsageError(
        f'{path} has not the networks of {run / "config.yaml"}: was that file '
        'changed after the training?') from error
  return Trained(
      config, agent, step * config.action_repeat, pathlib.Path(path).name)
