import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from conftest import trained

from dreamer_idm import upstream
from dreamer_idm.evaluation import rollout
from dreamer_idm.methods.planet import extensions as planet
from dreamer_idm.runs import checkpoints

PLANET = [
    '--planet.candidates', '20', '--planet.iterations', '3',
    '--planet.elites', '4', '--planet.horizon', '5']


def config(*flags):
  return small_config(*PLANET, *flags, presets=('dmc', 'planet'))


def observation(count=1):
  return {k: v[:count, 0] for k, v in chunk().items() if k != 'action'}


def search(score, count=1, size=2, graph=True, **settings):
  settings = {
      'horizon': 3, 'candidates': 200, 'iterations': 10, 'elites': 20,
      **settings}
  run = lambda: planet.cross_entropy_method(score, count, size, **settings)
  return tf.function(run, autograph=False)() if graph else run()


# The maths.


def test_refit_is_numpys_mean_and_std_of_the_best():
  random = np.random.default_rng(0)
  plans = random.normal(size=(3, 11, 4, 2)).astype('f')
  scores = random.normal(size=(3, 11)).astype('f')
  mean, std = planet.refit(tf.constant(plans), tf.constant(scores), 5)
  for n in range(3):
    best = plans[n, np.argsort(scores[n])[-5:]]
    np.testing.assert_allclose(mean[n], best.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std[n], best.std(0), rtol=1e-5, atol=1e-6)


def test_the_method_is_numpys_given_its_noise(monkeypatch):
  goal, seen, noise = np.array([0.3, -2.0], 'f'), [], []
  original = tf.random.normal
  monkeypatch.setattr(tf.random, 'normal', lambda shape: (
      noise.append(original(shape)) or noise[-1]))

  def score(plans):
    seen.append(plans.numpy())
    return -tf.reduce_sum(tf.square(plans - goal), [2, 3])

  mean, std = search(score, count=2, iterations=4, graph=False)
  expected_mean, expected_std = np.zeros((2, 3, 2)), np.ones((2, 3, 2))
  assert len(seen) == len(noise) == 4
  for plans, eps in zip(seen, noise, strict=True):
    expected = expected_mean[:, None] + expected_std[:, None] * eps
    np.testing.assert_allclose(plans, np.clip(expected, -1, 1), atol=1e-5)
    scores = -((plans - goal) ** 2).sum((2, 3))
    best = np.stack([x[np.argsort(y)[-20:]] for x, y in zip(plans, scores)])
    expected_mean, expected_std = best.mean(1), best.std(1)
  np.testing.assert_allclose(mean, expected_mean, atol=1e-5)
  np.testing.assert_allclose(std, expected_std, atol=1e-5)


def test_the_first_candidates_are_clipped_standard_normals():
  seen = []

  def score(plans):
    seen.append(plans.numpy())
    return tf.reduce_sum(plans, [2, 3])

  search(score, candidates=5000, iterations=1, graph=False)
  first = seen[0].ravel()
  assert np.mean(first == 1) == pytest.approx(0.1587, abs=0.01)
  assert np.mean(first == -1) == pytest.approx(0.1587, abs=0.01)
  inside = first[abs(first) < 1]
  assert np.mean(abs(inside) < 0.5) == pytest.approx(.3829 / .6827, abs=0.01)


def test_the_optimum_is_found_within_the_bounds():
  goal = np.random.default_rng(1).uniform(-0.9, 0.9, (2, 1, 3, 2)).astype('f')
  goal[0, 0, 1, 0] = 4.0
  mean, std = search(
      lambda x: -tf.reduce_sum(tf.square(x - goal), [2, 3]), count=2)
  np.testing.assert_allclose(mean, np.clip(goal[:, 0], -1, 1), atol=0.05)
  assert std.numpy().max() < 0.05


def test_noise_is_fresh_and_follows_the_seed():
  """Whatever the iteration, the candidate, the environment or the call."""
  seen = []

  def score(plans):
    tf.numpy_function(lambda x: seen.append(x), [plans], [])
    return tf.zeros(plans.shape[:2])

  def run():
    seen.clear()
    tf.random.set_seed(5)
    call = tf.function(lambda: planet.cross_entropy_method(
        score, 2, 2, 3, 50, 4, 50), autograph=False)
    call(), call()
    return np.stack(seen)

  drawn, again = run(), run()
  np.testing.assert_array_equal(drawn, again)
  assert drawn.shape == (2 * 4, 2, 50, 3, 2)
  inside = drawn[abs(drawn) < 1]
  assert len(np.unique(inside)) > 0.999 * len(inside)


def test_plans_and_transitions_draw_noise_of_their_own():
  drawn = {'plan': [], 'transition': [], 'before': []}

  def normal(name, shape):
    noise = tf.random.normal(shape)
    tf.numpy_function(lambda x: drawn[name].append(x), [noise], [])
    return noise

  def score(plans):
    tf.numpy_function(lambda x: drawn['plan'].append(x), [plans], [])
    return tf.reshape(planet.predicted_return(
        lambda state, action: {'x': normal('transition', [50, 6])},
        lambda state: state['x'][:, 0], {'x': tf.zeros([50, 6])},
        tf.transpose(plans[0], [1, 0, 2])), [1, 50])

  def act():
    normal('before', [300])
    return planet.cross_entropy_method(score, 1, 2, 3, 50, 2, 50)

  tf.random.set_seed(5)
  tf.function(act, autograph=False)()
  assert [len(x) for x in drawn.values()] == [2, 2 * 3, 1]
  before, plan, transition = [
      drawn[k][0].ravel() for k in ('before', 'plan', 'transition')]
  for one, two in (
      (before, plan), (before, transition), (plan, transition)):
    assert not (one[abs(one) < 1] == two[abs(one) < 1]).any()


def test_predicted_return_sums_the_rewards_of_the_predicted_states():
  random = np.random.default_rng(0)
  action = random.normal(size=(4, 3, 2)).astype('f')
  start = random.normal(size=(3, 2)).astype('f')
  found = planet.predicted_return(
      lambda state, action: {
          'stoch': 0.5 * state['stoch'] + action, 'more': action},
      lambda state: tf.reduce_prod(state['stoch'], -1),
      {'stoch': tf.constant(start)}, tf.constant(action))
  expected, state = 0.0, start
  for t in range(4):
    state = 0.5 * state + action[t]
    expected = expected + state.prod(-1)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize('discrete', [0, 4])
def test_split_is_the_inverse_of_get_feat(discrete):
  rssm = upstream.common.EnsembleRSSM(stoch=3, deter=5, discrete=discrete)
  shape = (2, 3, 4) if discrete else (2, 3)
  state = {
      'stoch': tf.random.normal(shape), 'deter': tf.random.normal((2, 5))}
  found = planet.split(rssm.get_feat(state), 3, discrete)
  assert found.keys() == state.keys()
  for key in state:
    np.testing.assert_array_equal(found[key], state[key])


# In the agent.


def test_the_world_model_learns_as_upstream_s_bit_for_bit():
  ours, losses = trained(config())
  theirs, expected = trained(config(), upstreams=True)
  assert set(losses[0]) < set(expected[0])
  assert not {'actor_loss', 'critic_loss'} & set(losses[0])
  for mine, yours in zip(losses, expected, strict=True):
    for key in mine:
      np.testing.assert_array_equal(mine[key], yours[key], key)
  assert len(ours.wm.variables) == len(theirs.wm.variables)
  for x, y in zip(ours.wm.variables, theirs.wm.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)
  behavior = ours._task_behavior
  assert not behavior.actor.variables and not behavior.critic.variables


@pytest.mark.parametrize('count', [1, 3])
def test_the_policy_plans_for_every_environment(eager, count):
  agent = make_agent(config())
  policy = rollout.act(agent, 'eval')
  # The optimum is the highest first action, in states that say who they are.
  agent.wm.heads['reward'] = lambda feat: _Reward(feat)
  found = []
  agent.wm.rssm.img_step = lambda state, action, sample=True: (
      found.append(action.numpy()) or {**state, 'stoch': tf.concat([
          action, state['stoch'][:, 2:]], -1)})
  feat = tf.constant(np.random.default_rng(0).normal(
      size=(count, 17)).astype('f'))
  planned = part(agent, planet.Planner).act(
      agent.wm, agent._task_behavior, feat)
  assert planned.mode().shape == (count, 2)
  np.testing.assert_array_equal(planned.mode(), planned.sample())
  assert [x.shape for x in found] == [(20 * count, 2)] * (3 * 5)
  np.testing.assert_allclose(
      np.sign(planned.mode()[:, 0]), np.sign(feat[:, -1]))
  del agent.wm.rssm.img_step
  outputs, _ = policy(observation(count), None)
  assert outputs['action'].shape == (count, 2)


class _Reward:
  """Pays for actions of the sign of the state's last number."""

  def __init__(self, feat):
    self._feat = feat

  def mode(self):
    return self._feat[:, 0] * tf.sign(self._feat[:, -1])


def test_plans_are_better_than_random_ones(eager):
  """By the model's own predictions, over many sampled rollouts."""
  agent = make_agent(config())
  rssm, feat = agent.wm.rssm, tf.random.normal([1, 17], seed=1)
  kernel = rssm._modules['img_in'].kernel  # Untrained, actions hardly matter.
  kernel.assign(tf.concat([kernel[:5], 5 * kernel[5:]], 0))
  reward = lambda state: agent.wm.heads['reward'](rssm.get_feat(state)).mode()

  def score(plans):
    start = planet.split(tf.repeat(feat, plans.shape[1], 0), 5, 0)
    return planet.predicted_return(
        rssm.img_step, reward, start, tf.transpose(plans[0], [1, 0, 2]))[None]

  mean, _ = planet.cross_entropy_method(score, 1, 2, 5, 200, 5, 20)
  planned = score(tf.repeat(mean[:, None], 1000, 1)).numpy()
  random = score(tf.random.uniform([1, 1000, 5, 2], -1, 1)).numpy()
  error = np.hypot(planned.std(), random.std()) / np.sqrt(1000)
  assert planned.mean() - random.mean() > 5 * error


@pytest.mark.parametrize('flags', [
    [], ['--fast', 'False'], ['--rssm.discrete', '4'],
    ['--rssm.ensemble', '3'], ['--rssm.norm', 'layer']])
def test_acting_traces_once_and_samples_every_rollout(flags, monkeypatch):
  from dreamer_idm.patches import fast
  settings = config(*flags)
  monkeypatch.setattr(fast, 'ENABLED', settings.fast)
  tf.random.set_seed(3)
  agent = make_agent(settings)
  drawn, original = [], agent.wm.rssm.img_step

  def img_step(state, action, sample=True):
    found = original(state, action, sample)
    tf.numpy_function(lambda x: drawn.append(x), [found['stoch']], [])
    return found

  agent.wm.rssm.img_step = img_step
  policy, state, actions = rollout.act(agent, 'explore'), None, []
  for _ in range(3):
    drawn.clear()
    outputs, state = policy(observation(2), state)
    actions.append(outputs['action'].numpy())
  traced = super(type(agent), agent).policy  # The function of its own.
  assert traced.experimental_get_tracing_count() == 1
  assert np.isfinite(actions).all() and np.abs(actions).max() <= 1
  assert len(np.unique(actions)) > 6
  # One for the posterior, then 5 steps in each of 3 iterations.
  rollouts = [x for x in drawn if len(x) == 2 * 20]
  assert len(drawn) == 1 + 3 * 5 and len(rollouts) == 3 * 5
  if not settings.rssm.discrete:
    assert len(np.unique(rollouts)) > 0.999 * np.size(rollouts)


def test_exploration_is_noise_on_the_plan(eager, monkeypatch):
  plan = tf.constant([[0.2, -0.4]])
  monkeypatch.setattr(
      planet, 'cross_entropy_method', lambda score, count, *args: (
          tf.tile(plan[:, None], [count, 5, 1]), None))
  agent = make_agent(config())
  np.testing.assert_array_equal(
      rollout.act(agent, 'eval')(observation(), None)[0]['action'], plan)
  many = {k: np.repeat(v, 400, 0) for k, v in observation().items()}
  outputs, _ = rollout.act(agent, 'explore')(many, None)
  noise = outputs['action'].numpy() - plan.numpy()
  assert abs(noise.mean()) < 0.05 and noise.std() == pytest.approx(0.3, abs=.05)


def test_half_precision_plans(eager):
  tf.keras.mixed_precision.set_global_policy('mixed_float16')
  try:
    agent, _ = trained(config(), steps=1)
    outputs, _ = rollout.act(agent, 'eval')(observation(), None)
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  assert outputs['action'].dtype == tf.float32
  assert np.isfinite(outputs['action']).all()


def test_a_checkpoint_has_the_world_model_alone(tmp_path, eager):
  settings = config('--slow_target', 'True')
  saved, _ = trained(settings, steps=1)
  written = checkpoints.Checkpoints(tmp_path, saved)
  written.save(1, {'step': 1})
  names = [x for x, _ in tf.train.list_variables(
      str(written.path() / checkpoints.PREFIX))]
  assert len([x for x in names if x.startswith('agent/wm/')]) > len(
      saved.wm.variables)  # The optimizer's too.
  assert not [x for x in names if 'actor' in x or 'critic' in x]
  loaded = make_agent(settings, seed=8)
  checkpoints.Checkpoints(tmp_path, loaded).restore()
  for x, y in zip(saved.wm.variables, loaded.wm.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)


def test_there_are_no_values_to_compare(eager):
  agent = make_agent(config())
  episode = {'reward': np.ones(6, 'f'), 'is_terminal': np.zeros(6, bool)}
  found = rollout._values(agent, np.zeros((5, 17), 'f'), episode)
  assert [x.shape for x in found] == [(0,), (0,)]
