"""Environments that fail are restarted; what they broke is dropped.

Days of training meet a simulator that crashes, hangs or raises. The driver
sees such an episode end; `broken` says that it is not a whole one, so that
training neither counts its last step nor keeps it. A mistake in a user's own
environment is not restarted where it shows at once: at the first reset or step,
and in a new run in the first episode.
"""

import contextlib
import math

import numpy as np

from ..envs import environments
from ..envs import workers
from ..errors import TrainingError
from ..errors import UsageError
from . import failures
from . import signals

LIMIT = 3  # Restarts without a whole episode between them.


class Restarted:
  """An environment in upstream's interface that outlives its failures."""

  def __init__(
      self, make, name, notes, longest=math.inf, patience=math.inf,
      terminal='', learned=True):
    """Starts the environment.

    Args:
      make: function of an int, how often it was started before; returns an
        environment.
      name: str, for messages.
      notes: failures.Notes.
      longest: int, agent steps; an episode that is as long ends the training.
      patience: int, agent steps after which a long episode is reported.
      terminal: str, reported once, when an episode ends in a terminal state.
      learned: bool, whether an agent would be lost; if not, what is raised in
        the first episode ends the training.
    """
    self._make, self._name, self._notes = make, name, notes
    self._longest, self._patience = longest, patience
    self._terminal = terminal
    self.restarts = 0  # In this process.
    self.broken = False  # Whether the present episode has to be dropped.
    self._in_a_row = 0
    self._length = 0  # Agent steps of the present episode.
    self._works = False  # Whether it has ever taken a step.
    # Whether what it raises is more likely bad luck than a mistake.
    self._proven = learned
    self._env = make(0)
    # Kept, for when there is no environment to ask.
    self.obs_space, self.act_space = self._env.obs_space, self._env.act_space
    self.notes, self.ignored, self.own_spaces, self.log_names = (
        environments.attribute(self._env, x)
        for x in ('notes', 'ignored', 'own_spaces', 'log_names'))
    self._obs: dict = {}

  @property
  def unlogged(self):
    """Set of str, `log_<name>` that no info has had; Gymnasium's alone."""
    return environments.attribute(self._env, 'unlogged')

  def reset(self):
    """Begins an episode; returns its first observation, a dict.

    Raises:
      UsageError: if the first one fails, or is not what its spaces say.
      TrainingError: if it failed too often, or its values are not usable.
    """
    while True:
      try:
        with signals.allowed():
          answer = self._env.reset()
          obs = answer() if callable(answer) else answer
      except Exception as error:
        self._restart(error, 'reset')
        continue
      self.broken, self._length = False, 0
      return self._checked(obs)

  def step(self, action):
    """Takes a step.

    Returns:
      dict, the observation, or for a worker a function that waits for it.
      After a failure it is the previous one, as an episode's last.

    Raises:
      UsageError: if the first one fails, or is not what its spaces say.
      TrainingError: if it failed too often, its values are not usable, or its
        episode does not end.
    """
    answer = self._attempt(lambda: self._env.step(action))
    if callable(answer):
      return lambda: self._ended(self._attempt(answer))
    return self._ended(answer)

  def _attempt(self, function):
    try:
      with signals.allowed():
        return function()
    except Exception as error:
      self._restart(error, 'step')
      self.broken = True
      return {**self._obs, 'is_last': True}

  def _ended(self, obs):
    if self.broken:
      return obs
    self._checked(obs)
    self._works = True
    self._length += 1
    if obs['is_last']:
      self._in_a_row, self._proven = 0, True
      if obs['is_terminal'] and self._terminal:
        self._notes.once('terminal', self._terminal)
    elif self._length >= self._longest:
      raise TrainingError(
          f'an episode of {self._name} has not ended after {self._length:,} '
          'agent steps, as many as the whole run has: --time_limit ends '
          'episodes after so many')
    elif self._length >= self._patience:
      self._notes.once('long', (
          f'An episode of {self._name} has not ended after {self._length:,} '
          'agent steps, and it declares no time limit: --time_limit ends '
          'episodes after so many agent steps.'))
    return obs

  def _checked(self, obs):
    for key, value in obs.items():
      value = np.asarray(value)
      with np.errstate(over='ignore'):  # The replay stores float32.
        finite = value.dtype.kind != 'f' or np.isfinite(
            value.astype(np.float32)).all()
      if not finite:
        raise TrainingError(
            f'the {"" if key == "reward" else "observation "}{key} of '
            f'{self._name} is not finite: correct the environment')
    self._obs = obs
    return obs

  def _restart(self, error, doing):
    if isinstance(error, UsageError):
      # What was learned is saved before a training ends with an error of its.
      raise TrainingError(str(error)) if self._works else error
    words, trace = failures.described(error)
    self._notes.once('failed', trace)
    lost = isinstance(error, workers.WorkerLost)
    if not self._works or not (self._proven or lost):
      where = f'{doing} {self._length + 1} of its first episode' if (
          self._works) else f'its first {doing}'
      raise UsageError(f'{self._name} failed at {where}: {words}') from error
    while True:
      with contextlib.suppress(Exception):
        self._env.close()
      if self._in_a_row >= LIMIT:
        raise TrainingError(
            f'{self._name} failed {LIMIT + 1} times without a whole episode '
            f'between: {words}') from error
      self._in_a_row += 1
      self.restarts += 1
      self._notes(
          f'{self._name} failed ({words}): its episode is dropped, and it is '
          f'restarted ({self._in_a_row} of {LIMIT}).')
      try:
        with signals.allowed():
          self._env = self._make(self.restarts)
        return
      except Exception as failure:
        words, _ = failures.described(failure)

  def close(self):
    """Ends the environment."""
    self._env.close()


def make_envs(
    config, mode, count, seed, note=print, perturb=None, learned=True):
  """Builds environments as `environments.make_envs`, each of them restarted.

  Args:
    config: upstream's Config.
    mode: str, `train` or `eval`.
    count: int.
    seed: int. A restart draws from the seed, the environment's number and
      how many there were, so that it does not repeat the same episodes.
    note: function of str.
    perturb: None or dict, see `environments.make_env`.
    learned: bool, see Restarted.

  Returns:
    list of Restarted.
  """
  first = environments.make_envs(config, mode, count, seed, perturb)

  def build(number, starts):
    if not starts:
      return first[number]
    words = np.random.SeedSequence([seed, number, starts]).generate_state(1)
    env, = environments.make_envs(config, mode, 1, int(words[0]), perturb)
    return env

  limits = {}
  if not config.time_limit and not environments.attribute(first[0], 'limit'):
    limits = {
        'longest': max(int(config.steps), config.prefill),
        'patience': 2 * config.prefill}
  # Training episodes are those that the critic learns from.
  terminal = '' if config.pred_discount or mode != 'train' else (
      f'{config.task} has terminal states, but no head predicts them '
      '(pred_discount False): the critic expects rewards after them. '
      '--pred_discount True learns them, with discount among --grad_heads.')
  notes = failures.Notes(note)
  return [
      Restarted(
          lambda starts, number=number: build(number, starts),
          f'environment {number} ({mode}) of {config.task}', notes,
          terminal=terminal, learned=learned, **limits)
      for number in range(count)]
