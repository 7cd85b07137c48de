"""The training loop, on upstream's replay, driver and logger.

  prefill -> pretrain -> [evaluate, checkpoint, train for eval_every] ...
  -> evaluate, checkpoint

All schedules are functions of the agent step alone, so that a resumed run
keeps to the ones of a run that was never interrupted.
"""

import contextlib
import gc
import io
import re
import time

import numpy as np
import tensorflow as tf

from .. import display
from .. import upstream
from ..agent import build
from ..agent import registry
from ..agent import tf_setup
from ..config import load as config_lib
from ..config import rules
from ..config import same_run
from ..envs import environments
from ..envs import rendering
from ..errors import TrainingError
from ..errors import UsageError
from ..evaluation import rollout
from ..runs import checkpoints
from ..runs import episode_files
from ..runs import lock
from . import messages
from . import metrics_log
from . import progress
from . import replay as replay_lib
from . import restarts
from . import sanity_checks
from . import signals

common = upstream.common


def run(config):
  """Trains until `config.steps`, resuming what is in the logdir.

  Args:
    config: upstream's Config with our keys.

  Returns:
    pathlib.Path of the logdir.

  Raises:
    UsageError: if the settings, the machine or the logdir do not allow it.
    TrainingError: if it cannot go on; says what is kept.
    KeyboardInterrupt: when interrupted; what was trained is saved.
  """
  logdir = config_lib.logdir(config)
  if any(logdir.glob('checkpoints/*/*')):
    same_run.check_resumable(config, logdir / 'config.yaml')
  with lock.locked(logdir):
    _run(config, logdir)
  return logdir


def _run(config, logdir):
  rendering.choose_backend(environments.renders(config))
  signals.listen()
  gpus = tf_setup.configure(
      config.precision, config.threads, config.jit, config.fast)
  if config.agent != 'dreamer':
    registry.load(config.agent)  # Before anything is collected.
  try:
    training = Training(config, logdir, gpus)
  except BrokenPipeError as error:
    raise KeyboardInterrupt from error  # As in `Training.run`.
  except OSError as error:
    words = messages.last_words(error, logdir)
    raise TrainingError(f'{words}; nothing was lost') from error
  try:
    training.run()
  finally:
    training.close()


class Training:
  """One run: its environments, replay, agent, logs and checkpoints."""

  def __init__(self, config, logdir, gpus=()):
    """Puts the parts together and loads the replay; no training yet.

    Args:
      config: upstream's Config with our keys.
      logdir: pathlib.Path, existing.
      gpus: list of the GPUs in use.
    """
    self.config, self.logdir, self.gpus = config, logdir, gpus
    found = checkpoints.Checkpoints(logdir / 'checkpoints')
    notes = found.recover(sanity_checks.problem)
    self.saved = saved = found.state()
    start = saved['step'] if saved else 0
    self.progress = progress.Progress(
        int(config.steps) * config.action_repeat, start * config.action_repeat)
    for note in notes:
      self.progress.note(note)
    seed = tf_setup.seed(config.seed, start)
    self.step = common.Counter(start)
    self.updates = saved['updates'] if saved else 0
    # A best one that was damaged has no successor to beat it.
    self.best = saved.get('best') if saved and found.path('best') else None
    self.best_step = saved.get('best_step') if saved else None
    # Whether the agent is one to save: not so within an update.
    self.sound = False
    # Agent step of the last evaluation; updates of pretraining still to do.
    self.evaluated = saved.get('evaluated') if saved else None
    self.to_pretrain = saved['to_pretrain'] if saved else config.pretrain
    self.replay = self._open_replay(seed)
    self.batches = self.replay.batches(
        config.dataset.batch * config.batch_multiplier, config.dataset.length)
    self.log = metrics_log.RunLog(
        config, logdir, self.step, saved.get('metrics') if saved else None,
        self.progress.note)
    self.latent = None
    self.learns = False  # Whether steps are followed by updates.
    self.dropped = False  # Whether the episode that ends is a broken one.
    self.timed: list | None = None  # Seconds of the first updates.
    self._open_envs(seed)

  def _open_replay(self, seed):
    directory = self.logdir / 'train_episodes'
    late = 0
    if directory.exists():
      kept = self.saved['episodes'] if self.saved else []
      late = replay_lib.set_aside(directory, kept)
    if late:
      self.progress.note(
          f'{late} episodes that no checkpoint knows of set aside in '
          f'{directory} (*.after_checkpoint).')
    replay = replay_lib.SeededReplay(directory, seed, **self.config.replay)
    if replay.unreadable:
      self.progress.note(
          f'{len(replay.unreadable)} files that are no whole episodes set '
          f'aside in {directory} (*.{episode_files.UNREADABLE}).')
    if self.saved:
      replay.keep(self.saved['loaded'])
    return replay

  def _open_envs(self, seed):
    config, note = self.config, self.progress.note
    self.envs = restarts.make_envs(config, 'train', config.envs, seed, note)
    self.eval_env, = restarts.make_envs(config, 'eval', 1, seed + 1000, note)
    self.rotated_env = None
    spaces = self.envs[0].obs_space
    environments.check_observations(config, spaces)
    if config.rotate.degrees and environments.reads_images(config, spaces):
      self.rotated_env, = restarts.make_envs(
          config, 'eval', 1, seed + 1000, note, {
              'kind': 'rotation', 'strength': config.rotate.degrees,
              'per': config.rotate.per, 'fill': config.rotate.fill})
    self.driver = common.Driver(self.envs)
    self.driver.on_step(self._on_step)
    self.driver.on_reset(self.replay.add_step)
    self.driver.on_episode(self._on_episode)

  def run(self):
    """Prefills, builds, resumes and trains to the end.

    Raises:
      TrainingError: if it cannot go on; what was trained is saved, unless
        that is not possible.
      KeyboardInterrupt: when interrupted; what was trained is saved.
    """
    if self.step >= self.config.steps and self.evaluated == int(self.step):
      self.progress.note(
          f'This run is complete at env step {self.env_step:,}; raise --steps '
          f'(agent steps) to go on. Its results are in {self.logdir}.')
      return
    try:
      self._run()
    except BrokenPipeError as error:
      raise KeyboardInterrupt from error  # Nobody reads the output any more.
    except KeyboardInterrupt:
      with contextlib.suppress(OSError):
        self.progress.note(self._way_on())
      raise
    except TrainingError as error:
      raise TrainingError(f'{error}. {self._way_on()}') from error
    except (OSError, tf.errors.OpError) as error:
      words = messages.last_words(error, self.logdir)
      raise TrainingError(f'{words}. {self._way_on()}') from error

  def _way_on(self):
    return messages.way_on(self.config, self.logdir, int(self.step))

  def _run(self):
    for line in messages.memory(self.config, self.envs[0]):
      self.progress.note(line)
    try:
      written = self.logdir / 'config.yaml'
      if self.saved is None:
        config_lib.save(self.config, written)
      self._prefill()
      self._build()
      if self.saved is not None:  # Its networks are the checkpoint's.
        config_lib.save(self.config, written)
      self._pretrain()
      self._loop()
    except (KeyboardInterrupt, BrokenPipeError, TrainingError):
      if self.sound:
        with signals.undisturbed():
          self.log.forget_notes()
          if self.log.pending:
            self._write_log()
          self.checkpoint()
      raise

  def close(self):
    """Closes environments and the progress display."""
    gc.unfreeze()
    self.progress.close()
    for env in [*self.envs, self.eval_env, self.rotated_env]:
      with contextlib.suppress(Exception):
        env.close()

  @property
  def env_step(self):
    """Environment steps done: agent steps times action repeat."""
    return int(self.step) * self.config.action_repeat

  def _prefill(self):
    missing = self.config.prefill - int(self.step)
    if self.saved is None or missing > 0 or not self.replay.stats[
        'loaded_episodes']:
      self.progress.note(
          f'Collecting {max(1, missing) * self.config.action_repeat:,} env '
          'steps with random actions.')
      random_agent = common.RandomAgent(self.envs[0].act_space)
      failures = None
      while failures != self._failures(self.envs):
        failures = self._failures(self.envs)
        self.driver(
            random_agent, steps=max(0, self.config.prefill - int(self.step)),
            episodes=1)
      self.driver.reset()
      self.replay.forget_unfinished()
    if not self.replay.stats['loaded_episodes']:
      raise UsageError(
          'No random episode is as long as replay.minlen '
          f'({self.config.replay.minlen} agent steps): lower replay.minlen, '
          'or raise time_limit.')

  def _build(self):
    config = self.config
    self.progress.note('Building the agent and tracing its update.')
    if rules.decodes_nothing(config):
      self.progress.note(
          'It decodes nothing: there will be no pictures of its predictions.')
    env = self.envs[0]
    with self.progress.during('tracing'), contextlib.redirect_stdout(
        io.StringIO()):
      self.agent = build.build_agent(
          config, env.obs_space, env.act_space, self.step)
      self.checkpoints = checkpoints.Checkpoints(
          self.logdir / 'checkpoints', self.agent, config.checkpoints)
      # An explicit first state, lest the update be traced twice.
      self.latent = self.agent.wm.rssm.initial(
          config.dataset.batch * config.batch_multiplier)
      began = time.time()
      # Variables appear with the first update, which is then undone.
      self._update(counts=self.saved is None)
      if self.saved is not None:
        self._restore()
    if self.saved is not None:
      np_state, replay_state = self.saved['random']
      replay_lib.set_random_state(np.random, np_state)
      self.replay.random_state = replay_state
      self.sound = True
      self.progress.note(
          f'Resumed at env step {self.env_step:,} after {self.updates:,} '
          'updates.')
    else:
      self.progress.note(
          f'Built in {display.duration(time.time() - began)}.')
    self.latent = self.agent.wm.rssm.initial(
        config.dataset.batch * config.batch_multiplier)
    self.timed = []
    self.learns = True
    # What there is now stays, so that collections need not look at it:
    # TensorFlow's graphs are a million objects.
    gc.collect()
    gc.freeze()
    gc.collect()

  def _restore(self):
    try:
      self.checkpoints.restore()
    except (AssertionError, ValueError) as error:
      raise UsageError(
          f'{self.checkpoints.path()} has not the networks of '
          f'{self.logdir / "config.yaml"}: was one of them replaced? Restore '
          'it, or choose another folder with --logdir') from error

  def _pretrain(self):
    count = self.to_pretrain
    for index in range(count):
      with signals.held():
        self._update()
        self.to_pretrain -= 1
      self.progress.tick(doing=f'pretraining {index + 1} of {count}')

  def _loop(self):
    config = self.config
    while True:
      step, last = int(self.step), int(config.steps)
      # Several environments may step over the very step.
      period = step // config.eval_every
      if self.evaluated is None or self.evaluated != step and (
          step >= last or period > self.evaluated // config.eval_every):
        self._evaluate()
      if step >= last:
        break
      following = (period + 1) * config.eval_every
      with signals.held():
        self.driver(
            rollout.act(self.agent, 'explore'),
            steps=min(following, last) - step)
    self.progress.note(f'Done. Results are in {self.logdir}: ' + ', '.join(
        x.name for x in sorted(self.logdir.iterdir())
        if x.suffix in ('.png', '.gif', '.jsonl')))

  def _update(self, counts=True):
    began, data = time.time(), next(self.batches)
    self.sound = False
    try:
      self.latent, metrics = self.agent.train(data, self.latent)
    except tf.errors.InvalidArgumentError as error:
      # Upstream checks its losses and gradients, all but float16's.
      name = re.search(r'(\w+) : Tensor had', str(error))
      if not name:
        raise
      raise TrainingError(
          f'{name[1]} is not finite in update {self.updates + 1}: lower the '
          'learning rates, or look at the rewards') from error
    if counts:
      self.updates += 1
      self.sound = True
      self.log.update(metrics)
    if self.timed is not None:
      float(metrics['model_loss'])  # Waits for a GPU to finish.
      self.timed.append(time.time() - began)
      if len(self.timed) == 10:
        self.progress.note(messages.forecast(
            self.config, int(self.step), np.median(self.timed), self.gpus))
        self.timed = None

  def _on_step(self, transition, worker):
    self.dropped = self.envs[worker].broken
    if self.dropped:
      self.replay.forget_unfinished(worker)
      return
    self.step.increment()
    self.replay.add_step(transition, worker)
    self.progress.tick(self.env_step)
    step, config = int(self.step), self.config
    if self.learns and step % config.train_every == 0:
      for _ in range(config.train_steps):
        self._update()
    if self.learns and step % config.log_every == 0:
      self._write_log(fps=True)

  def _write_log(self, fps=False):
    failures = self._failures(
        [x for x in (*self.envs, self.eval_env, self.rotated_env) if x])
    numbers = {'env_restarts': failures} if failures else {}
    self.log.write(self.updates, fps, **numbers)

  def _failures(self, envs):
    return sum(x.restarts for x in envs)

  def _on_episode(self, episode):
    if self.dropped:
      return
    score = self.log.episode(episode, self.replay.stats)
    self.progress.tick(train_return=score)

  def _evaluate(self):
    config, scores = self.config, {}
    envs = {'eval': self.eval_env, 'eval_rotated': self.rotated_env}
    for name, env in envs.items():
      if env is None:
        continue
      failures = None
      while failures != env.restarts:  # A broken episode is no evaluation.
        failures = env.restarts
        result = rollout.evaluate(
            self.agent, env, config.eval_eps,
            lambda name=name: self.progress.tick(doing=name.replace('_', ' ')))
      scores[name] = result.returns.mean()
      self.log.evaluation(name, result)
    data = {k: v[:6] for k, v in next(self.batches).items()}
    self.log.report(self.agent.report(data))
    with signals.held():
      self._write_log()
      self.log.curve()
      self.evaluated = int(self.step)
      self.checkpoint(scores['eval'])
    gc.collect()  # Figures are cycles, of 2.5 MB that would pile up.
    self.progress.tick(**scores)
    self.progress.note(f'Env step {self.env_step:,}: ' + ', '.join(
        f'{k.replace("_", " ")} return {v:.0f}' for k, v in scores.items()))

  def checkpoint(self, score=None):
    """Writes a checkpoint.

    Args:
      score: float, the mean clean evaluation return at this step, or None if
        there was no evaluation.

    Raises:
      TrainingError: if a parameter is not finite; the ones before are kept.
      OSError or tf.errors.OpError: if it cannot be written.
    """
    bad = sanity_checks.not_finite(self.agent)
    if bad:
      self.sound = False
      raise TrainingError(
          f'{bad} is not finite after update {self.updates}: no checkpoint '
          'was written')
    step = int(self.step)
    best = score is not None and bool(
        self.best is None or score >= self.best)
    if best:
      self.best, self.best_step = float(score), step
    self.checkpoints.save(step, {
        'step': step,
        'updates': self.updates,
        'best': self.best,
        'best_step': self.best_step,
        'evaluated': self.evaluated,
        'to_pretrain': self.to_pretrain,
        'metrics': self.log.size(),
        'episodes': replay_lib.names(self.logdir / 'train_episodes'),
        'loaded': self.replay.loaded,
        'random': [
            replay_lib.plain_random_state(np.random),
            self.replay.random_state],
    }, best)
