"""An environment that records its episodes, and fails when it is asked to.

Every observation says which step of which episode it is, and every finished
episode is written to a file of its own records, so that one can tell whether
all of them, and each only once, are in a replay.

  LEDGER         file that finished episodes are appended to
  LEDGER_FAULT   `raise`, `exit`, `hang`, `kill` or `term` (the process gets
                 that signal), or a number such as `nan` or `1e300` (which is
                 the reward), and after a colon the step, counted over all
                 episodes of a process, at which
"""

import itertools
import json
import os
import signal
import time

import gymnasium
import numpy as np

LENGTH = 40


class Ledger(gymnasium.Env):
  """Observes [instance, episode, step, last action]; rewards the action."""

  observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
  action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
  steps = itertools.count(1)  # Of all instances in this process.

  def __init__(self):
    # Small enough for a float32 to be exact.
    self._name = int.from_bytes(os.urandom(3), 'little')
    self._episode, self._time = -1, 0

  def reset(self, seed=None, options=None):
    """Begins an episode; returns the observation and no infos."""
    super().reset(seed=seed)
    self._episode, self._time = self._episode + 1, 0
    return self._observation(0.0), {}

  def step(self, action):
    """Takes a step, or fails; the action is the reward."""
    self._time += 1
    fault, _, when = os.environ.get('LEDGER_FAULT', '').partition(':')
    if next(Ledger.steps) == int(when or 0):
      if fault == 'raise':
        raise RuntimeError('the ledger was told to fail')
      elif fault == 'exit':
        os._exit(3)
      elif fault == 'hang':
        time.sleep(1e6)
      elif fault in ('kill', 'term'):
        os.kill(os.getpid(), signal.Signals[f'SIG{fault.upper()}'])
      else:
        return (
            self._observation(float(action[0])), float(fault), False, False, {})
    if self._time == LENGTH and os.environ.get('LEDGER'):
      with open(os.environ['LEDGER'], 'a') as file:
        file.write(json.dumps([self._name, self._episode]) + '\n')
    return (
        self._observation(float(action[0])), float(action[0]), False,
        self._time == LENGTH, {})

  def _observation(self, action):
    return np.array(
        [self._name, self._episode, self._time, action], np.float32)


gymnasium.register('Ledger-v0', Ledger)
