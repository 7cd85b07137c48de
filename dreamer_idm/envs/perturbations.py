"""Perturbations of observations, in evaluation alone.

The paper rotates every frame by an angle from U(-5, 5) degrees. The others
are what a robot meets: a camera that was knocked, light, noise, dirt on the
lens; for vectors a noisy, miscalibrated or dead sensor. Those of the `scene`
change what dm_control renders, in place of the picture.
"""

import collections
import contextlib

import numpy as np

from ..errors import UsageError
from . import distortions
from . import scene

PER = ('frame', 'walk', 'episode')
LEVELS = {'easy': 0.5, 'medium': 1.0, 'hard': 2.0}  # Times the default.
WALK = 0.05  # Standard deviation of a step, a fraction of the whole range.
# These have no number that could walk.
UNRELATED = ('noise', 'blur', 'occlusion', 'sensor_noise', 'dead_sensor')

# of: what it changes. strength, most: the default and the largest. per: how
# often it is drawn if nothing is said.
Kind = collections.namedtuple(
    'Kind', ['apply', 'of', 'strength', 'most', 'per', 'unit'])


KINDS = {
    'rotation': Kind(
        distortions.rotation, 'image', 5.0, 180.0, 'frame',
        'degrees either way'),
    'shift': Kind(
        distortions.shift, 'image', 0.1, 1.0, 'episode',
        'fraction of the size, either way'),
    'zoom': Kind(
        distortions.zoom, 'image', 0.2, 10.0, 'episode',
        'at most 1 + this, in or out'),
    'brightness': Kind(
        distortions.brightness, 'image', 0.2, 1.0, 'episode',
        'fraction of white, either way'),
    'contrast': Kind(
        distortions.contrast, 'image', 0.25, 1.0, 'episode',
        'fraction, either way'),
    'noise': Kind(
        distortions.noise, 'image', 0.05, 1.0, 'frame',
        'std, fraction of white'),
    'blur': Kind(
        distortions.blur, 'image', 0.02, 1.0, 'frame',
        'std, fraction of the width'),
    'occlusion': Kind(
        distortions.occlusion, 'image', 0.25, 1.0, 'episode',
        'side, fraction of the image'),
    'sensor_noise': Kind(
        distortions.sensor_noise, 'vector', 0.1, 1e6, 'frame',
        "std in the sensor's unit"),
    'sensor_scale': Kind(
        distortions.sensor_scale, 'vector', 0.2, 1e6, 'episode',
        'fraction, either way'),
    'dead_sensor': Kind(
        distortions.dead_sensor, 'vector', 0.05, 1.0, 'episode',
        'fraction of all numbers, rounded up'),
    'camera_roll': Kind(
        scene.camera_roll, 'scene', 10.0, 180.0, 'walk', 'degrees either way'),
    'camera_pitch': Kind(
        scene.camera_pitch, 'scene', 0.1, 1.0, 'walk',
        'fraction of the field of view, either way'),
    'camera_yaw': Kind(
        scene.camera_yaw, 'scene', 0.1, 1.0, 'walk',
        'fraction of the field of view, either way'),
    'camera_shift': Kind(
        scene.camera_shift, 'scene', 0.1, 0.5, 'walk',
        'fraction of what is seen, either way'),
    'colors': Kind(
        scene.colors, 'scene', 0.25, 1.0, 'episode',
        'fraction of white, either way'),
    'light': Kind(
        scene.light, 'scene', 0.4, 1.0, 'episode',
        'fraction of its strength and of 60 degrees, either way'),
    'background': Kind(
        scene.background, 'scene', 0.5, 1.0, 'episode',
        'weight of a picture before the sky'),
}


def check(kind, strength=None, per=None, fill='zero'):
  """Checks the settings of `Perturbed` and fills in the defaults.

  Args:
    kind: str, a key of `KINDS`.
    strength: float, in the kind's unit, or `easy`, `medium`, `hard`: half the
      default, the default, twice the default; None for the default.
    per: str, whether random numbers are drawn for each 'frame' or for each
      'episode', or 'walk' from frame to frame; None for the kind's default.
    fill: str, what comes in at the edges, 'zero' or 'nearest'; of `background`
      a folder of pictures, or else 'noise'.

  Returns:
    dict of these four, complete.

  Raises:
    UsageError: if one of them is not valid.
  """
  if kind not in KINDS:
    raise UsageError(
        f'unknown perturbation {kind!r}: expected {", ".join(KINDS)}')
  rule = KINDS[kind]
  strength = 'medium' if strength is None else strength
  if isinstance(strength, str) and strength in LEVELS:
    strength = min(LEVELS[strength] * rule.strength, rule.most)
  per = rule.per if per is None else per
  number = isinstance(strength, (int, float, np.number))
  if not number or isinstance(strength, bool) or not (
      0 <= strength <= rule.most):
    raise UsageError(
        f'the strength of {kind} is {strength!r}, but must be {_or(LEVELS)}, '
        f'or a number from 0 to {rule.most:g} ({rule.unit})')
  possible = [x for x in PER if x != 'walk' or kind not in UNRELATED]
  if per not in possible:
    raise UsageError(
        f'per is {per!r}, but must be {_or(possible)} for {kind}')
  if kind == 'background':
    fill = scene.NOISE if fill in distortions.FILL else fill
    if fill != scene.NOISE:
      scene.pictures(fill)
  elif fill not in distortions.FILL:
    raise UsageError(f'fill is {fill!r}, but must be zero or nearest')
  return {
      'kind': kind, 'strength': float(strength), 'per': per, 'fill': str(fill)}


def _or(names):
  *others, last = names
  return f'{", ".join(others)} or {last}'


def kinds_for(obs_space, has_scene=False):
  """The keys of `KINDS` that change something in a dict of spaces.

  `has_scene`: whether images show a scene that can be perturbed.
  """
  image = any(_is_image(x) for x in obs_space.values())
  of = {
      'image': image, 'scene': image and has_scene,
      'vector': any(_is_vector(k, x) for k, x in obs_space.items())}
  return [k for k, v in KINDS.items() if of[v.of]]


class _Walk:
  """Uniform numbers that walk from frame to frame.

  A step is Gaussian and reflected at the ends, so that the numbers of any
  frame are distributed as those of `numpy.random.Generator`.
  """

  def __init__(self, random):
    self._random, self._at = random, None

  def step(self):
    """Goes to the next frame."""
    if self._at is not None:
      self._at = scene.reflected(
          self._at + WALK * self._random.standard_normal(self._at.shape))

  def uniform(self, low, high, size=None):
    """As numpy's; the same at every call of a frame."""
    if self._at is None:
      self._at = self._random.uniform(0, 1, size or ())
    return low + (high - low) * self._at


class Perturbation:
  """Changes observations, dicts of arrays, or the scene that they show.

  All images of one frame are changed alike, and all numbers of the sensors
  are taken together as one vector. All else stays as it is.
  """

  def __init__(self, kind, strength=None, per=None, fill='zero', seed=0):
    """Draws nothing yet.

    Args:
      kind, strength, per, fill: see `check`; at strength 0 nothing changes.
      seed: int, sequence of ints or None, for numpy.random.default_rng.
    """
    self._settings = check(kind, strength, per, fill)
    self.of = KINDS[kind].of
    self.seed(seed)

  def seed(self, seed):
    """Begins the random numbers again, and an episode."""
    self._random = np.random.default_rng(seed)
    self.begin()

  def begin(self):
    """Begins an episode."""
    self._draw = self._walk = None

  def _frame(self):
    """Begins a frame; returns a function that makes its random numbers."""
    per = self._settings['per']
    if self._draw is None or per == 'frame':
      self._draw = self._random.integers(2 ** 63)
    if per != 'walk':
      return lambda: np.random.default_rng(self._draw)
    if self._walk is None:
      self._walk = _Walk(np.random.default_rng(self._draw))
    else:
      self._walk.step()
    return lambda: self._walk

  @contextlib.contextmanager
  def scene(self, view):
    """Changes a scene.View within a `with`, where a frame is rendered."""
    draw, strength = self._frame(), self._settings['strength']
    if not strength:
      yield
      return
    with scene.changed(
        KINDS[self._settings['kind']].apply, view, strength, draw(),
        self._settings['fill']):
      yield

  def __call__(self, obs):
    """Returns a dict of arrays with some of them changed."""
    if self.of == 'scene':
      return obs
    rule, strength = KINDS[self._settings['kind']], self._settings['strength']
    draw = self._frame()
    if not strength:
      return obs
    def apply(value):
      # The same random numbers for every image of a frame or an episode.
      return rule.apply(value, strength, draw(), self._settings['fill'])
    if rule.of == 'image':
      return {k: apply(v) if _is_image(v) else v for k, v in obs.items()}
    keys = [k for k, v in obs.items() if _is_vector(k, v)]
    parts = [np.asarray(obs[k]) for k in keys]
    if not parts:
      return obs
    vector = apply(np.concatenate([x.reshape(-1) for x in parts]))
    split = np.split(vector, np.cumsum([x.size for x in parts])[:-1])
    return {**obs, **{
        k: x.reshape(old.shape).astype(old.dtype)
        for k, x, old in zip(keys, split, parts)}}


class Perturbed:
  """Environment whose observations are all perturbed, the first one too."""

  def __init__(self, env, kind, strength=None, per=None, fill='zero', seed=0):
    """Wraps an environment.

    Args:
      env: environment with upstream's interface.
      kind, strength, per, fill, seed: see `Perturbation`.
    """
    self._perturbation = Perturbation(kind, strength, per, fill, seed)
    self._env = env
    if self._perturbation.of == 'scene':
      env.perturb_scene(self._perturbation)

  def __getattr__(self, name):
    if name.startswith('_'):
      raise AttributeError(name)
    return getattr(self._env, name)

  def reset(self):
    """Begins an episode; returns its observation, a dict, perturbed."""
    self._perturbation.begin()
    return self._perturbation(self._env.reset())

  def step(self, action):
    """Takes an action, a dict; returns the observation, perturbed."""
    return self._perturbation(self._env.step(action))


def _is_image(value):
  # An observation or its space.
  return getattr(value, 'dtype', None) == np.uint8 and len(value.shape) == 3


def _is_vector(key, value):
  dtype = getattr(value, 'dtype', None)
  return (
      key != 'reward' and not key.startswith('log_') and dtype is not None
      and np.issubdtype(dtype, np.floating) and len(value.shape) <= 1)
