"""Your own environment: a point that is steered to a target, in pixels.

Any gymnasium.Env with continuous actions works like this. The last line
registers it; the task's name says which module to import for that:

  dreamer-idm train --configs cpu idm --task gym_examples.point:Point-v0
"""

import gymnasium
import numpy as np


class Point(gymnasium.Env):
  """A white point, a red target, and the distance between them as cost."""

  observation_space = gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8)
  action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

  def reset(self, seed=None, options=None):
    """Puts point and target somewhere; returns the image and no infos."""
    super().reset(seed=seed)
    self._point, self._target = self.np_random.uniform(-1, 1, (2, 2))
    return self._image(), {}

  def step(self, action):
    """Moves the point; the reward is 1 at the target, 0 at most away."""
    self._point = np.clip(self._point + 0.1 * action, -1, 1)
    reward = 1 - np.linalg.norm(self._point - self._target) / np.sqrt(8)
    # Never terminated; register() below sets the time limit.
    return self._image(), float(reward), False, False, {}

  def _image(self):
    image = np.zeros(self.observation_space.shape, np.uint8)
    for place, color in (
        (self._target, (255, 0, 0)), (self._point, (255, 255, 255))):
      row, column = np.rint(1 + (place + 1) / 2 * 27).astype(int)
      image[row:row + 3, column:column + 3] = color
    return image


gymnasium.register('Point-v0', Point, max_episode_steps=100)
