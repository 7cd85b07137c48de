"""An environment that a working agent solves within minutes."""

import gymnasium
import numpy as np


class Line(gymnasium.Env):
  """A point on a line is to stay near a mark; it sees both places."""

  observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
  action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

  def reset(self, seed=None, options=None):
    """Puts point and mark somewhere."""
    super().reset(seed=seed)
    self._point, self._mark = self.np_random.uniform(-1, 1, 2)
    return self._observation(), {}

  def step(self, action):
    """Moves by at most 0.2; rewards 1 within 0.1 of the mark."""
    self._point = float(np.clip(self._point + 0.2 * action[0], -1, 1))
    near = abs(self._point - self._mark) < 0.1
    return self._observation(), float(near), False, False, {}

  def _observation(self):
    return np.array([self._point, self._mark], np.float32)


gymnasium.register('Line-v0', Line, max_episode_steps=50)
