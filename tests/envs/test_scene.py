"""Perturbations of the scene, in what dm_control really renders."""

import contextlib
import functools
import types

import numpy as np
import pytest
from PIL import Image

from dreamer_idm.envs import dm_control
from dreamer_idm.envs import environments
from dreamer_idm.envs import perturbations
from dreamer_idm.envs import rendering
from dreamer_idm.envs import scene
from dreamer_idm.envs import workers
from dreamer_idm.errors import UsageError

KINDS = [k for k, v in perturbations.KINDS.items() if v.of == 'scene']
IMAGES = types.SimpleNamespace(cnn_keys='image', mlp_keys='.*')
VECTORS = types.SimpleNamespace(cnn_keys='$^', mlp_keys='.*')

pytestmark = pytest.mark.filterwarnings('ignore:.*precision lowered')


@pytest.fixture(scope='module', autouse=True)
def backend():
  rendering.choose_backend()
  assert rendering.in_process_is_safe(), 'a test imported TensorFlow too early'


def build(
    kind=None, strength='hard', per=None, fill='zero', seed=0, mode='eval',
    **changes):
  """Makes an environment."""
  config = types.SimpleNamespace(**{
      'task': 'dmc_walker_walk', 'action_repeat': 2, 'dmc_camera': -1,
      'render_size': (32, 32), 'shadows': False, 'supersample': 1,
      'time_limit': 0, 'envs_parallel': 'none', 'log_keys_sum': '^$',
      'log_keys_mean': '^$', 'log_keys_max': '^$', 'encoder': IMAGES,
      'decoder': IMAGES, **changes})
  perturb = kind and {
      'kind': kind, 'strength': strength, 'per': per, 'fill': fill}
  return environments.make_envs(config, mode, 1, seed, perturb)[0]


@pytest.fixture
def make():
  """Builds environments, closed after the test."""
  with contextlib.ExitStack() as stack:
    yield lambda *args, **kwargs: stack.enter_context(
        contextlib.closing(build(*args, **kwargs)))


@pytest.fixture(scope='module')
def clean(backend):
  """Task -> an unperturbed environment and its episode."""
  with contextlib.ExitStack() as stack:
    @functools.cache
    def run(task='dmc_walker_walk'):
      env = stack.enter_context(contextlib.closing(build(task=task)))
      return env, list(episode(env))
    yield run


def wrapped(env):
  """The dm_control.DMControl within an environment."""
  while not isinstance(env, dm_control.DMControl):
    env = env._env
  return env


def physics(env):
  return wrapped(env)._env.physics


def episode(env, steps=4):
  """Observations under random actions, and the physics' states."""
  random = np.random.default_rng(0)
  result = env.reset
  for _ in range(steps + 1):
    obs = result()
    obs = dict(obs() if callable(obs) else obs)
    yield obs if isinstance(env, workers.Worker) else {
        **obs, 'state': physics(env).get_state()}
    space = env.act_space['action']
    action = {'action': random.uniform(-1, 1, space.shape)}
    result = lambda action=action: env.step(action)


def frames(env, **kwargs):
  return np.array([x['image'] for x in episode(env, **kwargs)])


def still(env, count=4):
  """Frames of one state, the first one of an episode."""
  env.reset()
  inner = physics(env)
  inner.reset()
  inner.forward()
  return np.array([
      inner.render(32, 32, camera_id=0) for _ in range(count)]).astype(float)


def arrays(model):
  """Everything about a model that a renderer could read, copied."""
  found = {}
  for name in dir(model):
    value = None if name.startswith('_') else getattr(model, name)
    if isinstance(value, np.ndarray):
      found[name] = value.copy()
  for name in ('ambient', 'diffuse', 'specular'):
    found[name] = getattr(model.vis.headlight, name).copy()
  return found


class Most:
  """Draws the largest numbers that there can be, or others in their place."""

  def __init__(self, fraction=1.0):
    self.fraction = np.array(fraction)

  def uniform(self, low, high, size=None):
    return np.broadcast_to(
        low + (high - low) * (self.fraction + 1) / 2, size or ())


def shown(env, kind, strength, draw=1.0, fill='noise'):
  """The frame of this state when the numbers between -1 and 1 are `draw`."""
  inner = physics(env)
  view = wrapped(env).view
  with scene.changed(
      perturbations.KINDS[kind].apply, view, strength, Most(draw), fill):
    return inner.render(32, 32, camera_id=0).astype(float)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('task', ['dmc_walker_walk', 'dmc_reacher_easy'])
def test_the_physics_never_sees_it(make, clean, kind, task):
  perturbed = make(kind, per='frame', task=task)
  plain, seen = clean(task)
  for one, two in zip(seen, episode(perturbed), strict=True):
    assert (one['image'] != two['image']).any()
    assert one.keys() == two.keys() and {'state', 'reward'} < one.keys()
    for key in one.keys() - {'image'}:
      np.testing.assert_array_equal(one[key], two[key])
  expected, after = physics(plain), physics(perturbed)
  found = arrays(after.model)
  assert len(found) > 300
  for name, value in arrays(expected.model).items():
    np.testing.assert_array_equal(value, found[name], err_msg=name)
  for name in ('cam_xpos', 'cam_xmat', 'light_xpos', 'light_xdir'):
    np.testing.assert_array_equal(
        getattr(expected.data, name), getattr(after.data, name))


@pytest.mark.parametrize('kind', KINDS)
def test_no_strength_is_the_plain_frame_and_the_seed_decides(
    make, clean, kind):
  np.testing.assert_array_equal(
      [x['image'] for x in clean()[1]], frames(make(kind, 0)))
  first = frames(make(kind))
  np.testing.assert_array_equal(first, frames(make(kind)))
  # The same states from another seed of the perturbation alone.
  env = make(kind)
  env._perturbation.seed(7)
  other = frames(env)
  assert (first != other).any((1, 2, 3)).all()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('per', perturbations.PER)
def test_drawn_per_frame_or_episode_or_walking(make, kind, per):
  env = make(kind, per=per)
  first, second = still(env), still(env)
  assert (first[0] != second[0]).any()
  steps = abs(np.diff(first, axis=0)).mean((1, 2, 3))
  assert (steps == 0).all() if per == 'episode' else (steps > 0).all()


@pytest.mark.parametrize('kind', KINDS)
def test_the_levels_differ_and_grow(make, kind):
  env = make()
  plain = still(env, 1)[0]
  changes = [
      abs(shown(env, kind, perturbations.check(kind, level)['strength'], 0.9)
          - plain).mean() for level in ('easy', 'medium', 'hard')]
  assert 0.3 < changes[0] < changes[1] < changes[2], changes
  if kind != 'background':  # The driver keeps a sky until the next one.
    np.testing.assert_array_equal(still(env, 1)[0], plain)


def test_a_level_is_a_multiple_of_the_default():
  strengths = [
      perturbations.check('camera_roll', x)['strength']
      for x in ('easy', 'medium', None, 'hard')]
  assert strengths == [5, 10, 10, 20]
  assert perturbations.check('background', 'hard')['strength'] == 1


@pytest.mark.parametrize('shadows', [False, True])
@pytest.mark.parametrize('task', ['dmc_walker_walk', 'dmc_finger_spin'])
def test_a_rolled_camera_sees_the_same_turned(make, shadows, task):
  env = make(shadows=shadows, task=task)
  plain = still(env, 1)[0]
  for turns in (1, 2):
    rolled = shown(env, 'camera_roll', 90 * turns)
    wrong = abs(rolled - plain).mean()
    assert abs(rolled - np.rot90(plain, -turns)).mean() < wrong / 4


@pytest.mark.parametrize('kind, axis', [
    ('camera_pitch', 0), ('camera_yaw', 1)])
@pytest.mark.parametrize('task', ['walker_walk', 'manipulator_bring_ball'])
def test_a_turned_camera_looks_a_fraction_of_its_view_away(
    make, kind, axis, task):
  env = make(task=f'dmc_{task}')
  env.reset()
  view = wrapped(env).view
  before = view.data.cam_xmat[0].reshape(3, 3).copy()
  with scene.changed(
      perturbations.KINDS[kind].apply, view, 0.5, Most(), 'zero'):
    after = view.data.cam_xmat[0].reshape(3, 3).copy()
  np.testing.assert_allclose(after.T @ after, np.eye(3), atol=1e-9)
  np.testing.assert_allclose(before[:, axis], after[:, axis], atol=1e-9)
  angle = np.degrees(np.arccos(before[:, 2] @ after[:, 2]))
  assert abs(angle - view.model.cam_fovy[0] / 2) < 1e-6


def test_a_shifted_camera_stays_above_the_floor(make):
  for task in ('cheetah_run', 'walker_walk', 'manipulator_bring_ball'):
    env = make(task=f'dmc_{task}')
    env.reset()
    view = wrapped(env).view
    height = view.data.cam_xpos[0, 2]
    for draw in ([0, -1, 0], [0, 1, 0], [1, 0, 0]):
      with scene.changed(
          scene.camera_shift, view, 0.5, Most(draw), 'zero'):
        moved = view.data.cam_xpos[0, 2]
        assert moved > 0 and np.sign(moved - height) == draw[1]


def test_it_is_undone_whatever_happens(make):
  env = make('colors')
  env.reset()
  view = wrapped(env).view
  before = arrays(view.model)
  with pytest.raises(ZeroDivisionError):
    with scene.changed(scene.colors, view, 0.5, Most(), 'zero'):
      assert (view.model.mat_rgba != before['mat_rgba']).any()
      raise ZeroDivisionError
  for name, value in arrays(view.model).items():
    np.testing.assert_array_equal(value, before[name])


def test_light_is_weaker_or_stronger(make):
  env = make()
  plain = still(env, 1).mean()
  dark, bright = (
      shown(env, 'light', 0.5, [0, 0, x]).mean() for x in (-1, 1))
  assert dark < 0.85 * plain and 1.05 * plain < bright


def test_colors_stay_colors_and_opaque(make):
  env = make()
  env.reset()
  view = wrapped(env).view
  alpha = view.model.mat_rgba[:, 3].copy()
  for draw in (-1, 1):
    with scene.changed(scene.colors, view, 1.0, Most(draw), 'zero'):
      assert view.model.mat_rgba.min() >= 0 and view.model.mat_rgba.max() <= 1
      np.testing.assert_array_equal(view.model.mat_rgba[:, 3], alpha)


# Backgrounds.


@pytest.fixture
def folder(tmp_path):
  """Pictures of one color each, and one of four."""
  for number, color in enumerate(['red', 'lime', 'blue']):
    Image.new('RGB', (60, 40), color).save(tmp_path / f'{number}.png')
  quarters = np.zeros((40, 40, 3), np.uint8)
  quarters[:20, :20], quarters[:20, 20:] = (255, 0, 0), (0, 255, 0)
  quarters[20:, :20], quarters[20:, 20:] = (0, 0, 255), (255, 255, 255)
  (tmp_path / 'quarters').mkdir()
  Image.fromarray(quarters).save(tmp_path / 'quarters' / 'one.JPEG', quality=95)
  (tmp_path / 'notes.txt').write_text('no picture')
  return tmp_path


def test_a_picture_stands_upright_behind_the_scene(make, folder):
  env = make(task='dmc_cheetah_run')
  still(env, 1)
  frame = shown(env, 'background', 1.0, 0, str(folder / 'quarters'))
  np.testing.assert_allclose(
      frame[3, [3, -4]], [(255, 0, 0), (0, 255, 0)], atol=12)
  # Below, through the floor: the darker, but of their colors.
  assert frame[-4, 3, 2] > frame[-4, 3, 0] + 50
  assert np.ptp(frame[-4, -4]) < 50


def test_pictures_are_drawn_or_walked_through_in_order(make, folder):
  def seen(per):
    env = make(
        'background', 'hard', per, str(folder), 1, task='dmc_cheetah_run')
    return still(env, 40)[:, 2, 2].argmax(-1)
  drawn, walked = seen('frame'), seen('walk')
  assert {*drawn} == {0, 1, 2} and (abs(np.diff(drawn)) == 2).any()
  assert len({*walked}) > 1 and (np.diff(walked) != 0).mean() < 0.4
  assert len({*seen('episode')}) == 1


def test_folders_without_a_picture_are_one_line(make, folder):
  for place, message in (
      (folder / 'nowhere', 'folder of pictures'),
      (folder / 'notes.txt', 'folder of pictures'),
      (folder.parent, 'has no pictures.*png')):
    (folder.parent / 'x').mkdir(exist_ok=True)
    with pytest.raises(UsageError, match=message):
      perturbations.check('background', fill=place)
  (folder / '0.png').write_bytes((folder / '0.png').read_bytes()[:40])
  env = make('background', 'hard', 'frame', folder)
  with pytest.raises(UsageError, match='0.png is not a picture'):
    still(env, 40)


# Who has none.


@pytest.mark.parametrize('changes', [
    {'encoder': VECTORS, 'decoder': VECTORS}, {'task': 'gym_Pendulum-v1'},
    {'task': 'dmc_manip_reach_site'}])
def test_without_a_scene_it_is_refused(make, changes):
  with pytest.raises(UsageError, match='camera_roll is for frames of dm_co'):
    make('camera_roll', **changes)


def test_training_refuses_it(make):
  with pytest.raises(ValueError, match='Training'):
    make('camera_roll', mode='train')


@pytest.mark.parametrize('kind', ['camera_yaw', 'background'])
def test_processes_of_their_own_show_the_same(make, kind):
  here, there = make(kind), make(kind, envs_parallel='process')
  np.testing.assert_array_equal(frames(here), frames(there))


# Random walks.


@pytest.mark.parametrize('size', [None, (3,)])
def test_a_walk_is_uniform_at_any_frame_and_goes_by_small_steps(size):
  random = np.random.default_rng(0)
  found = []
  for _ in range(3000):
    walk = perturbations._Walk(random)
    path = []
    for _ in range(4):
      path.append(walk.uniform(-2, 2, size))
      assert np.array_equal(path[-1], walk.uniform(-2, 2, size))
      walk.step()
    found.append(path)
  found = np.array(found)
  assert abs(found).max() <= 2
  for frame in (0, 3):
    quarters = np.histogram(found[:, frame], 4, (-2, 2))[0] / (
        found[:, frame].size)
    np.testing.assert_allclose(quarters, 0.25, atol=0.03)
  inside = abs(found[:, :-1]) < 1
  steps = np.diff(found, axis=1)[inside]
  assert abs(steps.std() - 4 * perturbations.WALK) < 0.01


def test_kinds_without_a_number_that_walks_say_so():
  with pytest.raises(UsageError, match='walk.*frame or episode for noise'):
    perturbations.check('noise', per='walk')
  assert perturbations.check('rotation', per='walk')['per'] == 'walk'
