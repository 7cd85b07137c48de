"""A linear controller by CMA-ES, in imagination."""

import cma
import numpy as np
import pytest
import tensorflow as tf
from cma.sigma_adaptation import CMAAdaptSigmaCSA
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from conftest import trained

from dreamer_idm.evaluation import rollout
from dreamer_idm.methods.world_models import evolution
from dreamer_idm.methods.world_models import extensions as world_models
from dreamer_idm.runs import checkpoints

SMALL = [
    '--world_models.candidates', '6', '--world_models.starts', '4',
    '--world_models.horizon', '3']


def config(*flags):
  return small_config(*SMALL, *flags, presets=('dmc', 'world_models'))


def controllers(agent):
  return part(agent, world_models.Controller)


# The maths.


@pytest.mark.parametrize('discrete', [False, True])
def test_actions_are_numpys(discrete):
  random = np.random.default_rng(0)
  feat = random.normal(size=(3, 4, 5)).astype('f')
  weights = random.normal(size=(3, 12)).astype('f')
  found = world_models.act(
      tf.constant(feat), tf.constant(weights), discrete).numpy()
  for c in range(3):
    matrix, bias = weights[c, :10].reshape(5, 2), weights[c, 10:]
    for n in range(4):
      value = feat[c, n] @ matrix + bias
      expected = np.eye(2)[value.argmax()] if discrete else np.tanh(value)
      np.testing.assert_allclose(found[c, n], expected, atol=1e-5)


def test_imagined_return_is_numpys():
  random = np.random.default_rng(1)
  start = random.normal(size=(3, 2)).astype('f')
  first = np.array([0.9, 0.0, 0.8], 'f')
  found = world_models.imagined_return(
      lambda state, action: {'x': 0.5 * state['x'] + action, 'more': action},
      lambda state: tf.tanh(state['x']),
      lambda state: tf.reduce_prod(state['x'], -1),
      lambda state: tf.sigmoid(state['x'][:, 0]),
      {'x': tf.constant(start)}, tf.constant(first), 4)
  for n in range(3):
    state, weight, total = start[n].astype(float), first[n], 0.0
    for _ in range(4):
      state = 0.5 * state + np.tanh(state)
      total += weight * state.prod()
      weight *= 1 / (1 + np.exp(-state[0]))
    np.testing.assert_allclose(found[n], total, rtol=1e-4, atol=1e-6)


def test_a_search_from_arrays_is_the_library_s_own_bit_for_bit():
  random = np.random.default_rng(2)
  goal, size = random.normal(size=30), 30
  score = lambda x: -((x - goal) ** 2 * np.arange(1, 31)).sum(-1)
  noise: list = []
  whole = cma.CMAEvolutionStrategy(np.zeros(size), 0.5, {
      'popsize': 12, 'CMA_diagonal': True, 'verbose': -9, 'seed': np.nan,
      'AdaptSigma': CMAAdaptSigmaCSA, 'randn': lambda *_: noise[-1].copy()})
  state = evolution.begun(size, 0.5)
  before = np.random.get_state()[1].copy()
  for _ in range(200):
    noise.append(random.normal(size=(12, size)))
    expected = whole.ask()
    whole.tell(expected, [-score(x) for x in expected])
    generation = evolution.Generation(state, noise[-1])
    np.testing.assert_array_equal(generation.candidates, expected)
    state = generation.end(score(generation.candidates))
    np.testing.assert_array_equal(state.mean, whole.mean)
    assert state.step_size == whole.sigma
  assert state.generations == 200
  np.testing.assert_allclose(state.mean, goal, atol=1e-2)
  np.testing.assert_array_equal(np.random.get_state()[1], before)


# In the agent.


def test_an_update_tries_candidates_and_keeps_the_next_distribution(eager):
  agent = make_agent(config(
      '--world_models.least_sigma', '0.5', '--world_models.decay', '0.5'))
  term, tried, told = controllers(agent), [], []
  original, end = term._scores, term._end
  def scores(model, weights, *rest):
    tried.append((weights.numpy(), original(model, weights, *rest)))
    return tried[-1][1]
  term._scores = scores
  term._end = lambda *x: told.append(x[-1]) or end(*x)
  before = {k: v.numpy() for k, v in term._state.items()}
  _, metrics = agent.train(chunk(), agent.wm.rssm.initial(3))
  (weights, found), = tried
  np.testing.assert_allclose(
      told[0], found - 0.5 * (weights ** 2).mean(1), rtol=1e-5)
  assert weights.shape == (6, 2 * (17 + 1))
  assert weights.std() == pytest.approx(0.1, rel=0.3)
  assert before['generations'] == 0 and term._state['generations'].numpy() == 1
  assert (before['mean'] == 0).all()
  assert (term._state['mean'].numpy() != 0).all()
  assert metrics['world_models_best'] >= metrics['world_models_mean']
  # A learned mean is a mean of candidates, weighted by their ranks alone.
  mean = term._state['mean'].numpy()
  mixed, *_ = np.linalg.lstsq(weights.T, mean, rcond=None)
  np.testing.assert_allclose(weights.T @ mixed, mean, atol=1e-5)
  assert sum(mixed) == pytest.approx(1, abs=1e-3)
  assert term._state['step_size'].numpy() >= 0.5


def test_the_score_rises_in_a_model_that_stays(eager):
  """With a reward for the first action, which the bias can choose."""
  agent = make_agent(config(
      '--world_models.candidates', 16, '--model_opt.lr', 0))
  wm, term = agent.wm, controllers(agent)
  wm.rssm.img_step = lambda state, action, sample=True: {
      **state, 'stoch': tf.concat([action, state['stoch'][:, 2:]], -1)}
  wm.heads['reward'] = lambda feat: _Reward(feat[..., 0])
  data = {k: tf.constant(v) for k, v in chunk().items()}
  outs = {'post': wm.rssm.initial(27), 'feat': tf.zeros([3, 9, 17]),
          'controller': (wm, data['action'], data['is_terminal'])}
  outs['post'] = {
      k: tf.reshape(v, [3, 9, *v.shape[1:]]) for k, v in outs['post'].items()}
  means = [float(term.train(outs)['world_models_mean']) for _ in range(40)]
  most = sum(0.99 ** t for t in range(1, 4))
  assert means[0] < 0.3 * most and means[-1] > 0.8 * most
  policy = term.act(wm, agent._task_behavior, tf.zeros([2, 17]))
  assert policy.mode().shape == (2, 2) and policy.mode()[0, 0] > 0.8
  np.testing.assert_array_equal(policy.mode(), policy.sample())


class _Reward:

  def __init__(self, value):
    self._value = value

  def mode(self):
    return self._value


def test_terminal_starts_and_predicted_ends_count_for_nothing(eager):
  agent = make_agent(config('--pred_discount', 'True'))
  wm, term = agent.wm, controllers(agent)
  start = {k: wm.rssm.initial(4)[k] for k in ('stoch', 'deter')}
  weights = tf.zeros([6, 36])
  wm.heads['reward'] = lambda feat: _Reward(tf.ones(feat.shape[:1]))
  ended = term._scores(wm, weights, start, tf.ones(4))
  np.testing.assert_array_equal(ended, tf.zeros(6))
  discount = wm.heads['discount']
  wm.heads['discount'] = lambda feat: _Half(discount(feat))
  found = term._scores(wm, weights, start, tf.constant([0.0, 0.0, 0.0, 1.0]))
  np.testing.assert_allclose(
      found, 0.75 * 0.99 * (1 + 0.5 + 0.25) * np.ones(6), rtol=1e-5)


class _Half:

  def __init__(self, dist):
    self._shape = dist.mean().shape

  def mean(self):
    return tf.fill(self._shape, 0.5)


def test_the_world_model_has_upstream_s_loss_and_there_is_no_actor(eager):
  ours, theirs = make_agent(config()), make_agent(config(), upstreams=True)
  data, losses = {k: tf.constant(v) for k, v in chunk().items()}, []
  for agent in (ours, theirs):
    tf.random.set_seed(1)
    losses.append(agent.wm.loss(data)[0])
  assert losses[0] == losses[1]
  for x, y in zip(ours.wm.encoder.variables + ours.wm.rssm.variables,
                  theirs.wm.encoder.variables + theirs.wm.rssm.variables,
                  strict=True):
    np.testing.assert_array_equal(x, y, x.name)
  behavior = ours._task_behavior
  assert not behavior.actor.variables and not behavior.critic.variables


def test_resumed_the_search_goes_on_bit_for_bit(eager, tmp_path):
  agent, _ = trained(config(), steps=2)
  checkpoints.Checkpoints(tmp_path, agent).save(1, {'step': 1})
  other = make_agent(config(), seed=5)
  assert controllers(other)._state['generations'].numpy() == 0
  checkpoints.Checkpoints(tmp_path, other).restore()
  assert controllers(other)._state['generations'].numpy() == 2
  state = agent.wm.rssm.initial(3)
  for x in (agent, other):
    tf.random.set_seed(3)
    x.train(chunk(seed=9), state)
  for x, y in zip(agent.variables, other.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)


def test_discrete_actions(eager):
  agent = make_agent(config(
      '--actor.dist', 'onehot', '--actor_grad', 'reinforce'), actions=3)
  _, metrics = agent.train(
      {**chunk(), 'action': np.eye(3, dtype='f')[np.zeros((3, 9), int)]},
      agent.wm.rssm.initial(3))
  assert np.isfinite(metrics['world_models_best'])
  obs = {k: v[:2, 0] for k, v in chunk().items() if k != 'action'}
  outputs, _ = rollout.act(agent, 'eval')(obs, None)
  action = outputs['action'].numpy()
  assert action.shape == (2, 3) and (action.sum(1) == 1).all()
  assert {*action.ravel()} == {0.0, 1.0}
