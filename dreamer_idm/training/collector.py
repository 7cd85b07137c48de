"""Collecting experience: environments, driver and replay."""

import contextlib

from .. import display
from .. import upstream
from ..envs import environments
from ..errors import UsageError
from ..runs import episode_files
from ..runs import files
from . import failures
from . import replay as replay_lib
from . import restarts

common = upstream.common


class Collector:
  """Steps environments with a policy and keeps what happens in a replay."""

  def __init__(self, config, directory, step, seed, saved=None, note=print):
    """Opens the replay and the environments; takes no step.

    Args:
      config: upstream's Config with our keys.
      directory: pathlib.Path of the replay.
      step: upstream's Counter of agent steps, incremented here.
      seed: int, of the environments and of the replay's draws.
      saved: dict, `state` of the checkpoint that the run resumes from; None
        for a new run, whose episodes on the disk are quarantined.
      note: function of str, called with each message.
    """
    self.step, self._config = step, config
    self._note = failures.Notes(note)
    self._directory = directory
    self.replay = self._open_replay(seed, saved)
    self.envs = restarts.make_envs(
        config, 'train', config.envs, seed, note, learned=bool(saved))
    environments.check_actions(config, self.act_space['action'])
    for line in environments.check_observations(config, self.envs[0]):
      note(line)
    if config.offline:
      self._add_offline(files.expanded(config.offline))
    self.on_step = lambda: None  # Called after each step that counts.
    self.on_episode = lambda episode: None  # After each that counts.
    self._checked_infos = False  # Whether infos were checked for `unlogged`.
    self._last = int(config.steps)
    self._dropped = False  # Whether the present step does not count.
    self._ended = 0  # Episodes that have ended in the prefill or since.
    self.driver = common.Driver(self.envs)
    self.driver.on_step(self._on_step)
    self.driver.on_reset(self.replay.add_step)
    self.driver.on_episode(self._on_episode)

  def _open_replay(self, seed, saved):
    directory = self._directory
    late = episode_files.quarantine_unknown(
        directory, saved['episodes'] if saved else [])
    if late:
      self._note(
          f'{display.counted(late, "episode")} that no checkpoint knows of '
          'quarantined in '
          f'{directory} (*.after_checkpoint).')
    replay = replay_lib.SeededReplay(directory, seed, **self._config.replay)
    if replay.unreadable:
      self._note(
          f'{display.counted(len(replay.unreadable), "file")} without a whole '
          f'episode quarantined in {directory} (*.{episode_files.UNREADABLE}).')
    if saved:
      replay.keep(saved['loaded'])
    return replay

  def _add_offline(self, directory):
    if not directory.is_dir():
      raise UsageError(f'--offline must be a folder, but is {directory}')
    episodes, steps = self.replay.add_offline(
        directory, {**self.obs_space, **self.act_space})
    self._note(
        f'It learns from {display.counted(episodes, "episode")} of {directory} '
        f'as well, {display.counted(steps, "agent step")}; they count as no '
        'steps of this run.')

  @property
  def obs_space(self):
    """Dict of the observations' gymnasium spaces."""
    return self.envs[0].obs_space

  @property
  def act_space(self):
    """Dict of the actions' gymnasium spaces."""
    return self.envs[0].act_space

  @property
  def log_names(self):
    """Collection of str, the `log_*` that episodes have."""
    return self.envs[0].log_names

  @property
  def restarts(self):
    """How often environments were restarted in this process."""
    return sum(x.restarts for x in self.envs)

  def prefill(self, missing):
    """Acts at random for the missing steps, and until an episode has ended."""
    random_agent = common.RandomAgent(self.act_space)
    end, self._ended = int(self.step) + missing, 0
    while self.step < self._last and (self.step < end or not self._ended):
      self.driver(random_agent, steps=1)
    self.driver.reset()
    self.replay.forget_unfinished()

  def check(self):
    """Raises UsageError if there is nothing to train on."""
    if self.replay.stats['loaded_episodes']:
      return
    if not self._ended:
      raise UsageError(
          f'No episode has ended in {int(self.step):,} agent steps, as many as '
          'the run has: raise --steps, or end episodes by --time_limit')
    longest = max(self.replay.short, default=0)
    raise UsageError(
        'No random episode is as long as replay.minlen '
        f'({self._config.replay.minlen} agent steps; the longest had '
        f'{longest}): {self._lengthening()}')

  def _lengthening(self):
    # What makes episodes long enough for the replay.
    config, ways = self._config, ['lower --replay.minlen']
    if config.action_repeat > 1:
      ways.append(f'lower --action_repeat {config.action_repeat}')
    if 0 < config.time_limit < config.replay.minlen:
      ways.append(f'raise --time_limit {config.time_limit}')
    return ' or '.join(ways)

  def collect(self, policy, steps):
    """Acts by a policy, not past the run's last step.

    Args:
      policy: function of (observations, state), as upstream's Driver calls it.
      steps: int, agent steps; several environments take a few more where they
        do not divide them.
    """
    self.driver(policy, steps=steps)

  def _on_step(self, transition, worker):
    # Several environments step at once, so that some may be past the end.
    self._dropped = self.envs[worker].broken or self.step >= self._last
    if self._dropped:
      self.replay.forget_unfinished(worker)
      return
    self.step.increment()
    self.replay.add_step(transition, worker)
    self.on_step()

  def _on_episode(self, episode):
    if self._dropped:
      return
    self._ended += 1
    if not self._checked_infos and self._config.task.startswith('gym_'):
      self._checked_infos = True
      if lost := set.intersection(*(x.unlogged for x in self.envs)):
        self._note(
            f'No info of the first episode has {", ".join(sorted(lost))}, '
            'which --log_keys_* name: it is logged as 0 where it is missing.')
    if self.replay.short:
      self._note.once(
          'short', f'An episode of {self.replay.short[0]} agent steps is not '
          'learned from, nor will others be that are shorter than '
          f'replay.minlen ({self._config.replay.minlen}): '
          f'{self._lengthening()}.')
    self.on_episode(episode)

  def state(self):
    """Names the episodes on the disk, and those in memory in their order."""
    return {
        'episodes': episode_files.names(self._directory),
        'loaded': self.replay.loaded}

  def close(self):
    """Closes the environments."""
    for env in self.envs:
      with contextlib.suppress(Exception):
        env.close()
