"""The training loop, on upstream's replay, driver and logger.

  prefill -> pretrain -> [evaluate, checkpoint, train for eval_every] ...
  -> evaluate, checkpoint

All schedules are functions of the agent step alone, so that a resumed run
keeps to the ones of a run that was never interrupted.
"""

import contextlib
import gc
import io
import time
from typing import Any

from .. import display
from ..agent import tf_setup
from ..config import rules
from ..errors import TrainingError
from . import collector
from . import endings
from . import evaluator
from . import learner
from . import messages
from . import progress
from . import run_folder
from . import signals


class Training:
  """One run: a collector, a learner, an evaluator and the run's folder."""

  def __init__(self, config, logdir, gpus=()):
    """Opens the folder, the replay and the environments; no training yet.

    Args:
      config: upstream's Config with our keys.
      logdir: pathlib.Path, existing and locked.
      gpus: list of the GPUs in use.
    """
    self._config, self._gpus = config, gpus
    self.progress = progress.Progress(int(config.steps) * config.action_repeat)
    note = self.progress.note
    self.folder = run_folder.RunFolder(config, logdir, note)
    self.step, saved = self.folder.step, self.folder.saved
    self.progress.begin(self.env_step)
    seed = tf_setup.seed(config.seed, int(self.step))
    self.collector = collector.Collector(
        config, logdir / 'train_episodes', self.step, seed, saved, note)
    self.collector.on_step = self._on_step
    self.collector.on_episode = self._on_episode
    self.evaluator = evaluator.Evaluator(
        config, self.collector.obs_space, seed + 1000,
        saved.get('evaluated') if saved else None, note)
    self.learner: Any = None  # From `_build` on.
    # Of the agent's training episodes since the last evaluation.
    self._returns: list[float] = saved.get('returns', []) if saved else []

  @property
  def env_step(self):
    """int, environment steps done: agent steps times action repeat."""
    return int(self.step) * self._config.action_repeat

  def run(self):
    """Trains to the end; whatever ends it earlier, what was trained is saved.

    Raises:
      TrainingError: if it cannot continue, or cannot be saved.
      KeyboardInterrupt: when interrupted.
    """
    step, last = int(self.step), int(self._config.steps)
    if step >= last and self.evaluator.evaluated == step:
      self.progress.note(
          f'This run is complete at env step {self.env_step:,}; raise --steps '
          f'(agent steps) to continue. Its results are in {self.folder.path}.')
      return
    with endings.reported(self.folder.path, self.progress.note, (
        lambda: endings.how_to_resume(
            self._config, self.folder.path, int(self.step)))):
      self._train_or_save()

  def _train_or_save(self):
    try:
      self._train()
    except (KeyboardInterrupt, BrokenPipeError, TrainingError):
      if self.learner and self.learner.sound:
        with signals.ignored():
          self.folder.log.forget_notes()
          if self.folder.log.pending:
            self._write_log()
          self.checkpoint()
      raise

  def _train(self):
    self._announce()
    new = self.folder.saved is None
    self.folder.write_spaces(self.collector.envs[0])
    if new:
      self.folder.write_config()
    self._prefill()
    self._build()
    if not new:  # Its networks are the checkpoint's.
      self.folder.write_config()
    self._pretrain()
    last = int(self._config.steps)
    while True:
      if self.evaluator.due(int(self.step)):
        scores = self._evaluate()
        self._keep(scores)
      if self.step >= last:
        break
      self._train_to_the_next_evaluation()
    self.progress.note(messages.done(self.folder.path))

  def _announce(self):
    record, before = self.folder.record(
        device=tf_setup.device(self._gpus),
        threads=tf_setup.threads(self._config.threads))
    self.progress.note(messages.start(record, before))
    for line in [
        tf_setup.unused_gpu(self._gpus),
        *messages.beginning(self._config, self.collector)]:
      if line:
        self.progress.note(line)

  def _prefill(self):
    missing = min(self._config.prefill, int(self._config.steps)) - int(
        self.step)
    loaded = self.collector.replay.stats['loaded_episodes']
    if self.folder.saved is None or missing > 0 or not loaded:
      self.progress.note(
          f'Collecting {max(1, missing) * self._config.action_repeat:,} env '
          'steps with random actions.')
      self.collector.prefill(missing)
    self.collector.check()

  def _build(self):
    config, saved = self._config, self.folder.saved
    self.progress.note(
        'Building the agent and tracing its update (up to a minute or two).')
    if rules.decodes_nothing(config):
      self.progress.note(
          'It decodes nothing: there will be no pictures of its predictions.')
    with contextlib.redirect_stdout(io.StringIO()):
      made = learner.Learner(
          config, self.collector.replay, self.collector.obs_space,
          self.collector.act_space, self.step, self._gpus, self.progress.note)
      self.folder.attach(made.agent)
      began = time.time()
      metrics = made.trace()
      if saved is None:
        self.folder.log.update(metrics)
      else:  # This update is undone.
        self.folder.restore()
        made.restored(saved)
    self.learner = made
    self.progress.note(
        f'Built in {display.duration(time.time() - began)}.'
        if saved is None else
        f'Resumed at env step {self.env_step:,} after '
        f'{display.counted(made.updates, "update")}.')
    # Garbage collection then skips the million objects of TensorFlow's graphs.
    gc.collect()
    gc.freeze()
    gc.collect()

  def _pretrain(self):
    count = self.learner.to_pretrain
    for index in range(count):
      with signals.held():
        self._update()
        self.learner.to_pretrain -= 1
      self.progress.tick(doing=f'pretraining {index + 1} of {count}')

  def _update(self):
    self.folder.log.update(self.learner.update())

  def _on_step(self):
    self.progress.tick(self.env_step)
    step, config = int(self.step), self._config
    if self.learner and step % config.train_every == 0:
      for _ in range(config.train_steps):
        self._update()
    if self.learner and step % config.log_every == 0:
      self._write_log(fps=True)

  def _on_episode(self, episode):
    score = self.folder.log.episode(episode, self.collector.replay.stats)
    self.progress.tick(train_return=score)
    if self.learner:  # Not of those that acted at random.
      self._returns.append(float(score))

  def _write_log(self, fps=False):
    failures = self.collector.restarts + self.evaluator.restarts
    numbers = {'env_restarts': failures} if failures else {}
    self.folder.log.write(self.learner.updates, fps, **numbers)

  def _evaluate(self):
    # Dict of name to mean return, of the evaluations or else of training.
    results = self.evaluator.evaluate(
        self.learner.agent, lambda doing: self.progress.tick(doing=doing))
    for name, result in results.items():
      self.folder.log.evaluation(name, result)
    self.folder.log.report(self.learner.report())
    if not results and self._returns:
      return {'train': sum(self._returns) / len(self._returns)}
    return {k: x.returns.mean() for k, x in results.items()}

  def _keep(self, scores):
    with signals.held():
      self._write_log()
      self.folder.log.curve()
      self.evaluator.evaluated = int(self.step)
      self._returns.clear()
      self.checkpoint(scores.get('eval', scores.get('train')))
    gc.collect()  # Figures are cycles, of 2.5 MB that would pile up.
    self.progress.tick(**scores)
    self.progress.note(f'Env step {self.env_step:,}: ' + (', '.join(
        f'{k.replace("_", " ")} return {v:.0f}' for k, v in scores.items())
        or "none of the agent's episodes has ended since the last one."))

  def _train_to_the_next_evaluation(self):
    config, step = self._config, int(self.step)
    following = (step // config.eval_every + 1) * config.eval_every
    with signals.held():
      self.collector.collect(
          self.learner.policy(), min(following, int(config.steps)) - step)

  def checkpoint(self, score=None):
    """Writes a checkpoint, see `RunFolder.save`, if all numbers are finite."""
    self.learner.check()
    self.folder.save({
        'evaluated': self.evaluator.evaluated,
        'returns': self._returns,
        **self.collector.state(),
        **self.learner.state()}, score)

  def close(self):
    """Closes the log, environments and the progress display."""
    gc.unfreeze()
    self.folder.log.close()
    self.progress.close()
    self.collector.close()
    self.evaluator.close()
