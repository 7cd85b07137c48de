"""Rotated frames, the perturbation of the paper's evaluation.

Only evaluation environments are wrapped; training never sees such a frame.
"""

import numpy as np
import scipy.ndimage

from .errors import UsageError

# How pixels are filled that come from outside of the image, in SciPy's words.
FILL = {'zero': 'constant', 'nearest': 'nearest'}
PER = ('frame', 'episode')


def check_rotation(degrees, per, fill):
  """Checks the settings of `RotatedFrames`.

  Args:
    degrees: float, the largest angle, 0 to 180.
    per: str, how often an angle is drawn, 'frame' or 'episode'.
    fill: str, what comes in at the corners, 'zero' or 'nearest'.

  Raises:
    UsageError: if one of them is not so.
  """
  number = isinstance(degrees, (int, float, np.number))
  if not number or isinstance(degrees, bool) or not 0 <= degrees <= 180:
    raise UsageError(
        f'rotate.degrees is {degrees!r}, but must be a number from 0 to 180.')
  if per not in PER:
    raise UsageError(f"rotate.per is {per!r}, but must be frame or episode.")
  if fill not in FILL:
    raise UsageError(f"rotate.fill is {fill!r}, but must be zero or nearest.")


def rotate(image, angle, fill):
  """Rotates an image about its centre, with bilinear interpolation.

  Args:
    image: uint8 [H, W, C].
    angle: float, degrees, counter-clockwise as the image is looked at.
    fill: str, what comes in at the corners: 'zero', or the 'nearest' pixel.

  Returns:
    uint8 [H, W, C]; the image itself if the angle is 0.
  """
  if image.dtype != np.uint8 or image.ndim != 3:
    raise ValueError(
        f'Expected a uint8 image [H, W, C], got {image.dtype} {image.shape}.')
  if angle == 0:
    return image
  return scipy.ndimage.rotate(
      image, angle, reshape=False, order=1, mode=FILL[fill])


class RotatedFrames:
  """Environment whose images are all rotated, the reset frame's too.

  Angles are drawn from U(-degrees, degrees). All images of one frame share
  their angle; spaces and everything else are the inner environment's.
  """

  def __init__(self, env, degrees, per, fill, seed):
    """Wraps an environment.

    Args:
      env: environment with upstream's interface.
      degrees: float, the largest angle, 0 to 180.
      per: str, whether a new angle is drawn for each 'frame' or 'episode'.
      fill: str, see `rotate`.
      seed: int or sequence of ints, for the angles alone.

    Raises:
      UsageError: see `check_rotation`.
    """
    check_rotation(degrees, per, fill)
    self._env = env
    self._degrees = degrees
    self._per = per
    self._fill = fill
    self._random = np.random.default_rng(seed)
    self._angle = None

  def __getattr__(self, name):
    if name.startswith('_'):
      raise AttributeError(name)
    return getattr(self._env, name)

  def reset(self):
    """Begins an episode.

    Returns:
      dict, the inner environment's observation, images rotated.
    """
    self._angle = None
    return self._rotated(self._env.reset())

  def step(self, action):
    """Takes an action.

    Args:
      action: dict, as the inner environment takes it.

    Returns:
      dict, the inner environment's observation, images rotated.
    """
    return self._rotated(self._env.step(action))

  def _rotated(self, obs):
    if self._angle is None or self._per == 'frame':
      self._angle = self._random.uniform(-self._degrees, self._degrees)
    return {
        k: rotate(v, self._angle, self._fill) if _is_image(v) else v
        for k, v in obs.items()}


def _is_image(value):
  return getattr(value, 'dtype', None) == np.uint8 and value.ndim == 3
