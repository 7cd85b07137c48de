"""The training loop, on upstream's replay, driver and logger.

  prefill -> pretrain -> [evaluate, checkpoint, train for eval_every] ...
  -> evaluate, checkpoint

All schedules are functions of the agent step alone, so that a resumed run
keeps to the ones of a run that was never interrupted.
"""

import contextlib
import io
import signal
import time

import numpy as np

from . import agents
from . import checkpoints
from . import config as config_lib
from . import config_checks
from . import environments
from . import evaluation
from . import experience
from . import methods
from . import progress
from . import rendering
from . import run_log
from . import runtime
from . import safeguards
from . import upstream
from .errors import UsageError

common = upstream.common


def run(config):
  """Trains until `config.steps`, resuming what is in the logdir.

  Args:
    config: upstream's Config with our keys.

  Returns:
    pathlib.Path of the logdir.

  Raises:
    UsageError: if the settings, the machine or the logdir do not allow it.
    KeyboardInterrupt: when interrupted; what was trained is saved.
  """
  logdir = config_lib.logdir(config)
  if (logdir / 'checkpoints' / 'latest' / 'checkpoint').exists():
    config_lib.check_resumable(config, logdir / 'config.yaml')
  with safeguards.locked(logdir):
    _run(config, logdir)
  return logdir


def _run(config, logdir):
  rendering.choose_backend(environments.renders(config))
  # Clusters say goodbye with SIGTERM; it ends a run as Ctrl-C does.
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  gpus = runtime.configure(
      config.precision, config.threads, config.jit, config.fast)
  if config.agent != 'dreamer':
    methods.load(config.agent)  # Before anything is collected.
  training = Training(config, logdir, gpus)
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
    saved = checkpoints.Checkpoints(logdir / 'checkpoints').state()
    start = saved['step'] if saved else 0
    self.saved = saved
    self.progress = progress.Progress(
        int(config.steps) * config.action_repeat, start * config.action_repeat)
    seed = runtime.seed(config.seed, start)
    self.step = common.Counter(start)
    self.updates = saved['updates'] if saved else 0
    self.best = saved['best'] if saved else None
    # Agent step of the last evaluation; updates of pretraining still to do.
    self.evaluated = saved['evaluated'] if saved else None
    self.to_pretrain = saved['to_pretrain'] if saved else config.pretrain
    self.replay = self._open_replay(seed)
    self.batches = self.replay.batches(
        config.dataset.batch * config.batch_multiplier, config.dataset.length)
    self.log = run_log.RunLog(config, logdir, self.step)
    self.latent = None
    self.timed: list | None = None  # Seconds of the first updates.
    self._open_envs(seed)

  def _open_replay(self, seed):
    directory = self.logdir / 'train_episodes'
    late = 0
    if directory.exists():
      kept = self.saved['episodes'] if self.saved else []
      late = experience.set_aside(directory, kept)
    if late:
      self.progress.note(
          f'{late} episodes that no checkpoint knows of set aside in '
          f'{directory} (*.after_checkpoint).')
    replay = experience.SeededReplay(directory, seed, **self.config.replay)
    if self.saved:
      replay.keep(self.saved['loaded'])
    return replay

  def _open_envs(self, seed):
    config = self.config
    self.envs = environments.make_envs(config, 'train', config.envs, seed)
    self.eval_env, = environments.make_envs(config, 'eval', 1, seed + 1000)
    self.rotated_env = None
    spaces = self.envs[0].obs_space
    environments.check_observations(config, spaces)
    if config.rotate.degrees and environments.reads_images(config, spaces):
      self.rotated_env, = environments.make_envs(
          config, 'eval', 1, seed + 1000, {
              'kind': 'rotation', 'strength': config.rotate.degrees,
              'per': config.rotate.per, 'fill': config.rotate.fill})
    self.driver = common.Driver(self.envs)
    self.driver.on_step(lambda transition, worker: self.step.increment())
    self.driver.on_step(self.replay.add_step)
    self.driver.on_reset(self.replay.add_step)
    self.driver.on_episode(self._on_episode)
    self.driver.on_step(lambda transition, worker: self._tick())

  def run(self):
    """Prefills, builds, resumes and trains to the end.

    Raises:
      KeyboardInterrupt: when interrupted; what was trained is saved.
    """
    if self.step >= self.config.steps and self.evaluated == int(self.step):
      self.progress.note(
          f'This run is complete at env step {self.env_step:,}; raise --steps '
          f'(agent steps) to go on. Its results are in {self.logdir}.')
      return
    config_lib.save(self.config, self.logdir / 'config.yaml')
    self._prefill()
    self._build()
    try:
      self._pretrain()
      self.driver.on_step(lambda transition, worker: self._on_step())
      self._loop()
    except KeyboardInterrupt:
      with safeguards.undisturbed():
        self.checkpoint()
      self.progress.note(
          f'Stopped at env step {self.env_step:,}; the same command goes on '
          'from there.')
      raise

  def close(self):
    """Closes environments and the progress display."""
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
      self.driver(random_agent, steps=max(0, missing), episodes=1)
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
    if config_checks.decodes_nothing(config):
      self.progress.note(
          'It decodes nothing: there will be no pictures of its predictions.')
    env = self.envs[0]
    with self.progress.during('tracing'), contextlib.redirect_stdout(
        io.StringIO()):
      self.agent = agents.build(
          config, env.obs_space, env.act_space, self.step)
      self.checkpoints = checkpoints.Checkpoints(
          self.logdir / 'checkpoints', self.agent, config.checkpoints)
      # An explicit first state, lest the update be traced twice.
      self.latent = self.agent.wm.rssm.initial(
          config.dataset.batch * config.batch_multiplier)
      began = time.time()
      self._update(log=self.saved is None)
      if self.saved is not None:
        # Variables appear with the first update, which is then undone.
        self.updates = self.saved['updates']
        self.checkpoints.restore()
    if self.saved is not None:
      np_state, replay_state = self.saved['random']
      experience.set_random_state(np.random, np_state)
      self.replay.random_state = replay_state
      self.progress.note(
          f'Resumed at env step {self.env_step:,} after {self.updates:,} '
          'updates.')
    else:
      self.progress.note(
          f'Built in {progress.duration(time.time() - began)}.')
    self.latent = self.agent.wm.rssm.initial(
        config.dataset.batch * config.batch_multiplier)
    self.timed = []

  def _pretrain(self):
    count = self.to_pretrain
    for index in range(count):
      self._update()
      self.to_pretrain -= 1
      self.progress.tick(doing=f'pretraining {index + 1} of {count}')

  def _forecast(self, seconds):
    left = max(0, self.config.steps - int(self.step))
    updates = left / self.config.train_every * self.config.train_steps
    text = (
        f'An update takes {seconds:.2g}s: the {updates:,.0f} updates of this '
        f'run will take about {progress.duration(updates * seconds)}, acting '
        'and evaluation not counted.')
    if not self.gpus and updates * seconds > 4 * 3600:
      text += ' No GPU was found; --configs cpu is made for that.'
    self.progress.note(text)

  def _loop(self):
    config = self.config
    while True:
      step, last = int(self.step), int(config.steps)
      due = step % config.eval_every == 0 or step >= last
      if self.evaluated is None or (due and self.evaluated != step):
        self._evaluate()
      if step >= last:
        break
      following = (step // config.eval_every + 1) * config.eval_every
      self.driver(
          evaluation.act(self.agent, 'explore'),
          steps=min(following, last) - step)
    self.progress.note(f'Done. Results are in {self.logdir}: ' + ', '.join(
        x.name for x in sorted(self.logdir.iterdir())
        if x.suffix in ('.png', '.gif', '.jsonl')))

  def _update(self, log=True):
    began, data = time.time(), next(self.batches)
    self.latent, metrics = self.agent.train(data, self.latent)
    self.updates += 1
    if log:
      self.log.update(metrics)
    if self.timed is not None:
      float(metrics['model_loss'])  # Waits for a GPU to finish.
      self.timed.append(time.time() - began)
      if len(self.timed) == 10:
        self._forecast(np.median(self.timed))
        self.timed = None

  def _on_step(self):
    step, config = int(self.step), self.config
    if step % config.train_every == 0:
      for _ in range(config.train_steps):
        self._update()
    if step % config.log_every == 0:
      self.log.write(self.updates, fps=True)

  def _tick(self):
    self.progress.tick(self.env_step)

  def _on_episode(self, episode):
    score = self.log.episode(episode, self.replay.stats)
    self.progress.tick(train_return=score)

  def _evaluate(self):
    config, scores = self.config, {}
    envs = {'eval': self.eval_env, 'eval_rotated': self.rotated_env}
    for name, env in envs.items():
      if env is None:
        continue
      result = evaluation.evaluate(
          self.agent, env, config.eval_eps,
          lambda name=name: self.progress.tick(doing=name.replace('_', ' ')))
      scores[name] = result.returns.mean()
      self.log.evaluation(name, result)
    data = {k: v[:6] for k, v in next(self.batches).items()}
    self.log.report(self.agent.report(data))
    self.log.write(self.updates)
    self.log.curve()
    self.evaluated = int(self.step)
    self.checkpoint(scores['eval'])
    self.progress.tick(**scores)
    self.progress.note(f'Env step {self.env_step:,}: ' + ', '.join(
        f'{k.replace("_", " ")} return {v:.0f}' for k, v in scores.items()))

  def checkpoint(self, score=None):
    """Writes a checkpoint.

    Args:
      score: float, the mean clean evaluation return at this step, or None if
        there was no evaluation.
    """
    best = score is not None and bool(
        self.best is None or score >= self.best)
    if best:
      self.best = float(score)
    self.checkpoints.save(int(self.step), {
        'step': int(self.step),
        'updates': self.updates,
        'best': self.best,
        'evaluated': self.evaluated,
        'to_pretrain': self.to_pretrain,
        'episodes': experience.names(self.logdir / 'train_episodes'),
        'loaded': self.replay.loaded,
        'random': [
            experience.plain_random_state(np.random),
            self.replay.random_state],
    }, best)
