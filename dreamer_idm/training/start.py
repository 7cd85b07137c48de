"""Starts training: the folder, the machine, then the loop."""

from ..agent import registry
from ..agent import tf_setup
from ..config import load as config_lib
from ..config import same_run
from ..envs import environments
from ..envs import rendering
from ..runs import lock
from . import endings
from . import loop


def run(config):
  """Trains until `config.steps`, resuming what is in the logdir.

  Args:
    config: upstream's Config with our keys.

  Raises:
    UsageError: if the settings, the machine or the logdir do not allow it.
    TrainingError: if it cannot continue; says where the same command resumes.
    KeyboardInterrupt: when interrupted; what was trained is saved.
  """
  logdir = config_lib.logdir(config)
  same_run.check(config, logdir / 'config.yaml')
  with lock.locked(logdir):
    rendering.choose_backend(environments.renders(config))
    gpus = tf_setup.configure(
        config.precision, config.threads, config.jit, config.fast)
    registry.extensions(config)  # Mistakes show before anything is collected.
    with endings.reported(
        logdir, lambda line: None, lambda: 'Nothing was lost.'):
      training = loop.Training(config, logdir, gpus)
    try:
      training.run()
    finally:
      training.close()
