"""Kinds of observations, one by one."""

import gymnasium
import numpy as np
import pytest

from dreamer_idm.envs import observations
from dreamer_idm.errors import UsageError
from dreamer_idm.upstream import envs as upstream_envs

Box, Dict, Tuple = (
    gymnasium.spaces.Box, gymnasium.spaces.Dict, gymnasium.spaces.Tuple)
SIZE = 32, 48


def take(space, obs):
  """Converts an observation, which must belong to the converted spaces."""
  taken = observations.Observations(space, SIZE, 'task')
  result = taken.convert(obs)
  assert {k for k in result if not k.startswith('log_')} == set(taken.spaces)
  for key, box in taken.spaces.items():
    assert box.contains(result[key]), (key, box, result[key])
  return result, taken


def vector(count=3, dtype=np.float32, low=-np.inf, high=np.inf):
  return Box(low, high, (count,), dtype)


@pytest.mark.parametrize('space, value, expected', [
    (vector(3, np.float64), np.array([1, 2, 1e-9]), [1, 2, 1e-9]),
    (vector(), [1, 2, 3], [1, 2, 3]),
    (vector(), (1.5, np.float64(2), 3), [1.5, 2, 3]),
    (vector(), np.array([1, 0, 1], bool), [1, 0, 1]),
    (vector(3, np.uint16, 0, 65535), np.array([0, 9, 5000], np.uint16),
     [0, 9, 5000]),
    (vector(2, np.int64, -9, 9), np.array([-9, 9]), [-9, 9]),
    (vector(2, bool, 0, 1), [True, False], [1, 0]),
    (gymnasium.spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
    (Box(-1, 1, ()), 0.25, [0.25]),
    (Box(-1, 1, ()), np.array([0.25]), [0.25]),
    (vector(1), np.float32(2), [2]),
    (gymnasium.spaces.Discrete(3), 2, [0, 0, 1]),
    (gymnasium.spaces.Discrete(3, start=5), np.int64(5), [1, 0, 0]),
    (gymnasium.spaces.MultiDiscrete([2, 3]), np.array([1, 0]),
     [0, 1, 1, 0, 0]),
    (Box(-1, 1, (2, 2)), [[0, 1], [-1, 0.5]], [0, 1, -1, 0.5])])
def test_numbers_become_a_float32_vector(space, value, expected):
  obs, taken = take(space, value)
  assert obs['vector'].dtype == np.float32
  np.testing.assert_array_equal(obs['vector'], np.array(expected, 'f'))
  assert (space.shape in ((), (1,)) or len(space.shape) == 1) or taken.notes


def test_bytes_stay_bytes_which_upstream_scales():
  obs, _ = take(vector(3, np.uint8, 0, 255), np.array([0, 7, 255]))
  assert obs['vector'].dtype == np.uint8
  assert obs['vector'].tolist() == [0, 7, 255]


def test_dicts_and_tuples_are_taken_apart():
  space = Dict({
      'arm/joint pos': vector(), 'nested': Dict({'a': Box(0, 1, ())}),
      'pair': Tuple((vector(1), vector(2)))})
  obs, _ = take(space, {
      'arm/joint pos': [1, 2, 3], 'nested': {'a': 0.5}, 'pair': ([4], [5, 6])})
  assert {k: v.tolist() for k, v in obs.items()} == {
      'arm/joint pos': [1, 2, 3], 'nested/a': [0.5], 'pair/part_0': [4],
      'pair/part_1': [5, 6]}
  obs, _ = take(Tuple((vector(1), vector(2))), ([1], [2, 3]))
  assert sorted(obs) == ['part_0', 'part_1']


def test_what_the_space_does_not_have_is_dropped():
  obs, _ = take(Dict(x=vector()), {'x': [1, 2, 3], 'mission': 'a cup', 'y': 3})
  assert list(obs) == ['x']


def test_logged_numbers_are_kept_from_the_agent():
  obs, taken = take(
      Dict(log_success=Box(0, 1, ()), x=vector(), log_force=vector(2)),
      {'log_success': True, 'x': [1, 2, 3], 'log_force': [1.0, 2]})
  assert list(taken.spaces) == ['x']
  assert obs['log_success'].shape == () and obs['log_success'] == 1
  assert obs['log_force'].tolist() == [1, 2]
  assert obs['log_force'].dtype == obs['log_success'].dtype == np.float32


@pytest.mark.parametrize('name', [
    'action', 'reward', 'discount', 'is_first', 'is_last', 'is_terminal', 'kl'])
def test_names_of_the_training_s_own_are_changed(name):
  obs, taken = take(Dict({name: vector(2), 'x': vector()}), {
      name: [1, 2], 'x': [0, 0, 0]})
  assert obs[f'obs_{name}'].tolist() == [1, 2] and name not in obs
  note, = taken.notes
  assert f'{name} is called obs_{name}' in note and '\n' not in note


@pytest.mark.parametrize('space, reason', [
    (gymnasium.spaces.Text(9), 'neither an image nor numbers'),
    (gymnasium.spaces.Sequence(Box(0, 1)), 'neither an image nor numbers'),
    (Box(-1, 1, (0,)), 'empty'),
    (Box(-1, 1, (64, 64, 3)), 'images are uint8')])
def test_what_cannot_be_read_is_left_out_with_the_reason(space, reason):
  taken = observations.Observations(
      Dict(x=vector(), odd=space), SIZE, 'task')
  assert list(taken.spaces) == ['x'] and reason in taken.ignored['odd']
  taken.convert({'x': [0, 0, 0]})  # It is not even asked for.


# What does not keep to its space.


@pytest.mark.parametrize('space, value, message', [
    (vector(), np.zeros(4), r'shape \(4,\), but observation_space says \(3,\)'),
    (vector(), [[0], [0, 1], 2], 'numbers are expected'),
    (vector(), 'abc', "is 'abc', but numbers"),
    (vector(), None, 'is None, but numbers'),
    (Dict(x=vector()), {'y': [1]}, r"without 'x'.*it has y"),
    (Dict(x=vector()), [1, 2, 3], "without 'x'.*it is list"),
    (Tuple((vector(), vector())), ([1, 2, 3],), "without 'part_1'"),
    (Box(0, 255, (32, 48, 3), np.uint8), np.full((32, 48, 3), 0.5),
     r'float64 with fractions from 0.5 to 0.5.*bytes.*Box\(0, 1'),
    (Box(0, 255, (32, 48, 3), np.uint8), np.full((32, 48, 3), 256),
     'not within 0 and 255.*int64 from 256'),
    (Box(0, 1, (32, 48, 3)), np.full((32, 48, 3), 200.0), 'not within 0 and 1'),
    (vector(2, np.uint8, 0, 255), [-1, 0], 'not within 0 and 255'),
    (gymnasium.spaces.Discrete(3), 3, r'is 3, which is not in Discrete'),
    (gymnasium.spaces.Discrete(3), -1, 'is -1, which is not in')])
def test_what_does_not_keep_to_its_space_is_one_line(space, value, message):
  taken = observations.Observations(space, SIZE, 'gym_x')
  with pytest.raises(UsageError, match=message) as told:
    taken.convert(value, 'step')
  text = str(told.value)
  assert text.startswith('gym_x: ') and 'step' in text and '\n' not in text
  assert len(text) < 300


def test_the_names_of_flags_are_upstream_s():
  assert set(observations.FLAGS) == set(upstream_envs.Dummy().reset()) - {
      'image'}
