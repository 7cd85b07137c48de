"""Discrete actions on pixels or on vectors: press the button that is lit."""

import gymnasium
import numpy as np


class Buttons(gymnasium.Env):
  """One of three buttons is lit; pressing it ends the episode after ten."""

  action_space = gymnasium.spaces.Discrete(3, start=5)

  def __init__(self, pixels=True):
    """Makes the environment, which shows an image or one number."""
    box = gymnasium.spaces.Box
    self._pixels = pixels
    self.observation_space = (
        box(0, 255, (32, 32, 3), np.uint8) if pixels else box(0, 2, (1,)))
    self.pressed = []

  def reset(self, seed=None, options=None):
    """Lights a button."""
    super().reset(seed=seed)
    self._lit, self._hits, self._steps = self.np_random.integers(3), 0, 0
    return self._observation(), {}

  def step(self, action):
    """Rewards 1 for the button that is lit, and lights another."""
    assert self.action_space.contains(action), action
    assert isinstance(action, (int, np.integer))
    self.pressed.append(int(action))
    hit = action - 5 == self._lit
    self._hits, self._steps = self._hits + hit, self._steps + 1
    self._lit = self.np_random.integers(3)
    return (
        self._observation(), float(hit), bool(self._hits == 10),
        self._steps == 40, {})

  def _observation(self):
    if not self._pixels:
      return np.array([self._lit], np.float32)
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 11 * self._lit:11 * self._lit + 10] = 255
    return image


gymnasium.register('Buttons-v0', Buttons)
