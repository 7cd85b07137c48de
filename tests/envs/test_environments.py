import contextlib
import sys
import types

import gymnasium
import numpy as np
import pytest
from conftest import run_script

from dreamer_idm.envs import environments
from dreamer_idm.envs import rendering
from dreamer_idm.envs import workers
from dreamer_idm.errors import UsageError
from dreamer_idm.upstream import envs as upstream_envs

SHAKEN = {
    'kind': 'rotation', 'strength': 5.0, 'per': 'frame', 'fill': 'zero'}

IMAGES = types.SimpleNamespace(cnn_keys='image', mlp_keys='$^')
VECTORS = types.SimpleNamespace(cnn_keys='$^', mlp_keys='.*')
NOTHING = types.SimpleNamespace(cnn_keys='$^', mlp_keys='$^')

SCRIPT = """
import os
import types

images = types.SimpleNamespace(cnn_keys='image', mlp_keys='$^')

def config(**kwargs):
  return types.SimpleNamespace(**{**dict(
      task='dmc_walker_walk', action_repeat=2, render_size=(32, 32),
      dmc_camera=-1, shadows=True, supersample=1, time_limit=0,
      envs_parallel='none',
      log_keys_sum='^$', log_keys_mean='^$', log_keys_max='^$',
      encoder=images, decoder=images), **kwargs})

def check(obs):
  obs = obs() if callable(obs) else obs
  assert obs['image'].shape == (32, 32, 3), obs['image'].shape
  assert obs['image'].std() > 10, 'empty frame'

def mapped(pid):
  return 'libtensorflow' in open(f'/proc/{pid}/maps').read()
"""

# pytest takes the filter away that `upstream_envs` sets.
pytestmark = pytest.mark.filterwarnings('ignore:.*precision lowered')
linux = pytest.mark.skipif(sys.platform != 'linux', reason='Linux only')


@pytest.fixture(scope='module', autouse=True)
def backend():
  rendering.choose_backend()
  assert rendering.in_process_is_safe(), 'a test imported TensorFlow too early'


@pytest.fixture
def make():
  """Builds environments, closed after the test."""
  made = []

  def build(
      mode='train', count=1, seed=0, perturb=None, task='dmc_walker_walk',
      **changes):
    keys = {
        'task': task, 'action_repeat': 2, 'render_size': (32, 32),
        'dmc_camera': -1, 'shadows': True, 'supersample': 1, 'time_limit': 0,
        'envs_parallel': 'none', 'log_keys_sum': '^$', 'log_keys_mean': '^$',
        'log_keys_max': '^$', 'encoder': IMAGES, 'decoder': IMAGES}
    config = types.SimpleNamespace(**{**keys, **changes})
    envs = environments.make_envs(config, mode, count, seed, perturb)
    made.extend(envs)
    return envs
  yield build
  for env in made:
    env.close()


def act(env, obs, seed=0):
  space = env.act_space['action']
  random = np.random.RandomState(seed)
  obs = env.step({'action': random.uniform(-1, 1, space.shape)})
  return obs() if callable(obs) else obs


def trajectory(env, steps=3):
  obs = [env.reset()]
  for step in range(steps):
    obs.append(act(env, obs[-1], step))
  return obs


def assert_equal(first, second):
  for one, two in zip(first, second, strict=True):
    assert one.keys() == two.keys()
    for key in one:
      np.testing.assert_array_equal(one[key], two[key])


# Tasks.


@pytest.mark.parametrize('task', [
    'dmc_walker_walk', 'dmc_cup_catch', 'dmc_cartpole_swingup_sparse',
    'dmc_manip_reach_site', 'dmc_locom_rodent_escape_bowl'])
def test_upstreams_names_are_known(task):
  environments.check_task(task)


@pytest.mark.parametrize('task, expected', [
    ('dmc_walker_wlak', 'dmc_walker_walk'), ('walker_walk', 'dmc_walker_walk'),
    ('dmc_ball_in_cup_catch', 'dmc_cup_catch'),
    ('dmc_manip_reach_sight', 'dmc_manip_reach_site'),
    ('pong', 'for example dmc_walker_walk'),
    ('dmc_point_mass_easy', 'Unknown task'), ('dmc', 'dmc_walker_walk')])
def test_unknown_tasks_are_refused_with_the_closest(task, expected):
  with pytest.raises(UsageError) as caught:
    environments.check_task(task)
  assert f"'{task}'" in str(caught.value) and expected in str(caught.value)
  assert '\n' not in str(caught.value)


def test_observations_that_upstream_cannot_take_are_named(make):
  with pytest.raises(UsageError, match='two_touch.*int64'):
    make(task='dmc_locom_rodent_two_touch')


# One environment.


@pytest.mark.parametrize('task', [
    'dmc_walker_walk', 'dmc_humanoid_stand', 'dmc_quadruped_walk',
    'dmc_fish_swim'])
def test_scalars_of_dm_control_reach_the_encoder(make, task):
  env, = make(task=task, encoder=VECTORS, decoder=VECTORS)
  inner = env._env._env._env
  spec = inner.observation_spec()
  scalars = [k for k, v in spec.items() if v.shape == ()]
  assert scalars
  obs = env.reset()
  expected = inner.task.get_observation(inner.physics)
  for key, value in expected.items():
    assert obs[key].dtype == np.float32
    np.testing.assert_array_equal(
        obs[key], np.asarray(value, np.float32).reshape(-1))
    assert env.obs_space[key].shape == obs[key].shape
  config = types.SimpleNamespace(
      task=task, encoder=VECTORS, decoder=VECTORS, grad_heads=('decoder',))
  line, = environments.check_observations(config, env)
  assert all(f'{x} [1]' in line for x in scalars)


@pytest.mark.parametrize('task, repeat, limit', [
    ('dmc_walker_walk', 2, 500), ('dmc_walker_walk', 3, 334),
    ('dmc_lqr_lqr_2_1', 2, None)])
def test_the_time_limit_of_a_task_is_known(make, task, repeat, limit):
  env, = make(
      task=task, action_repeat=repeat, encoder=VECTORS, decoder=VECTORS)
  assert env.limit == limit


@pytest.mark.parametrize('shadows', [True, False])
def test_frames_are_dm_control_s_and_never_rotated(make, shadows):
  env, = make(shadows=shadows)
  assert type(env) is upstream_envs.TimeLimit
  assert type(env._env) is upstream_envs.NormalizeAction
  assert isinstance(env._env._env, upstream_envs.DMC)
  physics = env._env._env._env.physics
  flags = None if shadows else {'shadow': False, 'reflection': False}
  frames, expected = [], []
  for step, obs in enumerate([env.reset()] + 3 * [None]):
    frames.append((obs or act(env, None, step))['image'])
    assert frames[-1].dtype == np.uint8
    expected.append(type(physics).render(  # With a camera for each image.
        physics, 32, 32, camera_id=0, render_flag_overrides=flags))
  # Compared at the end: a frame must not change when the next is rendered.
  np.testing.assert_array_equal(frames, expected)
  assert (frames[0] != frames[-1]).any()


def test_supersampled_pixels_are_means_of_a_larger_frame(make):
  env, = make(supersample=3, render_size=(20, 32))
  frames, expected = [], []
  for step, obs in enumerate([env.reset()] + 3 * [None]):
    frames.append((obs or act(env, None, step))['image'])
    assert frames[-1].dtype == np.uint8
    large = type(env._env._env._env.physics).render(
        env._env._env._env.physics, 60, 96, camera_id=0).astype(int)
    expected.append([[large[3 * y:3 * y + 3, 3 * x:3 * x + 3].mean((0, 1))
                      for x in range(32)] for y in range(20)])
  np.testing.assert_allclose(frames, expected, rtol=0, atol=0.501)
  assert (frames[0] != frames[-1]).any()


@pytest.mark.parametrize('changes, told', [
    ({'supersample': 16}, 'at most 480x640 .* ask for 512x512'),
    ({'dmc_camera': 99}, '--dmc_camera 99: .* 0 to 1, and -1')])
def test_frames_that_cannot_be_rendered_are_refused(make, changes, told):
  with pytest.raises(UsageError, match=told):
    make(**changes)


def test_without_shadows_only_the_frames_differ(make):
  full, = make()
  plain, = make(shadows=False)
  for one, two in zip(trajectory(full), trajectory(plain), strict=True):
    first, second = one.pop('image').astype(int), two.pop('image').astype(int)
    assert_equal([one], [two])
    assert 0 < np.mean(np.abs(first - second)) < 20


def test_rotation_is_of_frames_alone(make):
  clean, = make('eval')
  shaken, = make('eval', perturb=SHAKEN)
  for one, two in zip(trajectory(clean), trajectory(shaken), strict=True):
    assert (one.pop('image') != two.pop('image')).any()
    assert_equal([one], [two])
  assert shaken.obs_space == clean.obs_space
  assert shaken.act_space == clean.act_space


def test_training_refuses_rotation(make):
  with pytest.raises(ValueError, match='Training'):
    make('train', perturb=SHAKEN)
  with pytest.raises(UsageError, match='per is'):
    make('eval', perturb={**SHAKEN, 'per': 'step'})


def test_who_sees_vectors_alone_gets_the_same_without_frames(make):
  seeing, = make()
  blind, = make(encoder=VECTORS, decoder=VECTORS)
  assert set(seeing.obs_space) - set(blind.obs_space) == {'image'}
  for one, two in zip(trajectory(seeing), trajectory(blind), strict=True):
    assert one.pop('image').std() > 10
    assert_equal([one], [two])


def test_rotation_is_for_those_who_read_images_of_whatever_name():
  image = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)
  vector = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
  camera = types.SimpleNamespace(cnn_keys='camera', mlp_keys='.*')
  def reads(keys, space):
    return environments.reads_images(
        types.SimpleNamespace(encoder=keys), space)
  assert reads(IMAGES, {'image': image, 'position': vector})
  assert reads(camera, {'camera': image})
  assert not reads(camera, {'image': image})
  assert not reads(VECTORS, {'image': image, 'position': vector})


@pytest.mark.parametrize('task, keys, expected', [
    ('dmc_walker_walk', IMAGES, True), ('dmc_walker_walk', VECTORS, False),
    ('dmc_manip_reach_site', VECTORS, True)])
def test_who_needs_a_driver(task, keys, expected):
  config = types.SimpleNamespace(task=task, encoder=keys, decoder=keys)
  assert environments.renders(config) == expected


def test_vectors_need_no_driver(tmp_path):
  done = run_script(tmp_path, """
import types
from dreamer_idm.envs import environments
from dreamer_idm.envs import rendering
rendering._failure = lambda backend: 'no driver'
vectors = types.SimpleNamespace(cnn_keys='$^', mlp_keys='.*')
env, = environments.make_envs(types.SimpleNamespace(
    task='dmc_reacher_easy', action_repeat=2, render_size=(32, 32),
    dmc_camera=-1, shadows=True, supersample=1, time_limit=0,
    envs_parallel='none',
    log_keys_sum='^$', log_keys_mean='^$', log_keys_max='^$',
    encoder=vectors, decoder=vectors), 'train', 1, 0)
assert sorted(env.reset()) == [
    'is_first', 'is_last', 'is_terminal', 'position', 'reward', 'to_target',
    'velocity'], env.reset()
""", MUJOCO_GL=None)
  assert done.returncode == 0, done.stderr


def observing(notes=(), ignored=(), **shapes):
  """An environment of which there are only the spaces."""
  spaces = {
      k: gymnasium.spaces.Box(0, 255, v, np.uint8) for k, v in shapes.items()}
  return types.SimpleNamespace(
      obs_space=spaces, notes=notes, ignored=dict(ignored))


@pytest.mark.parametrize('keys, shape, advice', [
    (VECTORS, (8, 8, 3), '--encoder.cnn_keys rgb'),
    (IMAGES, (8, 8, 3), '--encoder.cnn_keys rgb'),
    (IMAGES, (3,), 'cpu_proprio')])
def test_observations_that_nobody_reads_are_named(keys, shape, advice):
  config = types.SimpleNamespace(
      task='gym_X', encoder=keys, decoder=keys, grad_heads=('decoder',))
  with pytest.raises(UsageError, match=r"rgb \[.*goes into the encoder") as e:
    environments.check_observations(config, observing(rgb=shape, reward=()))
  assert advice in str(e.value)


def test_an_environment_of_which_nothing_can_be_read_is_told_why():
  with pytest.raises(UsageError) as e:
    environments.check_observations(
        types.SimpleNamespace(task='gym_X'),
        observing(ignored={'mission': 'it is text'}, reward=()))
  assert str(e.value) == (
      'gym_X has no observation that can be read: mission (it is text)')


def test_a_line_says_what_is_read_and_what_is_not():
  config = types.SimpleNamespace(
      task='gym_X', encoder=IMAGES, decoder=IMAGES, grad_heads=('decoder',),
      action_repeat=3, pred_discount=False)
  assert environments.check_observations(config, observing(
      ['further'], {'mission': 'it is text'}, image=(8, 8, 3), image2=(8, 8, 1),
      joints=(3,), rgb=(8, 8, 3), reward=(), is_last=())) == [
          'The agent reads image [8, 8, 3], image2 [8, 8, 1]; it ignores '
          'joints [3] (--encoder.mlp_keys does not match), rgb [8, 8, 3] '
          '(--encoder.cnn_keys does not match), mission (it is text).',
          'further', 'gym_X: action_repeat 3, and no head predicts terminal '
          'states (pred_discount False).']


def test_observations_that_are_read_pass(make):
  env, = make()
  for keys in (IMAGES, VECTORS):
    config = types.SimpleNamespace(
        task='x', encoder=keys, decoder=keys, grad_heads=('decoder',))
    environments.check_observations(config, env)


@pytest.mark.parametrize('learns, refused', [(True, True), (False, False)])
def test_a_decoder_may_be_left_out_where_nothing_learns_from_it(
    make, learns, refused):
  env, = make()
  config = types.SimpleNamespace(
      task='x', encoder=IMAGES, decoder=NOTHING,
      grad_heads=('decoder', 'reward') if learns else ('reward',))
  context = contextlib.nullcontext
  if refused:
    context = lambda: pytest.raises(UsageError, match='into the decoder')
  with context():
    environments.check_observations(config, env)
  # A pattern that was meant to match something is a mistake nevertheless.
  config.decoder = types.SimpleNamespace(cnn_keys='imge', mlp_keys='$^')
  with pytest.raises(UsageError, match='into the decoder'):
    environments.check_observations(config, env)


@pytest.mark.parametrize('task', ['dmc_walker_walk', 'dmc_manip_reach_site'])
def test_seeds_decide_the_first_observations(make, task):
  np.random.seed(0)
  first = [env.reset() for env in make(count=2, seed=1, task=task)]
  np.random.seed(1)
  again = [env.reset() for env in make(count=2, seed=1, task=task)]
  assert_equal(first, again)
  others = [
      make(seed=2, task=task)[0].reset(),
      make('eval', seed=1, task=task)[0].reset()]
  assert len({x['image'].tobytes() for x in first + others}) == 4


def test_settings_reach_upstream(make):
  env, = make(render_size=[24, 40], time_limit=3, action_repeat=4)
  obs = trajectory(env)
  assert obs[0]['image'].shape == (24, 40, 3)
  assert [x['is_last'] for x in obs] == [False, False, False, True]
  assert env._env._env._action_repeat == 4
  other, = make(task='dmc_walker_walk', dmc_camera=1, render_size=[24, 40])
  assert (other.reset()['image'] != obs[0]['image']).any()


def test_nothing_is_printed(tmp_path):
  done = run_script(tmp_path, SCRIPT + """
from dreamer_idm.envs import environments
for task in ['cheetah_run', 'locom_rodent_escape_bowl', 'manip_reach_site']:
  for parallel in ['none', 'process']:
    env, = environments.make_envs(
        config(task='dmc_' + task, envs_parallel=parallel), 'train', 1, 0)
    env.obs_space, env.act_space
    check(env.reset())
    env.close()
""")
  assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_mujoco_gl_stays_the_users(tmp_path):
  """The one upstream sets is in the way even where it does not exist."""
  done = run_script(tmp_path, SCRIPT + """
import os
from dreamer_idm.envs import environments
from dreamer_idm.upstream import envs as upstream_envs
environments.make_env(config(), 0)
from dm_control import _render
print(os.environ['MUJOCO_GL'], _render.BACKEND)
upstream_envs.DMC('walker_walk')
print(os.environ['MUJOCO_GL'])
""", MUJOCO_GL='glfw')  # Builds without a display, though it cannot render.
  assert done.stdout == 'glfw glfw\negl\n', done.stderr


# In this process, or in others.


def test_bad_parallelism_is_refused(make):
  with pytest.raises(UsageError, match="'fork'.*none, thread or process"):
    make(envs_parallel='fork')


@pytest.mark.parametrize('parallel', ['thread', 'process'])
def test_workers_do_as_the_environment_does(make, parallel, monkeypatch):
  monkeypatch.delenv('DISPLAY', raising=False)
  inside, = make('eval', perturb=SHAKEN)
  outside, = make('eval', perturb=SHAKEN, envs_parallel=parallel)
  assert outside._strategy == parallel
  assert outside.obs_space == inside.obs_space
  assert_equal(trajectory(inside), trajectory(outside))


def test_others_are_closed_when_one_fails(make, monkeypatch):
  closed = []

  def start(*args):
    if len(started) == 2:
      raise RuntimeError('no more')
    started.append(types.SimpleNamespace(close=lambda: closed.append(1)))
    return started[-1]

  started = []
  monkeypatch.setattr(workers, 'Worker', start)
  with pytest.raises(RuntimeError, match='no more'):
    make(count=3, envs_parallel='process')
  assert len(closed) == 2


# Beside TensorFlow.


def test_rendering_beside_tensorflow_in_one_process(tmp_path):
  done = run_script(tmp_path, SCRIPT + """
import dreamer_idm.upstream.modules
import tensorflow as tf
from dreamer_idm.envs import environments
env, = environments.make_envs(config(), 'train', 1, 0)
assert type(env).__name__ == 'TimeLimit'
check(env.reset())

@tf.function(jit_compile=True)
def compiled(x):
  return tf.reduce_sum(tf.tanh(x @ x))

assert abs(float(compiled(tf.eye(8))) - 8 * 0.76159416) < 1e-4
check(env.step({'action': env.act_space['action'].sample()}))
assert mapped('self')
print('end')
""")
  assert (done.returncode, done.stdout) == (0, 'end\n'), done.stderr


@linux
def test_rendering_after_tensorflow_is_done_by_another_process(tmp_path):
  done = run_script(tmp_path, """
import tensorflow
print('main')
""" + SCRIPT + """
from dreamer_idm.envs import environments
from dreamer_idm.envs import rendering
from dreamer_idm import upstream
assert not rendering.in_process_is_safe()
env, = environments.make_envs(config(), 'train', 1, 0)
check(env.reset())
check(env.step({'action': env.act_space['action'].sample()}))
pid = env._process.pid
assert pid != os.getpid()
assert mapped('self') and not mapped(pid)

# Upstream's own loop takes it as well.
driver = upstream.common.Driver([env])
driver(upstream.common.RandomAgent(env.act_space), steps=2)

from dreamer_idm.envs import workers

class Spy:  # Defined in the main script, which its process must not import.
  def modules(self):
    import sys
    return sorted(sys.modules)

spy = workers.Worker(Spy, 'process')
modules = spy.call('modules')()
spy.close()
assert 'dreamer_idm.envs.workers' in modules
assert not [x for x in modules if x.split('.')[0] in ('tensorflow', 'keras')]
assert __spec__ is None and __file__.endswith('script.py')
env.close()
print('end')
""", TF_USE_LEGACY_KERAS='1', MUJOCO_GL=None)
  assert (done.returncode, done.stdout) == (0, 'main\nend\n'), done.stderr


@pytest.mark.parametrize('module', [
    'envs.environments', 'upstream.envs', 'envs.workers', 'envs.rendering',
    'envs.perturbations'])
def test_no_tensorflow_is_imported(tmp_path, module):
  done = run_script(tmp_path, f"""
import sys
import dreamer_idm.{module}
print([
    x for x in sys.modules if x.split('.')[0] in ('tensorflow', 'dm_control')])
""")
  assert done.stdout == '[]\n', done.stderr
