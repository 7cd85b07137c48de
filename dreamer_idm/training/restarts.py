"""Environments that fail are started again; what they broke is dropped.

Days of training meet a simulator that crashes, hangs or raises. The driver
sees such an episode end; `broken` says that it is none, so that the training
neither counts its last step nor keeps it.
"""

import contextlib

import numpy as np

from ..envs import environments
from ..errors import TrainingError
from ..errors import UsageError
from . import signals

LIMIT = 3  # New starts without a whole episode between them.


class Restarted:
  """An environment in upstream's interface that outlives its failures."""

  def __init__(self, make, name, note=print):
    """Starts the environment.

    Args:
      make: function of an int, how often it was started before; returns an
        environment.
      name: str, for messages.
      note: function of str, told of every failure.
    """
    self._make, self._name, self._note = make, name, note
    self.restarts = 0  # In the whole run of this process.
    self.broken = False  # Whether the present episode has to be dropped.
    self._in_a_row = 0
    self._env = make(0)
    # Kept, for when there is no environment to ask.
    self.obs_space, self.act_space = self._env.obs_space, self._env.act_space
    self._obs: dict = {}

  def reset(self):
    """Begins an episode.

    Returns:
      dict, the observation.

    Raises:
      TrainingError: if it failed too often, or its values are not finite.
    """
    while True:
      try:
        with signals.allowed():
          answer = self._env.reset()
          obs = answer() if callable(answer) else answer
      except UsageError:
        raise
      except Exception as error:
        self._restart(error)
        continue
      self.broken = False
      return self._checked(obs)

  def step(self, action):
    """Takes a step.

    Args:
      action: dict with the array `action`.

    Returns:
      dict, the observation, or for a worker a function that waits for it.
      After a failure it is the previous one, as an episode's last.

    Raises:
      TrainingError: if it failed too often, or its values are not finite.
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
      self._restart(error)
      self.broken = True
      return {**self._obs, 'is_last': True}

  def _ended(self, obs):
    if not self.broken:
      self._checked(obs)
      if obs['is_last']:
        self._in_a_row = 0
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
            f'{self._name} is not finite: mend the environment')
    self._obs = obs
    return obs

  def _restart(self, error):
    words = (str(error).strip() or repr(error)).splitlines()[-1]
    while True:
      with contextlib.suppress(Exception):
        self._env.close()
      if self._in_a_row >= LIMIT:
        raise TrainingError(
            f'{self._name} failed {LIMIT + 1} times without a whole episode '
            f'between: {words}') from error
      self._in_a_row += 1
      self.restarts += 1
      self._note(
          f'{self._name} failed ({words}): its episode is dropped, and it is '
          f'started again ({self._in_a_row} of {LIMIT}).')
      try:
        with signals.allowed():
          self._env = self._make(self.restarts)
        return
      except Exception as failure:
        words = (str(failure).strip() or repr(failure)).splitlines()[-1]

  def close(self):
    """Ends the environment."""
    self._env.close()


def make_envs(config, mode, count, seed, note=print, perturb=None):
  """Builds environments as `environments.make_envs`, each of them restarted.

  Args:
    config: upstream's Config.
    mode: str, `train` or `eval`.
    count: int.
    seed: int. A new start draws from the seed, the environment's number and
      how many there were, lest it live through the same episodes again.
    note: function of str.
    perturb: None or dict, see `environments.make_env`.

  Returns:
    list of Restarted.

  Raises:
    UsageError: see `environments.make_envs`.
  """
  first = environments.make_envs(config, mode, count, seed, perturb)

  def build(number, starts):
    if not starts:
      return first[number]
    words = np.random.SeedSequence([seed, number, starts]).generate_state(1)
    env, = environments.make_envs(config, mode, 1, int(words[0]), perturb)
    return env

  return [
      Restarted(
          lambda starts, number=number: build(number, starts),
          f'environment {number} ({mode}) of {config.task}', note)
      for number in range(count)]
