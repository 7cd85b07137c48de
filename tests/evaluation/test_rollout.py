import numpy as np
import pytest
import tensorflow as tf
from conftest import make_agent
from conftest import small_config

from dreamer_idm.envs import environments
from dreamer_idm.envs import rendering
from dreamer_idm.evaluation import rollout


@pytest.fixture
def agent(eager):
  return make_agent(
      small_config('--actor.dist', 'trunc_normal'), actions=1)


@pytest.fixture(scope='module')
def env():
  rendering.choose_backend()
  env = environments.make_env(small_config(
      '--task', 'dmc_cartpole_balance', '--action_repeat', '2',
      '--time_limit', '5', '--replay.minlen', '5'), seed=0)
  yield env
  env.close()


def test_explicit_first_state_is_what_upstream_makes_of_none(agent, env):
  obs = {k: np.stack([v]) for k, v in env.reset().items()}
  actions = []
  for policy in (
      rollout.act(agent, 'explore'),
      lambda obs, state: agent.policy(obs, state, mode='explore')):
    policy(obs, None)  # Creates the variables.
    tf.random.set_seed(4)
    outputs, state = policy(obs, None)
    actions.append([outputs['action'], state[0]['deter'], state[1]])
  for x, y in zip(*actions, strict=True):
    np.testing.assert_array_equal(x, y)


def test_evaluation_runs_whole_episodes_and_sums_their_rewards(agent, env):
  calls = []
  result = rollout.evaluate(agent, env, 3, lambda: calls.append(1))
  returns, episode = result.returns, result.episode
  assert returns.shape == (3,) and returns.dtype == np.float64
  assert len(calls) == 3 * 5
  assert result.feat.shape == (5, 12 + 5)
  assert len(result.predicted) == len(result.realised) == 0, 'all cut off'
  assert episode['image'].shape == (6, 32, 32, 3)
  np.testing.assert_allclose(returns[0], episode['reward'].sum(), rtol=1e-6)
  assert returns.min() > 0


class Growing:
  """An environment whose n-th episode has n steps."""

  def __init__(self, env):
    self._env, self._steps, self._length = env, 0, 0
    self.obs_space, self.act_space = env.obs_space, env.act_space

  def reset(self):
    self._steps, self._length = 0, self._length + 1
    return self._env.reset()

  def step(self, action):
    self._steps += 1
    obs = self._env.step(action)
    return {**obs, 'is_last': self._steps == self._length}


def test_evaluation_has_the_length_of_every_episode(agent, env):
  result = rollout.evaluate(agent, Growing(env), 4)
  assert [len(x['reward']) - 1 for x in result.episodes] == [1, 2, 3, 4]
  assert not any('image' in x for x in result.episodes)
  assert len(result.episode['reward']) == 2


def test_evaluation_acts_by_the_mode_without_noise(agent, env):
  agent.config = agent.config.update({'expl_noise': 0.5})
  obs = {k: np.stack([v]) for k, v in env.reset().items()}
  policy = rollout.act(agent, 'eval')
  # The same latent sample, another draw of everything behind it.
  state = agent.wm.rssm.initial(1), np.zeros((1, 1), np.float32)
  tf.random.set_seed(1)
  outputs, (latent, _) = policy(obs, state)
  expected = agent._task_behavior.actor(agent.wm.rssm.get_feat(latent)).mode()
  np.testing.assert_array_equal(outputs['action'], expected)


@pytest.mark.parametrize('terminal, kept', [(True, 6), (False, 4)])
def test_values_are_compared_where_nearly_all_of_the_return_is_known(
    terminal, kept):
  # 0.5 ** 4 < 0.1 < 0.5 ** 3: of a cut-off episode, four rewards are needed.
  rewards = np.arange(7.0)
  predicted, realised = rollout.compared_values(
      10 + np.arange(6.0), rewards, 0.5, terminal)
  np.testing.assert_array_equal(predicted, 10 + np.arange(kept))
  np.testing.assert_allclose(realised, [
      sum(0.5 ** (j - t) * rewards[j] for j in range(t, 7))
      for t in range(kept)])


@pytest.mark.parametrize('clip, scale', [
    ('identity', 1.0), ('tanh', 1.0), ('identity', 3.0)])
def test_the_critic_is_compared_in_its_own_units(agent, env, clip, scale):
  agent.config = agent.config.update({
      'clip_rewards': clip, 'discount': 0.5})
  agent._task_behavior.rewnorm._scale = scale
  result = rollout.evaluate(agent, env, 2)
  # Six rewards; four of them are in front of states 0, 1 and 2.
  assert result.predicted.shape == (2 * 3,)
  rewards = result.episode['reward'].astype(float)
  rewards = scale * (np.tanh(rewards) if clip == 'tanh' else rewards)
  np.testing.assert_allclose(result.realised[:3], [
      sum(0.5 ** (j - t) * rewards[j] for j in range(t, 6))
      for t in range(3)], rtol=1e-5)
  critic = agent._task_behavior.critic
  np.testing.assert_allclose(
      result.predicted[:3], critic(tf.constant(result.feat)).mode()[:3],
      rtol=1e-5)


@pytest.mark.parametrize('preset, has', [
    ('no_value', False), ('soft_bird', False), ('bird', True)])
def test_values_are_left_out_where_a_critic_predicts_no_returns(
    eager, env, preset, has):
  agent = make_agent(small_config(
      '--actor.dist', 'trunc_normal', '--discount', 0.5,
      presets=('dmc', preset)), actions=1)
  result = rollout.evaluate(agent, env, 2)
  assert result.returns.shape == (2,)
  assert result.predicted.shape == result.realised.shape == (6 * has,)
  assert result.predicted.dtype == np.float64


@pytest.mark.parametrize('unused', [('actor',), ('actor', 'critic')])
def test_evaluation_of_an_agent_that_trains_no_actor(
    eager, env, monkeypatch, unused):
  import tensorflow_probability as tfp

  from dreamer_idm.agent import extension
  from dreamer_idm.agent import registry

  class Planner(extension.Extension):

    def act(self, model, behavior, feat):
      return tfp.distributions.Deterministic(tf.zeros((len(feat), 1)))

  monkeypatch.setattr(Planner, 'unused', unused)
  monkeypatch.setattr(registry, 'extensions', lambda config: [Planner(config)])
  agent = make_agent(small_config(), actions=1)
  result = rollout.evaluate(agent, env, 2)
  assert not agent._task_behavior.actor.variables
  assert not agent._task_behavior.critic.variables
  assert len(result.predicted) == len(result.realised) == 0
  assert np.abs(result.episode['action']).max() == 0
