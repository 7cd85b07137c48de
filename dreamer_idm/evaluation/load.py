"""Loading trained agents for anything but training; `load` is the API's."""

import collections

from .. import upstream
from ..agent import build
from ..agent import tf_setup
from ..config import load as config_lib
from ..envs import environments
from ..errors import UsageError
from ..runs import checkpoints
from ..runs import files
from ..runs import spaces
from . import exported_policy
from . import policy

# A trained agent: config, agent, int env_step, str name of its checkpoint, and
# str id of its training, None if that has none.
Trained = collections.namedtuple(
    'Trained', ['config', 'agent', 'env_step', 'checkpoint', 'training'],
    defaults=[None])
MODES = ('eval', 'explore')


def set_up(config, threads, seed):
  """Sets TensorFlow up as a run's training did, and seeds everything.

  To be called before each use of a run: its precision and bodies are looked
  up where a layer is called or traced.

  Args:
    config: upstream's Config of the run.
    threads: int, CPU threads, 0: one per core.
    seed: int.
  """
  tf_setup.configure(config.precision, threads, config.jit, config.fast)
  tf_setup.seed(seed)


def load_trained(run, checkpoint='latest'):
  """Loads a trained agent.

  Args:
    run: pathlib.Path or str, the logdir of a run.
    checkpoint: `latest`, `best`, or an agent step among the latest few.

  Returns:
    Trained.

  Raises:
    UsageError: if there is no such run or checkpoint, it is damaged, or its
      networks are not those of the run's config.
  """
  run = files.expanded(run)
  config = config_lib.saved(run)
  if (run / 'agent.json').exists():
    raise UsageError(
        f'{run} is an exported agent: `dreamer-idm evaluate --agent` evaluates '
        'it, dreamer_idm.load acts with it, and the rest needs its run')
  found = checkpoints.Checkpoints(run / 'checkpoints')
  path = found.path(checkpoint)
  if not path:
    raise UsageError(
        f'{run} has no checkpoint {checkpoint}: there is '
        f'{", ".join(found.names()) or "none yet"}')
  state = found.state(checkpoint)
  step = state['step']
  obs_space, act_space = _agent_spaces(run, config)
  agent = build.build_agent(
      config, obs_space, act_space, upstream.common.Counter(step))
  try:
    checkpoints.Checkpoints(run / 'checkpoints', agent).restore(checkpoint)
  except (AssertionError, ValueError) as error:
    raise UsageError(
        f'{path} does not have the networks of {run / "config.yaml"}: was that '
        'file changed after the training?') from error
  return Trained(
      config, agent, step * config.action_repeat, path.name, state.get('id'))


def saved_spaces(run):
  """Reads the spaces that a run's agent and environment have.

  Args:
    run: pathlib.Path of a run.

  Returns:
    runs.spaces.Spaces, or None of a run from before they were saved.

  Raises:
    UsageError: if the file is damaged.
  """
  try:
    return spaces.read(run)
  except (ValueError, LookupError, TypeError) as error:
    raise UsageError(
        f'{run / spaces.NAME} is damaged ({error}): remove it and resume the '
        'run, which writes it again') from error


def _agent_spaces(run, config):
  """The agent's observations and action; starts an environment if it must."""
  found = saved_spaces(run)
  if found:
    return found.agent_observation, {'action': found.agent_action}
  env, = environments.make_envs(config, 'eval', 1, 0)
  try:
    return env.obs_space, env.act_space
  finally:
    env.close()


def load(run, checkpoint='latest', mode='eval'):
  """Loads a trained agent to act with.

  Args:
    run: pathlib.Path or str, the logdir of a run, or the folder of an exported
      agent, which has neither other checkpoints and modes nor `value` and
      `imagine`.
    checkpoint: `latest`, `best`, or an agent step that is still kept.
    mode: `eval`, the actor's mode, or `explore`, samples with noise as in
      training.

  Returns:
    Policy, or ExportedPolicy.

  Raises:
    UsageError: if there is no such run or checkpoint, it is damaged, or the run
      is from before runs saved their spaces.
    ValueError: for another mode.
  """
  if mode not in MODES:
    raise ValueError(f'mode is one of {MODES}, not {mode!r}.')
  run = files.expanded(run)
  if (run / 'agent.json').exists():
    if (checkpoint, mode) != ('latest', 'eval'):
      raise UsageError(
          f'{run} is an exported agent, which has one checkpoint and mode')
    return exported_policy.ExportedPolicy(run)
  config = config_lib.saved(run)
  tf_setup.configure(config.precision, 0, config.jit, config.fast)
  trained = load_trained(run, checkpoint)
  found = saved_spaces(run)
  if found is None:
    raise UsageError(
        f'{run} has no {spaces.NAME}: resume it once by the command that '
        'trained it (with what it has, it only writes this file)')
  return policy.Policy(trained, found, mode)
