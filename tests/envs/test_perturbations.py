import math

import gymnasium
import numpy as np
import pytest

from dreamer_idm.envs import distortions
from dreamer_idm.envs import perturbations
from dreamer_idm.errors import UsageError


def picture(height=12, width=12, channels=3, seed=0):
  random = np.random.RandomState(seed)
  return random.randint(0, 256, (height, width, channels), np.uint8)


class Env:
  """Shows one point of light, so that a frame tells its angle."""

  obs_space = 'one space'
  act_space = 'another'

  def __init__(self):
    self.image = np.zeros((65, 65, 3), np.uint8)
    self.image[31:34, 60:63] = 255
    self.calls = 0

  def _obs(self, first):
    self.calls += 1
    return {
        'image': self.image, 'wrist': self.image, 'is_first': first,
        'reward': 1.5, 'stack': np.ones((1, 8, 8, 3), np.uint8),
        'depth': np.ones((8, 8, 1), np.float32)}

  def reset(self):
    return self._obs(True)

  def step(self, action):
    return self._obs(False)


def angle(image):
  """Measures where the point of light is, in degrees."""
  weight = image[..., 0].astype(float)
  row = (weight.sum(1) * np.arange(65)).sum() / weight.sum() - 32
  column = (weight.sum(0) * np.arange(65)).sum() / weight.sum() - 32
  return math.degrees(math.atan2(-row, column))


def angles(env, frames=5):
  return [angle(env.reset()['image'])] + [
      angle(env.step({})['image']) for _ in range(frames - 1)]


def wrapped(degrees=5.0, per='frame', fill='zero', seed=0):
  return perturbations.Perturbed(
      Env(), 'rotation', degrees, per, fill, seed)


@pytest.mark.parametrize('fill', ['zero', 'nearest'])
def test_rotation_by_zero_is_the_image_bitwise(fill):
  image = picture()
  np.testing.assert_array_equal(
      distortions.rotate(image, 0, fill), image)
  np.testing.assert_array_equal(
      distortions.rotate(image, 0.0, fill), image)


@pytest.mark.parametrize('fill', ['zero', 'nearest'])
@pytest.mark.parametrize('size', [11, 12])
@pytest.mark.parametrize('turns', [1, 2, -1])
def test_quarter_turns_are_those_of_numpy(size, turns, fill):
  image = picture(size, size)
  np.testing.assert_array_equal(
      distortions.rotate(image, 90 * turns, fill), np.rot90(image, turns))
  point = np.zeros((size, size, 1), np.uint8)
  point[1, 3] = 200
  turned = distortions.rotate(point, 90, fill)
  assert np.argwhere(turned).tolist() == [[size - 1 - 3, 1, 0]]


@pytest.mark.parametrize('degrees', [-5.0, 3.3, 27.0])
@pytest.mark.parametrize('shape', [(9, 9), (8, 13)])
def test_rotation_is_bilinear_about_the_centre(degrees, shape):
  image = picture(*shape, seed=1)
  turned = distortions.rotate(image, degrees, 'nearest')
  assert turned.dtype == np.uint8 and turned.shape == image.shape
  height, width = shape
  cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
  for row in range(height):
    for column in range(width):
      y, x = row - (height - 1) / 2, column - (width - 1) / 2
      # Where this pixel was before it turned counter-clockwise.
      y, x = cos * y + sin * x, -sin * y + cos * x
      y = min(max(y + (height - 1) / 2, 0), height - 1)
      x = min(max(x + (width - 1) / 2, 0), width - 1)
      top, left = min(int(y), height - 2), min(int(x), width - 2)
      down, right = y - top, x - left
      expected = (
          (1 - down) * (1 - right) * image[top, left].astype(float) +
          (1 - down) * right * image[top, left + 1] +
          down * (1 - right) * image[top + 1, left] +
          down * right * image[top + 1, left + 1])
      np.testing.assert_allclose(turned[row, column], expected, atol=0.51)


def test_fill_is_what_comes_in_at_the_corners():
  white = np.full((20, 20, 3), 255, np.uint8)
  zero = distortions.rotate(white, 20, 'zero')
  assert (zero[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
  assert (zero[10, 10] == 255).all()
  assert (distortions.rotate(white, 20, 'nearest') == 255).all()


def test_only_single_uint8_images_are_accepted():
  for image in [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)]:
    with pytest.raises(ValueError, match='uint8'):
      distortions.rotate(image, 5, 'zero')


def test_each_frame_has_its_own_angle_from_the_uniform_distribution():
  values = np.array(angles(wrapped(), 400))
  assert abs(values).max() <= 5.05
  assert values.min() < -4.8 and values.max() > 4.8
  assert abs(values.mean()) < 0.5
  assert abs(values.std() - 10 / math.sqrt(12)) < 0.25
  assert len(np.unique(values.round(3))) > 350
  # No frame is related to the one before.
  assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.15


def test_the_reset_frame_is_rotated_and_each_time_otherwise():
  env = wrapped()
  first = [angle(env.reset()['image']) for _ in range(5)]
  assert min(abs(np.array(first))) > 0.01
  assert len(np.unique(np.round(first, 3))) == 5


def test_an_episode_keeps_its_angle():
  env = wrapped(per='episode')
  episodes = np.array([angles(env) for _ in range(6)])
  np.testing.assert_array_equal(episodes, episodes[:, :1].repeat(5, 1))
  assert len(np.unique(episodes[:, 0].round(3))) == 6
  assert abs(episodes).max() <= 5.05


def test_the_seed_decides_and_nothing_else():
  np.random.seed(0)
  first = angles(wrapped(seed=[3, 1]))
  np.random.seed(1)
  assert angles(wrapped(seed=[3, 1])) == first
  assert angles(wrapped(seed=[4, 1])) != first


def test_images_turn_together_and_the_rest_stays():
  env = wrapped()
  before = env.image.copy()
  obs = env.step({})
  np.testing.assert_array_equal(obs['image'], obs['wrist'])
  assert (obs['image'] != before).any()
  np.testing.assert_array_equal(env.image, before)
  assert obs['reward'] == 1.5 and obs['is_first'] is False
  assert obs['stack'].shape == (1, 8, 8, 3) and (obs['stack'] == 1).all()
  assert obs['depth'].dtype == np.float32 and (obs['depth'] == 1).all()
  assert env.obs_space is Env.obs_space and env.act_space is Env.act_space
  assert env.calls == 1
  with pytest.raises(AttributeError):
    _ = env.nothing


def test_no_degrees_is_no_rotation():
  env = wrapped(degrees=0)
  np.testing.assert_array_equal(env.reset()['image'], env.image)


@pytest.mark.parametrize('kind, strength, per, fill, message', [
    ('rotatoin', 5, None, 'zero', "unknown perturbation 'rotatoin'.*rotation"),
    ('rotation', -1, None, 'zero', 'strength of rotation is -1.*0 to 180'),
    ('rotation', 181, None, 'zero', '181'),
    ('rotation', float('nan'), None, 'zero', 'nan'),
    ('rotation', '5', None, 'zero', "'5'"),
    ('rotation', True, None, 'zero', 'True'),
    ('shift', 1.1, None, 'zero', 'strength of shift is 1.1.*0 to 1 '),
    ('rotation', 5, 'step', 'zero', "per is 'step'.*frame, walk or episode"),
    ('rotation', 5, None, 'black', "fill is 'black'.*zero or nearest")])
def test_bad_settings_are_named(kind, strength, per, fill, message):
  with pytest.raises(UsageError, match=message):
    perturbations.Perturbed(Env(), kind, strength, per, fill)


def test_defaults_are_the_papers_rotation():
  assert perturbations.check('rotation') == {
      'kind': 'rotation', 'strength': 5.0, 'per': 'frame', 'fill': 'zero'}


# The other kinds.


def changed(kind, strength, image=None, episodes=1, **kwargs):
  """One frame per episode of an environment that shows the image."""
  inner = Env()
  inner.image = picture(40, 40) if image is None else image
  env = perturbations.Perturbed(inner, kind, strength, seed=1, **kwargs)
  frames = [env.reset()['image'] for _ in range(episodes)]
  assert all(
      x.dtype == np.uint8 and x.shape == inner.image.shape for x in frames)
  return frames[0] if episodes == 1 else np.array(frames).astype(float)


def kinds(of):
  return [k for k, v in perturbations.KINDS.items() if v.of == of]


@pytest.mark.parametrize('kind', kinds('image'))
def test_no_strength_is_the_image_itself_and_some_is_not(kind):
  image = picture(40, 40)
  np.testing.assert_array_equal(changed(kind, 0, image), image)
  assert (changed(kind, None, image) != image).any()


@pytest.mark.parametrize('kind', kinds('image'))
@pytest.mark.parametrize('per', ['frame', 'episode'])
def test_drawn_per_frame_or_per_episode(kind, per):
  inner = Env()
  inner.image = picture(40, 40)
  env = perturbations.Perturbed(inner, kind, None, per, seed=0)
  obs = [env.reset(), env.step({}), env.step({}), env.reset()]
  frames = [x['image'] for x in obs]
  for x in obs:
    np.testing.assert_array_equal(x['image'], x['wrist'])
  if kind == 'blur':  # Nothing about it is random.
    return
  assert (frames[0] != frames[3]).any()
  assert (frames[1] == frames[2]).all() == (per == 'episode')
  assert (frames[0] == frames[1]).all() == (per == 'episode')


def centre(image):
  light = image[..., 0].astype(float)
  rows, columns = np.indices(light.shape)
  return np.array([
      (light * rows).sum(), (light * columns).sum()]) / light.sum()


def test_shift_moves_at_most_by_its_share_and_both_ways():
  image = np.zeros((40, 20, 3), np.uint8)
  image[19:21, 9:11] = 200
  frames = changed('shift', 0.25, image, 300)
  moved = np.array([centre(x) for x in frames]) - centre(image)
  # Up to a quarter of 40 rows and of 20 columns, uniformly.
  np.testing.assert_allclose(abs(moved).max(0), [10, 5], rtol=0.05)
  np.testing.assert_allclose(
      moved.std(0), np.array([20, 10]) / math.sqrt(12), rtol=0.1)
  assert abs(moved.mean(0)).max() < 1


def test_zoom_keeps_the_centre_and_changes_sizes_by_its_factor():
  image = np.zeros((65, 65, 3), np.uint8)
  image[22:43, 22:43] = 200
  frames = changed('zoom', 0.5, image, 200)
  for frame in frames[:20]:
    np.testing.assert_allclose(centre(frame), [32, 32], atol=0.1)
  sides = np.sqrt(frames[..., 0].sum((1, 2)) / 200) / 21
  assert 1 / 1.55 < sides.min() < 1 / 1.4 and 1.4 < sides.max() < 1.55


def test_brightness_adds_one_number_to_all_and_clips():
  frames = changed('brightness', 0.2, np.full((4, 4, 3), 128, np.uint8), 300)
  assert (frames == frames[:, :1, :1, :1]).all()
  added = frames[:, 0, 0, 0] - 128
  assert -51 <= added.min() < -45 and 45 < added.max() <= 51
  white = changed('brightness', 0.2, np.full((4, 4, 3), 250, np.uint8), 50)
  assert white.max() == 255


def test_contrast_scales_about_the_mean_of_each_channel():
  image = np.zeros((2, 2, 3), np.uint8)
  image[0], image[1] = 100, 140
  for frame in changed('contrast', 0.5, image, 50):
    low, high = frame[0, 0, 0], frame[1, 0, 0]
    assert abs(low + high - 240) <= 1 and 10 <= 120 - low <= 30


def test_noise_has_its_standard_deviation():
  noise = changed('noise', 0.05, np.full((80, 80, 3), 128, np.uint8)) - 128.0
  assert abs(noise.mean()) < 0.5 and abs(noise.std() - 0.05 * 255) < 0.5


def test_blur_spreads_a_point_like_a_gaussian():
  image = np.zeros((33, 33, 3), np.uint8)
  image[16, 16] = 255
  blurred = changed('blur', 2 / 33, image).astype(float)
  expected = 255 / (2 * math.pi * 4) * np.exp(
      -np.add.outer(np.arange(-16, 17) ** 2, np.arange(-16, 17) ** 2) / 8)
  np.testing.assert_allclose(
      blurred, expected[..., None].repeat(3, 2), atol=0.51)


def test_occlusion_blackens_a_square_anywhere_inside():
  frames = changed('occlusion', 0.25, np.full((40, 40, 3), 9, np.uint8), 100)
  dark = frames[..., 0] == 0
  assert (dark.sum((1, 2)) == 100).all()
  for square in dark:
    rows, columns = square.any(1).nonzero()[0], square.any(0).nonzero()[0]
    assert len(rows) == len(columns) == 10
    assert np.ptp(rows) == np.ptp(columns) == 9
  assert dark.any(0).mean() > 0.9


class Sensors:
  """Delivers two vectors, a bare number and things that are none."""

  def __init__(self):
    self.position = np.arange(1, 11).astype(np.float64)
    self.height = np.float64(3)

  def reset(self):
    return {
        'position': self.position, 'height': self.height, 'reward': 1.0,
        'log_speed': np.ones(2), 'is_first': True, 'count': np.ones(2, int)}

  step = lambda self, action: self.reset()


def sensed(kind, strength, episodes, per=None):
  env = perturbations.Perturbed(Sensors(), kind, strength, per, seed=0)
  result = []
  for _ in range(episodes):
    obs = env.reset()
    for key in ('reward', 'log_speed', 'is_first', 'count'):
      np.testing.assert_array_equal(obs[key], Sensors().reset()[key])
    assert obs['position'].dtype == np.float64
    assert obs['position'].shape == (10,) and np.shape(obs['height']) == ()
    result.append([*obs['position'], obs['height']])
  return np.array(result)


TRUTH = np.array([*range(1, 11), 3.0])


def test_sensor_noise_is_gaussian_in_the_sensors_unit():
  noise = sensed('sensor_noise', 0.5, 2000) - TRUTH
  np.testing.assert_allclose(noise.std(0), 0.5, rtol=0.06)
  assert abs(noise.mean(0)).max() < 0.05
  assert abs(np.corrcoef(noise.T) - np.eye(11)).max() < 0.1


def test_sensor_scale_multiplies_each_number_by_its_own():
  factor = sensed('sensor_scale', 0.2, 2000) / TRUTH
  np.testing.assert_allclose(factor.std(0), 0.4 / math.sqrt(12), rtol=0.06)
  assert 0.8 <= factor.min() < 0.81 and 1.19 < factor.max() <= 1.2


@pytest.mark.parametrize('strength, dead', [
    (0.0, 0), (0.01, 1), (1 / 11, 1), (0.1, 2), (1, 11)])
def test_dead_sensors_read_zero(strength, dead):
  values = sensed('dead_sensor', strength, 200)
  assert ((values == 0).sum(1) == dead).all()
  np.testing.assert_array_equal(
      np.where(values, values, TRUTH), TRUTH[None].repeat(200, 0))
  if dead:
    assert (values == 0).any(0).all()


def test_kinds_go_by_what_there_is_to_perturb():
  box = gymnasium.spaces.Box
  image = box(0, 255, (8, 8, 3), np.uint8)
  vector = box(-1, 1, (4,), np.float32)
  reward = {'reward': box(-1, 1, (), np.float32)}
  kinds_for = perturbations.kinds_for
  assert kinds_for({'image': image, **reward}) == kinds('image')
  assert kinds_for({'v': vector, **reward}) == kinds('vector')
  assert kinds_for({'v': vector, 'image': image}, True) == list(
      perturbations.KINDS)
  assert kinds_for({'v': vector}, True) == kinds('vector')
  assert kinds_for(reward) == []
