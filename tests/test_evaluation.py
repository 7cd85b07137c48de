import numpy as np
import pytest
import tensorflow as tf
from conftest import make_agent
from conftest import small_config

from dreamer_idm import environments
from dreamer_idm import evaluation
from dreamer_idm import rendering


@pytest.fixture
def agent(eager):
  return make_agent(
      small_config('--actor.dist', 'trunc_normal'), actions=1)


@pytest.fixture(scope='module')
def env():
  rendering.choose_backend()
  env = environments.make_env(
      'dmc_cartpole_balance', 2, (32, 32), -1, 5, seed=0)
  yield env
  env.close()


def test_explicit_first_state_is_what_upstream_makes_of_none(agent, env):
  obs = {k: np.stack([v]) for k, v in env.reset().items()}
  actions = []
  for policy in (
      evaluation.act(agent, 'explore'),
      lambda obs, state: agent.policy(obs, state, mode='explore')):
    policy(obs, None)  # Creates the variables.
    tf.random.set_seed(4)
    outputs, state = policy(obs, None)
    actions.append([outputs['action'], state[0]['deter'], state[1]])
  for x, y in zip(*actions, strict=True):
    np.testing.assert_array_equal(x, y)


def test_evaluation_runs_whole_episodes_and_sums_their_rewards(agent, env):
  calls = []
  returns, episode = evaluation.evaluate(
      agent, env, 3, lambda: calls.append(1))
  assert returns.shape == (3,) and returns.dtype == np.float64
  assert len(calls) == 3 * 5
  assert episode['image'].shape == (6, 32, 32, 3)
  np.testing.assert_allclose(returns[0], episode['reward'].sum(), rtol=1e-6)
  assert returns.min() > 0


def test_evaluation_acts_by_the_mode_without_noise(agent, env):
  agent.config = agent.config.update({'expl_noise': 0.5})
  obs = {k: np.stack([v]) for k, v in env.reset().items()}
  policy = evaluation.act(agent, 'eval')
  # The same latent sample, another draw of everything behind it.
  state = agent.wm.rssm.initial(1), np.zeros((1, 1), np.float32)
  tf.random.set_seed(1)
  outputs, (latent, _) = policy(obs, state)
  expected = agent._task_behavior.actor(agent.wm.rssm.get_feat(latent)).mode()
  np.testing.assert_array_equal(outputs['action'], expected)
