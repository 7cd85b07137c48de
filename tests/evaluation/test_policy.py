"""The policy of a trained agent, as a program uses it."""

import shutil

import gymnasium
import numpy as np
import pytest
from conftest import run_script
from conftest import small_config

from dreamer_idm import upstream
from dreamer_idm.agent import build
from dreamer_idm.errors import UsageError
from dreamer_idm.evaluation import load as load_lib
from dreamer_idm.evaluation import policy as policy_lib
from dreamer_idm.evaluation import rollout
from dreamer_idm.runs import spaces

KINDS = gymnasium.spaces
FLAGS = {
    'reward': KINDS.Box(-np.inf, np.inf, (), np.float32),
    **{k: KINDS.Box(0, 1, (), bool)
       for k in ('is_first', 'is_last', 'is_terminal')}}


@pytest.fixture(scope='module', params=['vector', 'idm'])
def run(request, trained_run, tmp_path_factory):
  """A run that acts on the mean of its latent states: nothing is drawn."""
  folder = tmp_path_factory.mktemp('policy') / 'run'
  shutil.copytree(trained_run(request.param), folder)
  path = folder / 'config.yaml'
  text = path.read_text()
  assert 'eval_state_mean: false' in text
  path.write_text(
      text.replace('eval_state_mean: false', 'eval_state_mean: true'))
  return folder


def test_it_acts_as_evaluation_does(run):
  from dreamer_idm.envs import environments
  policy = load_lib.load(run)
  first, second = (
      environments.make_envs(policy.config, 'eval', 1, 3)[0] for _ in range(2))
  try:
    expected = rollout.evaluate(policy.agent, first, 1).episode['action'][1:]
    found, obs = [], second.reset()
    while not obs['is_last']:
      action = policy({
          k: v for k, v in obs.items() if k in policy.observation_space.spaces})
      assert policy.action_space.contains(action)
      found.append(action)
      obs = second.step({'action': action})  # Bounds of -1 and 1.
  finally:
    first.close()
    second.close()
  assert len(found) == 60
  np.testing.assert_array_equal(np.float32(found), expected)


def test_it_starts_no_environment(run, tmp_path):
  done = run_script(tmp_path, f'''
import dreamer_idm, sys
policy = dreamer_idm.load({str(run)!r})
observation = policy.observation_space.sample()
assert policy.action_space.contains(policy(observation))
assert policy.env_step == 280
assert not {{'dm_control', 'mujoco'}} & set(sys.modules), 'imported'
''')
  assert done.returncode == 0, done.stderr


def observations(policy, count, seed=0):
  policy.observation_space.seed(seed)
  return [policy.observation_space.sample() for _ in range(count)]


def stacked(rows):
  return {k: np.stack([x[k] for x in rows]) for k in rows[0]}


def test_a_batch_is_several_environments(run):
  policy = load_lib.load(run)
  one, other = policy.copy(), policy.copy()
  for step in range(3):
    rows = observations(policy, 2, step)
    if step == 2:  # The second one's episode has ended.
      policy.reset([False, True])
      other.reset()
    found = policy(stacked(rows))
    np.testing.assert_allclose(
        found, [one(rows[0]), other(rows[1])], atol=1e-5)
  with pytest.raises(ValueError, match='1 observations came for 2'):
    policy(rows[0])
  policy.reset()
  policy(rows[0])


def test_states_are_kept_between_calls_and_not_shared_by_copies(run):
  policy = load_lib.load(run)
  first, second, third = observations(policy, 3)
  policy(first)
  branch = policy.copy()
  branch(second)
  here, there = policy(third), branch(third)
  assert np.abs(here - there).max() > 0
  policy.reset()
  policy(first)
  np.testing.assert_array_equal(policy(third), here)


def test_value_and_imagination(run):
  policy = load_lib.load(run)
  with pytest.raises(ValueError, match='no observation'):
    policy.imagine(3)
  rows = observations(policy, 3)
  policy(stacked(rows[:2]))
  before = policy.copy()
  assert policy.value.shape == (2,)
  found = policy.imagine(4)
  assert found['reward'].shape == (4, 2) and found['action'].shape == (4, 2, 6)
  asked = np.zeros((4, 2, 6), np.float32)
  again = policy.imagine(4, asked)
  np.testing.assert_array_equal(again['action'], asked)
  assert again.keys() == found.keys() and np.abs(found['action']).max() > 0
  if 'image' in found:
    assert found['image'].shape == (4, 2, 32, 32, 3)
    assert 0 <= found['image'].min() and found['image'].max() <= 1
  else:
    assert found['position'].shape == (4, 2, 8)
  np.testing.assert_array_equal(
      policy(stacked(rows[1:])), before(stacked(rows[1:])))
  with pytest.raises(ValueError, match='steps must be at least 1'):
    policy.imagine(0)
  with pytest.raises(ValueError, match=r'actions must be of shape \(3, 2, '):
    policy.imagine(3, np.zeros((3, 6)))


def trained(
    space, action, agent_spaces, *flags, rendered=False, actor='trunc_normal'):
  """A policy of an untrained agent in some environment."""
  box = KINDS.Box(-1, 1, action.shape, np.float32)
  config = small_config(
      '--eval_state_mean', 'True', '--actor.dist', actor, *flags,
      presets=('dmc',))
  agent = build.build_agent(
      config, {**agent_spaces, **FLAGS}, {'action': box},
      upstream.common.Counter(0))
  return policy_lib.Policy(
      load_lib.Trained(config, agent, 0, 'latest'),
      spaces.Spaces(space, action, rendered, {**agent_spaces, **FLAGS}, box))


VECTORS = ['--encoder.mlp_keys', '.*', '--encoder.cnn_keys', '$^',
           '--decoder.mlp_keys', '.*', '--decoder.cnn_keys', '$^']
ACTION = KINDS.Box(np.float32([-2, 0]), np.float32([4, np.inf]))


def test_actions_are_in_the_bounds_and_a_bare_array_will_do():
  policy = trained(
      KINDS.Box(-1, 1, (3,), np.float64), ACTION,
      {'vector': KINDS.Box(-np.inf, np.inf, (3,), np.float32)}, *VECTORS)
  action = policy(np.zeros(3))
  inner = policy._state[1].numpy()[0]
  np.testing.assert_allclose(action, [inner[0] * 3 + 1, max(inner[1], 0)],
                             rtol=1e-5)
  policy.reset()
  assert policy(np.zeros((5, 3))).shape == (5, 2)


def test_batches_of_a_tanh_actor_are_as_good_as_single_ones():
  policy = trained(
      KINDS.Box(-1, 1, (3,), np.float64), ACTION,
      {'vector': KINDS.Box(-np.inf, np.inf, (3,), np.float32)}, *VECTORS,
      actor='tanh_normal')
  assert policy.config.actor.dist == 'tanh_normal'
  rows = np.random.RandomState(0).normal(size=(4, 3))
  policy(rows)
  _, action = policy._state
  feat = policy.agent.wm.rssm.get_feat(policy._state[0])
  for row in range(4):
    dist = policy.agent._task_behavior.actor(feat[row:row + 1])
    chosen = float(dist.log_prob(action[row:row + 1])[0])
    drawn = dist.sample(100)
    # The likeliest of 100 samples is likelier than most of 100 others.
    assert np.mean(chosen > dist.log_prob(drawn).numpy()) > 0.8


def test_frames_of_an_environment_that_renders():
  frame = KINDS.Box(0, 255, (32, 32, 3), np.uint8)
  policy = trained(
      KINDS.Box(-1, 1, (3,), np.float64), ACTION,
      {'vector': KINDS.Box(-np.inf, np.inf, (3,), np.float32), 'image': frame},
      rendered=True)
  assert {*policy.observation_space.spaces} == {'vector', 'image'}
  image = frame.sample()
  action = policy(image)
  policy.reset()
  np.testing.assert_array_equal(policy({'image': image}), action)


@pytest.mark.parametrize('observation, words', [
    (np.zeros(4), "has shape (4,), but observation_space says (3,)"),
    ({'other': np.zeros(3)}, 'without'), ('text', 'numbers are expected'),
    (np.zeros((0, 3)), 'empty'),
    (np.array([0, np.nan, 0]), 'vector of the observation is not finite')])
def test_what_does_not_fit_is_one_line(observation, words):
  policy = trained(
      KINDS.Dict({'vector': KINDS.Box(-1, 1, (3,), np.float64)}), ACTION,
      {'vector': KINDS.Box(-np.inf, np.inf, (3,), np.float32)}, *VECTORS)
  with pytest.raises(UsageError) as caught:
    policy(observation)
  assert words in str(caught.value) and '\n' not in str(caught.value)


def test_a_run_without_its_spaces_says_what_to_do(tmp_path, trained_run):
  folder = shutil.copytree(trained_run('vector'), tmp_path / 'run')
  (folder / spaces.NAME).unlink()
  with pytest.raises(UsageError, match='resume it once'):
    load_lib.load(folder)
  (folder / spaces.NAME).write_text('{')
  with pytest.raises(UsageError, match='is damaged'):
    load_lib.load(folder)
