import gymnasium
import numpy as np
import pytest
from conftest import run_script

from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.envs import gymnasium_env
from dreamer_idm.errors import UsageError
from dreamer_idm.upstream import envs as upstream_envs

POINT = 'examples.point:Point-v0'


class Counting(gymnasium.Env):
  """Tells in its observations what has happened to it."""

  metadata = {'render_modes': ['rgb_array'], 'render_fps': 30}
  observation_space = gymnasium.spaces.Box(-99, 99, (3,), np.float64)
  action_space = gymnasium.spaces.Box(-2, 4, (2,), np.float32)

  def __init__(self, render_mode=None, ends=7, observations=None, actions=None):
    self.render_mode = render_mode
    self._ends = ends
    if observations is not None:
      self.observation_space = observations
    if actions is not None:
      self.action_space = actions

  def reset(self, seed=None, options=None):
    super().reset(seed=seed)
    self._drawn, self._steps, self._action = self.np_random.uniform(), 0, 0
    return self._obs(), {}

  def step(self, action):
    self._steps += 1
    self._action = action[0]
    return self._obs(), 1.5, self._steps == self._ends, False, {}

  def _obs(self):
    return np.array([self._drawn, self._steps, self._action])

  def render(self):
    return np.full((48, 48, 3), self._steps, np.uint8)


class Several(Counting):
  """Delivers an image and a vector under names of their own."""

  observation_space = gymnasium.spaces.Dict(
      camera=gymnasium.spaces.Box(0, 255, (48, 48, 3), np.uint8),
      joints=gymnasium.spaces.Box(-9, 9, (3,), np.float32))

  def _obs(self):
    return {'camera': self.render(), 'joints': super()._obs().astype('f')}


gymnasium.register('Counting-v0', Counting)
gymnasium.register('Several-v0', Several)
gymnasium.register('Limited-v0', Counting, max_episode_steps=3)


def make(name, repeat=1, seed=0, images=False):
  return gymnasium_env.make(name, repeat, (32, 32), seed, images)


def test_vectors_and_action_repeat():
  env = make('Counting-v0', repeat=3)
  assert isinstance(env._env, upstream_envs.GymWrapper)
  first = env.reset()
  assert sorted(first) == [
      'is_first', 'is_last', 'is_terminal', 'reward', 'vector']
  assert first['is_first'] and first['reward'] == 0
  obs = [env.step({'action': np.array([-1, 1])}) for _ in range(3)]
  assert [x['vector'][1] for x in obs] == [3, 6, 7]
  assert [x['reward'] for x in obs] == [4.5, 4.5, 1.5]
  assert [x['is_last'] for x in obs] == [False, False, True]
  assert [x['is_terminal'] for x in obs] == [False, False, True]
  assert obs[0]['vector'][2] == -2, 'actions are scaled from [-1, 1]'
  assert env.obs_space['vector'].shape == (3,)
  assert env.act_space['action'].high.tolist() == [1, 1]


def test_running_out_of_time_is_not_terminal():
  env = make('Limited-v0')
  env.reset()
  obs = [env.step({'action': np.zeros(2)}) for _ in range(3)]
  assert obs[-1]['is_last'] and not obs[-1]['is_terminal']
  assert env.reset()['is_first']


def test_the_seed_decides_and_episodes_differ():
  def drawn(seed):
    env = make('Counting-v0', seed=seed)
    return [env.reset()['vector'][0] for _ in range(3)]
  assert drawn(0) == drawn(0) != drawn(1)
  assert len(set(drawn(0))) == 3


def test_frames_are_rendered_where_observations_have_none():
  env = make('Counting-v0', images=True)
  assert env.obs_space['image'].shape == (32, 32, 3)
  obs = [env.reset(), env.step({'action': np.zeros(2)})]
  for step, x in enumerate(obs):
    assert x['image'].shape == (32, 32, 3) and (x['image'] == step).all()
    assert x['vector'][1] == step


def test_dicts_keep_their_names_and_images_are_resized():
  env = make('Several-v0', images=True)
  obs = env.reset()
  assert obs['camera'].shape == (32, 32, 3) == env.obs_space['camera'].shape
  assert obs['joints'].shape == (3,) and 'image' not in obs


def test_the_example_shows_point_and_target():
  env = make(POINT, images=True)
  image = env.reset()['image']
  colors = {tuple(x) for x in image.reshape(-1, 3).tolist()}
  assert (0, 0, 0) in colors and (255, 255, 255) in colors
  for steps in range(1, 101):
    obs = env.step({'action': np.zeros(2)})
    assert obs['is_last'] == (steps == 100)
  assert 0 <= obs['reward'] <= 1 and not obs['is_terminal']


@pytest.mark.parametrize('name, message', [
    ('Nothing-v3', "doesn't exist.*registered id"),
    ('examples.point:Pint-v0', 'Did you mean'),
    ('no_module:X-v0', "No module named 'no_module'")])
def test_what_is_not_there_is_one_line(name, message):
  with pytest.raises(UsageError, match=f'gym_{name} cannot.*{message}') as told:
    environments.check_task(f'gym_{name}')
  assert '\n' not in str(told.value)


@pytest.mark.parametrize('kwargs, message', [
    ({'actions': gymnasium.spaces.Discrete(3)}, 'actions Discrete.*continuous'),
    ({'actions': gymnasium.spaces.Box(-1, 1, (2, 2))}, 'flat Box'),
    ({'observations': gymnasium.spaces.Discrete(3)}, "'only' that is Discrete"),
    ({'observations': gymnasium.spaces.Box(-1, 1, (2, 2))}, 'or vectors')])
def test_spaces_that_upstream_cannot_take_are_named(kwargs, message):
  gymnasium.register('Odd-v0', Counting, kwargs=kwargs)
  try:
    with pytest.raises(UsageError, match=message):
      make('Odd-v0')
  finally:
    del gymnasium.registry['Odd-v0']


def test_a_logdir_has_no_slashes_of_the_task():
  cfg = config_lib.load(['--task', 'gym_a/b:C-v0'])
  assert config_lib.logdir(cfg).parts == (
      'logdir', 'gym_a-b-C-v0', 'dreamer', '0')


def test_an_environment_of_ones_own_in_a_process(tmp_path):
  done = run_script(tmp_path, f"""
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
if __name__ == '__main__':
  env, = environments.make_envs(config_lib.load([
      '--configs', 'cpu', '--task', 'gym_{POINT}', '--envs_parallel',
      'process']), 'train', 1, 0)
  assert env.reset()['image'].shape == (32, 32, 3)
  obs = env.step({{'action': env.act_space['action'].sample()}})()
  assert not obs['is_first']
  env.close()
""")
  assert done.returncode == 0, done.stderr
