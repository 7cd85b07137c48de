"""Loading trained agents for anything but training."""

import collections

from .. import upstream
from ..agent import build
from ..agent import tf_setup
from ..config import load as config_lib
from ..envs import environments
from ..errors import UsageError
from ..runs import checkpoints
from ..runs import files

# A trained agent: config, agent, int env_step, str name of its checkpoint.
Trained = collections.namedtuple(
    'Trained', ['config', 'agent', 'env_step', 'checkpoint'])


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
  agent = build.build_agent(config, *spaces, upstream.common.Counter(step))
  try:
    checkpoints.Checkpoints(run / 'checkpoints', agent).restore(checkpoint)
  except (AssertionError, ValueError) as error:
    raise UsageError(
        f'{path} does not have the networks of {run / "config.yaml"}: was that '
        'file changed after the training?') from error
  return Trained(config, agent, step * config.action_repeat, path.name)
