"""Perturbations of what MuJoCo renders: camera, colors, light, background.

They are set on the model, or on what the physics derived from it, before a
frame is rendered and undone right after it: the simulation never sees them,
and there are no corners to fill.
"""

import contextlib
import functools
import pathlib

import numpy as np
import scipy.ndimage
import scipy.spatial.transform

from ..errors import UsageError

NOISE = 'noise'  # The background if no pictures are given.
SUFFIXES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.webp')
SKY = 128  # Side of the sky's faces in pixels; each spans 90 degrees.
CLOUDS = 8  # Random colors along such a side.
OPAQUE = 0.3  # What is left of the floor's opacity before a whole background.


class View:
  """What is rendered, from where, and by which graphics driver."""

  def __init__(self, model, data, camera, upload):
    """Changes nothing yet.

    Args:
      model, data: MuJoCo's, or what has their arrays under the same names.
      camera: int, the number of a camera of the model.
      upload: function of the number of a texture, which brings the model's to
        the driver.
    """
    self.model, self.data = model, data
    self.camera, self.upload = camera, upload
    self.perturbation = None

  def perturbed(self):
    """A context in which a frame is rendered."""
    if self.perturbation is None:
      return contextlib.nullcontext()
    return self.perturbation.scene(self)

  @functools.cached_property
  def skies(self):
    """dict of a sky's number -> its faces, float32 [6, SKY, SKY, 3]."""
    import mujoco
    from PIL import Image
    model, found = self.model, {}
    for number in np.flatnonzero(
        model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX):
      start, side = model.tex_adr[number], model.tex_width[number]
      faces = model.tex_data[start:start + 18 * side ** 2].reshape(
          6, side, side, 3)
      found[int(number)] = np.array(
          [_square(Image.fromarray(x)) for x in faces])
    return found


@contextlib.contextmanager
def changed(apply, view, strength, random, fill):
  """Changes the scene within a `with`, and restores it after that.

  Args:
    apply: a function of this module, `camera_roll` for one.
    view: View.
    strength: float > 0, in the unit of the kind.
    random: has `uniform`, as a numpy.random.Generator.
    fill: str, `noise` or a folder of pictures, for the background.
  """
  before = []

  def kept(array):
    before.append((array, array.copy()))
    return array

  try:
    apply(view, strength, random, fill, kept)
    yield
  finally:
    for array, values in reversed(before):
      array[...] = values


def camera_roll(view, strength, random, fill, kept):
  """Turns the camera about its line of sight, by degrees."""
  _turn(view, kept, 2, np.radians(strength) * random.uniform(-1, 1))


def camera_pitch(view, strength, random, fill, kept):
  """Turns the camera up or down, by fractions of its field of view."""
  _turn(view, kept, 0, strength * _sight(view) * random.uniform(-1, 1))


def camera_yaw(view, strength, random, fill, kept):
  """Turns the camera left or right, by fractions of its field of view."""
  _turn(view, kept, 1, strength * _sight(view) * random.uniform(-1, 1))


def camera_shift(view, strength, random, fill, kept):
  """Moves the camera, never under the floor.

  By fractions of the height that it sees where the bodies are to its sides, and
  of its distance from them forwards.
  """
  at = kept(view.data.cam_xpos)[view.camera]
  distance = np.linalg.norm(at - view.data.subtree_com[0])
  seen = 2 * distance * np.tan(_sight(view) / 2)
  lowest = min(at[2], max(at[2] / 2, 0))
  at += view.data.cam_xmat[view.camera].reshape(3, 3) @ (
      strength * np.array([seen, seen, distance]) * random.uniform(-1, 1, 3))
  at[2] = max(at[2], lowest)


def _sight(view):
  """The vertical field of view, in radians."""
  return np.radians(view.model.cam_fovy[view.camera])


def _turn(view, kept, axis, angle):
  # The axes of a camera are its right, its up and its back.
  matrix = kept(view.data.cam_xmat)[view.camera].reshape(3, 3)
  matrix[:] = matrix @ _rotation(np.eye(3)[axis] * angle)


def _rotation(vector):
  return scipy.spatial.transform.Rotation.from_rotvec(vector).as_matrix()


def colors(view, strength, random, fill, kept):
  """Moves the color of every material, and of every body that has its own."""
  model = view.model
  # MuJoCo reads this one as none, where there is a material.
  none = (model.geom_rgba == [0.5, 0.5, 0.5, 1]).all(1) & (
      model.geom_matid >= 0)
  moves = strength * random.uniform(-1, 1, (model.nmat + model.ngeom, 3))
  moves[model.nmat:][none] = 0
  for array, move in (
      (kept(model.mat_rgba), moves[:model.nmat]),
      (kept(model.geom_rgba), moves[model.nmat:])):
    array[:, :3] = reflected(array[:, :3] + move)


def reflected(values):
  """Brings numbers into [0, 1], by reflection at its ends."""
  values = values % 2
  return np.minimum(values, 2 - values)


def light(view, strength, random, fill, kept):
  """Moves the lamps about the bodies, and makes all light weaker or stronger.

  By fractions of 60 degrees about either horizontal axis, and of the strength.
  """
  model, data = view.model, view.data
  across, along, change = strength * random.uniform(-1, 1, 3)
  turn = _rotation(np.radians(60) * np.array([across, along, 0])).T
  centre = data.subtree_com[0]
  kept(data.light_xpos)[:] = (data.light_xpos - centre) @ turn + centre
  kept(data.light_xdir)[:] = data.light_xdir @ turn
  head = model.vis.headlight
  for array in (
      model.light_ambient, model.light_diffuse, head.ambient, head.diffuse):
    kept(array)[:] *= 1 + change


def background(view, strength, random, fill, kept):
  """Blends a picture into the sky, and lets it through the floor.

  Only the model's sky is restored: the driver keeps this one until the next.
  """
  import mujoco
  model = view.model
  if fill == NOISE:
    picture = scipy.ndimage.zoom(
        255 * random.uniform(0, 1, (CLOUDS, CLOUDS, 3)),
        (SKY / CLOUDS, SKY / CLOUDS, 1), order=1, mode='nearest')
  else:
    paths = pictures(fill)
    picture = _picture(paths[int(random.uniform(0, len(paths) - 1e-9))])
  picture = picture[:, ::-1]  # The sky is seen from within.
  for number, faces in view.skies.items():
    start = model.tex_adr[number]
    kept(model.tex_width)[number] = SKY
    kept(model.tex_height)[number] = 6 * SKY
    kept(model.tex_data[start:start + faces.size])[:] = (
        faces + strength * (picture - faces)).astype(np.uint8).reshape(-1)
    view.upload(number)
  own = kept(model.geom_rgba)  # Goes before the color of the material.
  for plane in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
    material = model.geom_matid[plane]
    if material >= 0:
      own[plane] = model.mat_rgba[material]
    own[plane, 3] *= 1 - strength * (1 - OPAQUE)


@functools.cache
def pictures(folder):
  """Lists the pictures of a folder by name; raises UsageError without any."""
  try:
    found = sorted(
        x for x in pathlib.Path(folder).iterdir()
        if x.suffix.lower() in SUFFIXES)
  except OSError as error:
    raise UsageError(
        f'the backgrounds cannot be read: {error}; give a folder of '
        'pictures') from error
  if not found:
    raise UsageError(
        f'{folder} has no pictures for the background '
        f'({", ".join(SUFFIXES)})')
  return found


@functools.lru_cache(1000)
def _picture(path):
  """Reads a picture: float32 [SKY, SKY, 3]."""
  from PIL import Image
  try:
    with Image.open(path) as image:
      return _square(image.convert('RGB'))
  except (OSError, ValueError, Image.DecompressionBombError) as error:
    raise UsageError(
        f'the background {path} is not a picture that can be read: '
        f'{" ".join(str(error).split())}') from error


def _square(image):
  """The middle of a PIL picture, resized: float32 [SKY, SKY, 3]."""
  from PIL import Image
  from PIL import ImageOps
  return np.asarray(
      ImageOps.fit(image, (SKY, SKY), Image.Resampling.BOX), np.float32)
