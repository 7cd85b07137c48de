"""What `perturbations` does to pictures and to the numbers of sensors.

Each function takes an array, the strength in the unit that `KINDS` names, the
random numbers, a numpy.random.Generator or what has its `uniform`, and what
comes in at the edges, a key of `FILL`; it returns an array of the same shape.
"""

import math

import numpy as np
import scipy.ndimage

# What comes in at the edges, in SciPy's words.
FILL = {'zero': 'constant', 'nearest': 'nearest'}


def rotate(image, angle, fill='zero'):
  """Rotates an image about its centre, with bilinear interpolation.

  Args:
    image: uint8 [H, W, C].
    angle: float, degrees, counter-clockwise for the viewer.
    fill: str, what comes in at the corners: 'zero', or the 'nearest' pixel.

  Returns:
    uint8 [H, W, C]; the image itself if the angle is 0.

  Example:
    >>> line = np.zeros((3, 3, 1), np.uint8)
    >>> line[:, 1] = 255
    >>> rotate(line, 90)[..., 0]
    array([[  0,   0,   0],
           [255, 255, 255],
           [  0,   0,   0]], dtype=uint8)
  """
  if image.dtype != np.uint8 or image.ndim != 3:
    raise ValueError(
        f'Expected a uint8 image [H, W, C], got {image.dtype} {image.shape}.')
  if angle == 0:
    return image
  return scipy.ndimage.rotate(
      image, angle, reshape=False, order=1, mode=FILL[fill])


def rotation(image, strength, random, fill):
  """Rotates about the centre, by at most `strength` degrees either way."""
  return rotate(image, random.uniform(-strength, strength), fill)


def shift(image, strength, random, fill):
  """Moves by a fraction of the size, in each direction by itself."""
  offset = random.uniform(-strength, strength, 2) * image.shape[:2]
  return scipy.ndimage.shift(image, (*offset, 0), order=1, mode=FILL[fill])


def zoom(image, strength, random, fill):
  """Zooms about the centre, at most by 1 + `strength`, in or out."""
  factor = (1 + strength) ** random.uniform(-1, 1)
  centre = (np.array(image.shape[:2]) - 1) / 2
  return scipy.ndimage.affine_transform(
      image, (1 / factor, 1 / factor, 1),
      (*(centre - centre / factor), 0), order=1, mode=FILL[fill])


def brightness(image, strength, random, fill):
  """Adds a fraction of white, or takes it away."""
  return _pixels(image + 255 * random.uniform(-strength, strength))


def contrast(image, strength, random, fill):
  """Stretches the values about the mean of each channel."""
  mean = image.mean((0, 1))
  factor = 1 + random.uniform(-strength, strength)
  return _pixels((image - mean) * factor + mean)


def noise(image, strength, random, fill):
  """Adds Gaussian noise, its standard deviation a fraction of white."""
  return _pixels(image + 255 * strength * random.standard_normal(image.shape))


def blur(image, strength, random, fill):
  """Blurs by a Gaussian, its standard deviation a fraction of the width."""
  sigma = strength * image.shape[1]
  # As floats, or every pass over an axis would round down.
  return _pixels(scipy.ndimage.gaussian_filter(
      image.astype(np.float32), (sigma, sigma, 0)))


def occlusion(image, strength, random, fill):
  """Blackens a square somewhere, its side a fraction of the image."""
  side = round(strength * min(image.shape[:2]))
  top, left = (random.integers(0, x - side + 1) for x in image.shape[:2])
  image = image.copy()
  image[top:top + side, left:left + side] = 0
  return image


def _pixels(image):
  return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def sensor_noise(vector, strength, random, fill):
  """Adds Gaussian noise in the sensor's unit."""
  return vector + strength * random.standard_normal(vector.shape)


def sensor_scale(vector, strength, random, fill):
  """Scales each number by itself."""
  return vector * (1 + random.uniform(-strength, strength, vector.shape))


def dead_sensor(vector, strength, random, fill):
  """Sets a fraction of the numbers to 0, rounded up."""
  count = math.ceil(strength * len(vector) - 1e-9)
  vector = vector.copy()
  vector[random.permutation(len(vector))[:count]] = 0
  return vector
