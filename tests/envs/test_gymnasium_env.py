import sys
import types

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
  return gymnasium_env.make(types.SimpleNamespace(
      task=f'gym_{name}', action_repeat=repeat, render_size=(32, 32),
      log_keys_sum='^$', log_keys_mean='^$', log_keys_max='^$'), seed, images)


def test_vectors_and_action_repeat():
  env = make('Counting-v0', repeat=3)
  assert isinstance(env, upstream_envs.NormalizeAction)
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
    ({'actions': gymnasium.spaces.MultiDiscrete([3, 2])},
     'actions MultiDiscrete.*flat Box .* or a Discrete space is needed'),
    ({'actions': gymnasium.spaces.Dict(
        {'a': gymnasium.spaces.Discrete(3)})}, 'actions Dict'),
    ({'actions': gymnasium.spaces.Box(-1, 1, (2, 2))}, 'flat Box'),
    ({'actions': gymnasium.spaces.MultiBinary(3)}, 'flat Box')])
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


# Actions.


class Acted(Counting):
  """Keeps the actions that it was given, and insists on its space."""

  def __init__(self, low, high, dtype=np.float32):
    super().__init__()
    self.action_space = gymnasium.spaces.Box(
        np.array(low, dtype), np.array(high, dtype), dtype=dtype)
    self.given = []

  def step(self, action):
    assert self.action_space.contains(action), (action, self.action_space)
    self.given.append(action.copy())
    action[:] = 99  # What it does to its own copy is no one else's matter.
    return super().step(np.zeros(2))


def acting(low, high, *actions, dtype=np.float32, repeat=1):
  inner = Acted(low, high, dtype)
  wrapped = gymnasium_env.GymnasiumEnv(inner, 'gym_x', repeat, (8, 8), 0)
  env = upstream_envs.NormalizeAction(wrapped)
  assert env.act_space['action'].low.tolist() == [-1] * len(low)
  assert env.act_space['action'].high.tolist() == [1] * len(low)
  env.reset()
  for action in actions:
    env.step({'action': np.array(action, np.float32)})
  return np.array(inner.given), wrapped.notes


def test_rounding_keeps_within_the_space():
  random = np.random.RandomState(0)
  bounds = [
      (-0.4, 0.7), (0.1, 2.3), (-0.05, 0.3), (-2.9, 1.7), (0, 0.9),
      (-17.3, 0.2), (0.01, 0.07)] + [
          sorted(random.uniform(-3, 3, 2)) for _ in range(100)]
  low, high = np.array(bounds, np.float32).T
  ends = np.ones(len(bounds))
  given, notes = acting(low, high, -ends, ends, 1 - 1e-7 * ends)
  np.testing.assert_allclose(given[0], low, rtol=1e-6)
  np.testing.assert_allclose(given[1], high, rtol=1e-6)
  assert not notes


def test_missing_bounds_are_named_and_present_ones_kept_to():
  inf = np.inf
  given, (note,) = acting(
      [-inf, 0, -inf, -2], [inf, inf, 0.5, 4], [0.5, 0.5, 1, 0], [-1] * 4)
  assert given.tolist() == [[0.5, 0.5, 0.5, 1], [-1, 0, -1, -2]]
  assert 'actions 0, 1, 2 lack a finite bound' in note and '\n' not in note


def test_whole_numbers_are_rounded_to():
  given, _ = acting([0, 0], [10, 255], [-1, 1], [0.2, 0], dtype=np.uint8)
  assert given.tolist() == [[0, 255], [6, 128]]


def test_an_action_is_repeated_as_it_was():
  given, _ = acting([-2], [2], [0.5], repeat=3)
  assert given.tolist() == [[1]] * 3


# What an environment returns.


class Answers(Counting):
  """Returns what it is told to."""

  def __init__(self, first=None, then=None):
    super().__init__()
    self._first, self._then = first, then

  def reset(self, seed=None, options=None):
    obs = super().reset(seed=seed)[0]
    return self._first(obs) if self._first else (obs, {})

  def step(self, action):
    return self._then(super().step(action)[0])


def answering(first=None, then=lambda x: (x, 0, False, False, {}), **kwargs):
  env = gymnasium_env.GymnasiumEnv(
      Answers(first, then), 'gym_x', 1, (8, 8), 0, **kwargs)
  return env.reset(), env.step({'action': np.zeros(2)})


class OldApi(gymnasium.Env):
  """Gym's interface of before."""

  observation_space = gymnasium.spaces.Box(-1, 1, (2,))
  action_space = gymnasium.spaces.Box(-1, 1, (2,))

  def reset(self):
    return np.zeros(2, np.float32)

  def step(self, action):
    return np.zeros(2, np.float32), 1.0, False, {}


@pytest.mark.parametrize('old, then, message', [
    (OldApi(), None, "'seed'"),
    (Answers(lambda x: x), None, 'reset returned no'),
    (Answers(lambda x: (x, None)), None, 'reset returned no'),
    (Answers(None, lambda x: (x, 1.0, False, {})), 1, 'returned 4 values'),
    (gymnasium.wrappers.TimeLimit(
        Answers(None, lambda x: (x, 1.0, False, {})), 9), 1, 'expected 5'),
    (Answers(None, lambda x: None), 1, 'NoneType None')])
def test_gym_s_old_interface_is_named(old, then, message):
  env = gymnasium_env.GymnasiumEnv(old, 'gym_x', 1, (8, 8), 0)
  with pytest.raises(UsageError, match=f'^gym_x.*{message}.*terminated') as e:
    env.reset()
    assert then
    env.step({'action': np.zeros(2)})
  assert '\n' not in str(e.value)


def test_a_mistake_of_its_own_is_not_taken_for_the_old_interface():
  def mistake(obs):
    a, b = obs  # There are three.
  with pytest.raises(ValueError, match='too many values to unpack'):
    answering(then=mistake)


@pytest.mark.parametrize('reward, last, terminal', [
    (1, 0, 1), (np.float64(1), np.bool_(False), np.bool_(True)),
    (np.array([1.0]), np.array([False]), np.array(True)), (True, 0, 1)])
def test_rewards_and_flags_of_any_type(reward, last, terminal):
  _, obs = answering(then=lambda x: (x, reward, terminal, last, {}))
  assert obs['reward'] == 1.0 and type(obs['reward']) is float
  assert obs['is_last'] is True and obs['is_terminal'] is True
  assert obs['is_first'] is False


@pytest.mark.parametrize('answer, message', [
    ((None, False, False), 'the reward NoneType None, but a number'),
    ((np.zeros(2), False, False), 'the reward ndarray'),
    ((1.0, None, False), 'the terminated NoneType None, but True or False'),
    ((1.0, False, 'no'), "the truncated str 'no', but True or False")])
def test_rewards_and_flags_that_are_none_are_one_line(answer, message):
  with pytest.raises(UsageError, match=f'^gym_x: step returned {message}'):
    answering(then=lambda x: (x, *answer, {}))


def test_numbers_of_info_are_logged_under_their_names():
  first, then = answering(
      then=lambda x: (x, 0, True, False, {
          'is_success': np.True_, 'log_speed': 2, 'text': 'x'}),
      logged=('log_is_success', 'log_speed', 'log_other'))
  names = ('log_is_success', 'log_speed', 'log_other')
  assert [first[x] for x in names] == [0, 0, 0]
  assert [then[x] for x in names] == [1, 2, 0]
  with pytest.raises(UsageError, match="info log_text str 'x', but a number"):
    answering(then=lambda x: (x, 0, True, False, {'text': 'x'}),
              logged=('log_text',))


def test_what_is_logged_beside_the_space_is_known_before_the_first_step():
  class Logging(Several):
    observation_space = gymnasium.spaces.Dict({
        'a': gymnasium.spaces.Box(-1, 1, (2,)),
        'log_success': gymnasium.spaces.Box(0, 1, ())})

  env = gymnasium_env.GymnasiumEnv(
      Logging(), 'gym_x', 1, (8, 8), 0, logged=('log_force', 'log_success'))
  assert env.log_names == ('log_success', 'log_force')
  assert not {*env.log_names} & {*env.obs_space}


@pytest.mark.parametrize('patterns, names', [
    (('^$', '^$', '^$'), ()), (('log_a', '^log_b$|^log_c$', '^$'), (
        'log_a', 'log_b', 'log_c')), (('log_a', '^log_.*', 'log_a'), ('log_a',))
])
def test_the_names_to_log_are_those_given_in_full(patterns, names):
  cfg = config_lib.load([
      y for x, pattern in zip(('sum', 'mean', 'max'), patterns)
      for y in (f'--log_keys_{x}', pattern)])
  assert gymnasium_env._logged(cfg) == names


# What cannot be made.


class Blind(Counting):
  """Has neither images nor a way to render them."""

  metadata = {'render_modes': ['human']}


gymnasium.register('Blind-v0', Blind)


def test_what_renders_nothing_is_told_to_be_read_as_vectors():
  with pytest.raises(UsageError, match='no image.*human.*cpu_proprio') as told:
    make('Blind-v0', images=True)
  assert '\n' not in str(told.value)
  assert list(make('Blind-v0').reset())[0] == 'vector'


def test_frames_are_rendered_once_an_agent_step():
  env = make('Counting-v0', repeat=3, images=True)
  inner = env._env._env.unwrapped
  frames, render = [], inner.render
  inner.render = lambda: frames.append(1) or render()
  env.reset()
  env.step({'action': np.zeros(2)})
  assert len(frames) == 2


@pytest.mark.parametrize('text, last, line', [
    ('import numpy\nnumpy.nothing', 'AttributeError', 'AttributeError: module'),
    ('import nothing_at_all', 'ModuleNotFoundError', "'nothing_at_all'"),
    ("""import gymnasium
class Env(gymnasium.Env):
  def __init__(self):
    raise KeyError('no robot')
gymnasium.register('X-v0', Env)""", "KeyError: 'no robot'", 'KeyError')])
def test_mistakes_in_ones_own_module_keep_their_traceback(
    tmp_path, monkeypatch, capsys, text, last, line):
  monkeypatch.chdir(tmp_path)  # Which counts, whatever was started.
  name = f'own_{abs(hash(text))}'
  (tmp_path / f'{name}.py').write_text(text)
  with pytest.raises(UsageError, match=f'cannot be made: .*{line}') as told:
    environments.check_task(f'gym_{name}:X-v0')
  err = capsys.readouterr().err
  assert f'{name}.py' in err and last in err
  assert '\n' not in str(told.value)


def test_an_extra_that_is_missing_is_named(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'imageio', None)
  for module in [x for x in sys.modules if x.startswith(
      'gymnasium.envs.mujoco')]:
    monkeypatch.delitem(sys.modules, module)
  with pytest.raises(UsageError, match=r'gymnasium\[mujoco\]'):
    environments.check_task('gym_InvertedPendulum-v5')
  assert not capsys.readouterr().err


def test_a_mistake_in_a_process_is_one_line_as_well():
  gymnasium.register('Square-v0', Counting, kwargs={
      'actions': gymnasium.spaces.MultiDiscrete([2, 2])})
  for parallel in ('none', 'thread'):
    cfg = config_lib.load([
        '--configs', 'cpu_proprio', '--task', 'gym_Square-v0',
        '--envs_parallel', parallel])
    with pytest.raises(UsageError, match='^gym_Square-v0 has actions Multi'):
      environments.make_envs(cfg, 'train', 1, 0)
