"""What a run keeps in its folder: config, metrics, pictures, checkpoints."""

import json
import secrets

from .. import upstream
from ..config import load as config_lib
from ..config import same_run
from ..envs import environments
from ..errors import UsageError
from ..runs import checkpoints
from ..runs import provenance
from ..runs import spaces
from . import metrics_log
from . import sanity_checks


class RunFolder:
  """The folder of a run that trains."""

  def __init__(self, config, logdir, note=print):
    """Finds where the run resumes, and what its metrics were there.

    Args:
      config: upstream's Config with our keys.
      logdir: pathlib.Path, existing and locked.
      note: function of str, called with each message on damaged files and on
        what cannot be written.

    Raises:
      UsageError: if no checkpoint can be read though there are some.
    """
    self._config, self.path = config, logdir
    self._checkpoints = checkpoints.Checkpoints(logdir / 'checkpoints')
    for line in self._checkpoints.recover(sanity_checks.problem):
      note(line)
    # The plain state of the checkpoint that the run resumes from, or None.
    self.saved = saved = self._checkpoints.state()
    self.step = upstream.common.Counter(saved['step'] if saved else 0)
    # The best one has the best clean evaluation: rotations do not matter.
    self._scoring = json.loads(json.dumps({
        k: v for k, v in config.flat.items()
        if k in same_run.SCORING and not k.startswith('rotate.')}))
    if saved:
      self._check_scoring(note)
    # A best one that was damaged has no successor to beat it.
    known = saved and self._checkpoints.path('best')
    self.best = saved.get('best') if known else None
    self._best_step = saved.get('best_step') if saved else None
    # Distinguishes this training from another one in the same folder, to the
    # same step; None if a version without ids began this one.
    self._id = saved.get('id') if saved else secrets.token_hex(8)
    env_step = int(self.step) * config.action_repeat if saved else None
    for line in metrics_log.rewind(
        logdir, env_step, saved.get('metrics') if saved else None):
      note(line)
    self.log = metrics_log.RunLog(config, logdir, self.step, note)

  def _check_scoring(self, note):
    # Returns of other settings are not compared with those to come.
    before = self.saved.get('scoring', self._scoring)
    changed = [k for k, v in self._scoring.items() if before.get(k, v) != v]
    if not changed:
      return
    if self.saved.get('best') is not None:
      note(
          f'The best checkpoint, of agent step {self.saved["best_step"]:,}, '
          f'was chosen with another {", ".join(changed)}: it stays until the '
          'next evaluation, whose checkpoint takes its place.')
    self.saved.update(best=None, returns=[])

  def write_config(self):
    """Writes config.yaml."""
    config_lib.save(self._config, self.path / 'config.yaml')

  def write_spaces(self, env):
    """Writes spaces.json.

    Args:
      env: environment of `environments.make_envs`.

    Raises:
      OSError: if it cannot be written.
    """
    agent = {k: v for k, v in env.obs_space.items() if not k.startswith('log_')}
    observation, action, rendered = environments.attribute(env, 'own_spaces')
    spaces.write(self.path, spaces.Spaces(
        observation, action, rendered, agent, env.act_space['action']))

  def record(self, **facts):
    """Adds a line on this start to provenance.jsonl.

    Args:
      **facts: see `provenance.write`; steps and precision are known here.

    Returns:
      dict, the line; and the one of the start before, None if there was none.
    """
    config, step = self._config, int(self.step)
    before = provenance.read(self.path)[-1:]
    line = provenance.write(
        self.path, same_run.changes(config, self.path / 'config.yaml'),
        step=step * config.action_repeat, agent_step=step,
        precision=config.precision, **facts)
    return line, before[0] if before else None

  def attach(self, agent):
    """Takes the agent, with all its variables, for `restore` and `save`."""
    self._checkpoints = checkpoints.Checkpoints(
        self.path / 'checkpoints', agent, self._config.checkpoints)

  def restore(self):
    """Loads the latest checkpoint, or raises UsageError if it does not fit."""
    try:
      self._checkpoints.restore()
    except (AssertionError, ValueError) as error:
      raise UsageError(
          f'{self._checkpoints.path()} does not have the networks of '
          f'{self.path / "config.yaml"}: was one of them replaced? Restore '
          'it, or choose another folder with --logdir') from error

  def save(self, state, score=None):
    """Writes a checkpoint.

    Args:
      state: dict of plain data, what the parts of the training keep.
      score: float, the mean clean evaluation return at this step, or None if
        there was no evaluation.

    Raises:
      OSError or tf.errors.OpError: if it cannot be written; those before stay.
    """
    step = int(self.step)
    best = score is not None and bool(self.best is None or score >= self.best)
    if best:
      self.best, self._best_step = float(score), step
    self._checkpoints.save(step, {
        'step': step,
        'id': self._id,
        'best': self.best,
        'best_step': self._best_step,
        'scoring': self._scoring,
        'metrics': self.log.size(),
        **state})
