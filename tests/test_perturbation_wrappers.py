"""Perturbations around anybody's Gymnasium environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker

from dreamer_idm import perturbations
from dreamer_idm.envs import perturbations as inner
from dreamer_idm.errors import UsageError

KINDS = gymnasium.spaces
BYTES = KINDS.Box(0, 255, (12, 14, 3), np.uint8)


class Env(gymnasium.Env):
  """Observes something at random from its space."""

  metadata = {'render_modes': []}

  def __init__(self, space=BYTES):
    self.observation_space = space
    self.action_space = KINDS.Box(-1, 1, (2,))

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    if seed is not None:
      self.observation_space.seed(seed)
    self.steps = 0
    return self.observation_space.sample(), {}

  def step(self, action):
    self.steps += 1
    return self.observation_space.sample(), 0.5, False, self.steps == 5, {}


gymnasium.register('Perturbed-v0', Env)


def episode(env, seed=3):
  observation, _ = env.reset(seed=seed)
  found, ends = [observation], False
  while not ends:
    observation, reward, _, ends, _ = env.step(np.zeros(2, np.float32))
    assert reward == 0.5
    found.append(observation)
  return found


@pytest.mark.parametrize('kind', perturbations.KINDS)
def test_gymnasium_accepts_it_with_every_kind(kind):
  space = BYTES if perturbations.KINDS[kind].of == 'image' else (
      KINDS.Box(-2, 2, (4,), np.float32))
  env = perturbations.Perturb(
      gymnasium.make('Perturbed-v0', space=space), kind)
  with pytest.warns(UserWarning, match='different from the unwrapped'):
    env_checker.check_env(env)
  again = gymnasium.make(env.spec)  # Its spec makes it again.
  np.testing.assert_array_equal(episode(env), episode(again))


@pytest.mark.parametrize('space', [
    BYTES, KINDS.Box(0, 255, (9, 9), np.uint8),
    KINDS.Box(0, 255, (3, 32, 24), np.uint8),
    KINDS.Box(0, 1, (12, 14, 3), np.float32),
    KINDS.Box(0, 255, (12, 14, 1), np.float64),
    KINDS.Dict({'camera': BYTES, 'arm': KINDS.Box(-1, 1, (3,))}),
    KINDS.Tuple([KINDS.Dict({'a': BYTES}), KINDS.Discrete(3)])])
def test_images_of_any_layout_stay_in_their_space(space):
  plain = episode(Env(space))
  turned = episode(perturbations.Perturb(Env(space), 'rotation'))
  same = episode(perturbations.Perturb(Env(space), 'rotation', 0))
  for x, y, z in zip(plain, turned, same, strict=True):
    assert y in space
    flat = [KINDS.flatten(space, value) for value in (x, y, z)]
    assert (flat[0] != flat[1]).any()
    np.testing.assert_array_equal(flat[0], flat[2])


def test_a_layout_does_not_change_what_is_done():
  def rotated(space, value):
    env = Env(space)
    env.reset = lambda seed=None, options=None: (value, {})
    return perturbations.Perturb(env, 'rotation', 20).reset(seed=1)[0]
  image = BYTES.sample()
  expected = rotated(BYTES, image)
  assert (expected != image).any()
  np.testing.assert_array_equal(expected, rotated(
      KINDS.Box(0, 1, BYTES.shape, np.float64), image / 255) * 255)
  wide = np.concatenate([image] * 2)[:20, :14]  # Its sides are no channels.
  wide = np.concatenate([wide, wide], 1)
  np.testing.assert_array_equal(
      rotated(KINDS.Box(0, 255, wide.shape, np.uint8), wide),
      rotated(KINDS.Box(0, 255, (3, 20, 28), np.uint8),
              wide.transpose(2, 0, 1)).transpose(1, 2, 0))


def test_it_does_what_evaluation_does():
  space = KINDS.Dict({'camera': BYTES, 'arm': KINDS.Box(-9, 9, (3,))})
  for kind in ('noise', 'sensor_scale'):
    mine = episode(perturbations.Perturb(Env(space), kind), seed=4)
    plain = episode(Env(space), seed=4)
    apply = inner.Perturbation(kind, seed=[4, 1])
    for x, y in zip(mine, plain, strict=True):
      expected = apply(y)
      np.testing.assert_array_equal(x['camera'], expected['camera'])
      np.testing.assert_array_equal(x['arm'], np.clip(expected['arm'], -9, 9))


def test_vectors_are_cut_at_their_bounds():
  space = KINDS.Box(np.float32([0, -1]), np.float32([np.inf, 1]))
  env = perturbations.Perturb(Env(space), 'sensor_noise', 5)
  found = np.array([env.reset(seed=x)[0] for x in range(50)])
  assert all(x in space for x in found)
  assert (abs(found[:, 1]) == 1).mean() > 0.5 and found[:, 0].max() > 3


def test_seeds_repeat_it_and_without_one_it_continues():
  env = perturbations.Perturb(Env(), 'shift')
  first, second = episode(env, 1), episode(env, None)
  again, other = episode(env, 1), episode(env, 2)
  np.testing.assert_array_equal(first, again)
  assert (np.array(first) != second).any() and (np.array(first) != other).any()


def test_what_cannot_be_is_one_line():
  with pytest.raises(UsageError, match='rotation changes nothing.*dead'):
    perturbations.Perturb(Env(KINDS.Box(-1, 1, (3,))), 'rotation')
  with pytest.raises(UsageError, match='noise changes nothing.*neither'):
    perturbations.Perturb(Env(KINDS.Discrete(3)), 'noise')
  with pytest.raises(UsageError, match="unknown perturbation 'wind'"):
    perturbations.Perturb(Env(), 'wind')
