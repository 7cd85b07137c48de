import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import part
from conftest import small_config
from dreamer_idm.patches import fast

from dreamer_idm.idm import trajectory_evaluator as te


def test_windows_share_their_ends_and_stop_where_they_no_longer_fit():
  value = np.arange(2 * 9).reshape(2, 9)  # L = 9, T = 3: starts 0, 3.
  cut = te.windows(tf.constant(value), 3).numpy()
  expected = [[0, 1, 2, 3], [9, 10, 11, 12], [3, 4, 5, 6], [12, 13, 14, 15]]
  np.testing.assert_array_equal(cut.T, expected)


def test_mask_drops_the_crossing_and_all_that_follows():
  is_first = np.array([
      [1, 0, 0, 0],  # First state of the window: nothing is crossed.
      [0, 0, 1, 0],
      [0, 0, 0, 1],
      [0, 1, 0, 0]], bool).T
  mask = te.transition_mask(tf.constant(is_first)).numpy().T
  np.testing.assert_array_equal(
      mask, [[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]])


def test_transition_pairs_a_state_with_the_action_taken_there():
  feat = np.arange(3.0).reshape(3, 1, 1)
  action = 10 * np.arange(3.0).reshape(3, 1, 1)
  rows = te.transition(tf.constant(feat), tf.constant(action)).numpy()
  np.testing.assert_array_equal(rows[:, 0], [[0, 10, 1], [1, 20, 2]])


def test_zero_logits_give_two_ln_two():
  zeros = tf.zeros((4, 5))
  loss = te.evaluator_loss(zeros, zeros, tf.ones((4, 5)))
  np.testing.assert_allclose(loss, 2 * np.log(2), rtol=1e-6)


@pytest.mark.parametrize('kind', te.LOSSES)
def test_loss_equals_numpy_and_ignores_masked_data(kind):
  random = np.random.RandomState(0)
  real, fake = random.normal(size=(2, 4, 5))
  mask = (random.uniform(size=(4, 5)) < 0.6).astype(float)
  sigmoid = lambda x: 1 / (1 + np.exp(-x))
  total, count = 0, 0
  for t in range(4):
    for n in range(5):
      if mask[t, n]:
        p, q = sigmoid(real[t, n]), sigmoid(fake[t, n])
        total += (-np.log(p) - np.log(1 - q)) if kind == 'bce' else q - p
        count += 1
  cast = lambda x: tf.constant(x, tf.float32)
  loss = te.evaluator_loss(cast(real), cast(fake), cast(mask), kind)
  np.testing.assert_allclose(loss, total / count, rtol=1e-5)
  real[mask == 0], fake[mask == 0] = np.inf, np.nan
  again = te.evaluator_loss(cast(real), cast(fake), cast(mask), kind)
  assert float(again) == float(loss)


def test_everything_masked_is_no_loss():
  assert float(te.masked_mean(tf.ones((2, 2)), tf.zeros((2, 2)))) == 0


def test_unknown_loss():
  with pytest.raises(ValueError, match='linear'):
    te.evaluator_loss(*[tf.zeros((1, 1))] * 3, 'hinge')


@pytest.fixture
def prepared(eager):
  agent = make_agent(small_config('--idm.eva_horizon', 3))
  data = {k: tf.constant(v) for k, v in chunk(length=9).items()}
  outs = agent.wm.loss(data)[2]
  return agent, data, outs


def test_overshoot_starts_at_the_posterior_and_uses_its_actions(prepared):
  agent, data, outs = prepared
  found = outs['overshoot']
  post, size = outs['post'], 5 + 12
  feat = agent.wm.rssm.get_feat(post).numpy()
  action = data['action'].numpy()
  real, fake = found['real'].numpy(), found['fake'].numpy()
  assert real.shape == fake.shape == (3, 2 * 3, 2 * size + 2)
  for window, t0 in enumerate((0, 3)):
    for b in range(3):
      row = window * 3 + b
      for k in range(3):
        t = t0 + k
        expected = [feat[b, t], action[b, t + 1], feat[b, t + 1]]
        np.testing.assert_array_equal(
            real[k, row], np.concatenate(expected))
        np.testing.assert_array_equal(
            fake[k, row, size:size + 2], action[b, t + 1])
      np.testing.assert_array_equal(fake[0, row, :size], feat[b, t0])
      # Its next state is the state of the next transition.
      np.testing.assert_array_equal(
          fake[0, row, -size:], fake[1, row, :size])
      # One step ahead the deterministic state knows no difference yet.
      # To rounding: the windows are rolled out in one taller batch.
      np.testing.assert_allclose(
          fake[0, row, -12:], post['deter'][b, t0 + 1], rtol=0, atol=1e-6)
      # The stochastic one does, and from the second step on both do.
      assert np.abs(fake[0, row, -size:-12] - real[0, row, -size:-12]).max()
      assert np.abs(fake[1, row, -12:] - real[1, row, -12:]).max() > 0


def test_overshoot_in_a_graph_draws_noise_of_its_own_and_in_order():
  start, action = {'x': tf.zeros((200, 300))}, tf.zeros((31, 200, 1))
  slow = tf.ones((300, 300))  # The noise does not wait for the product.
  step = lambda state, action: {
      'x': tf.random.normal((200, 300)) + 0 * (state['x'] @ slow)}
  draws = []
  for _ in range(4):
    tf.random.set_seed(3)
    draws.append(
        tf.function(lambda: te.overshoot(step, start, action))()['x'].numpy())
  for other in draws[1:]:
    np.testing.assert_array_equal(other, draws[0])
  assert len(np.unique(draws[0][1:, 0, 0])) == 30


def test_overshoots_do_not_repeat_the_noise_of_the_posterior():
  """In the first update of a seeded run, whose graph is a new one."""
  agent, noise = make_agent(small_config('--idm.eva_horizon', 3)), {}

  def loss(data):
    outs = agent.wm.loss(data)[2]
    post, rssm = outs['post'], agent.wm.rssm
    states = {k: v[:, 0] for k, v in post.items()}
    action = tf.transpose(data['action'], [1, 0, 2])
    guess = te.overshoot(rssm.img_step, states, action[:4])
    return post, guess

  tf.random.set_seed(3)
  for name, x in zip(('post', 'guess'), tf.function(loss, autograph=False)(
      {k: tf.constant(v) for k, v in chunk(length=9).items()}), strict=True):
    noise[name] = ((x['stoch'] - x['mean']) / x['std']).numpy()
  # The first numbers of the same stream, were the seeds the same.
  drawn = np.round(noise['guess'][1].ravel(), 3)
  assert not (drawn == np.round(
      np.swapaxes(noise['post'], 0, 1).ravel()[:drawn.size], 3)).any()


def test_first_deter_is_the_posterior_s_bitwise(eager, monkeypatch):
  # A single window has the batch of the posterior's own computation; the
  # faster body sums in another order than a single step does.
  monkeypatch.setattr(fast, 'ENABLED', False)
  agent = make_agent(small_config('--idm.eva_horizon', 8))
  data = {k: tf.constant(v) for k, v in chunk(length=9).items()}
  outs = agent.wm.loss(data)[2]
  np.testing.assert_array_equal(
      outs['overshoot']['fake'][0, :, -12:], outs['post']['deter'][:, 1])


def test_evaluator_step_changes_the_evaluator_alone(prepared):
  agent, data, outs = prepared
  evaluator = part(agent, te.TrajectoryEvaluator)
  evaluator.train(outs)
  others = [
      *agent.wm.encoder.variables, *agent.wm.rssm.variables,
      *agent.wm.heads['decoder'].variables,
      *agent.wm.heads['reward'].variables]
  before = [x.numpy() for x in others]
  own = [x.numpy() for x in evaluator._head.variables]
  metrics = evaluator.train(outs)
  for x, y in zip(others, before, strict=True):
    np.testing.assert_array_equal(x, y)
  assert all(
      np.abs(x.numpy() - y).max() > 0
      for x, y in zip(evaluator._head.variables, own, strict=True))
  assert np.isfinite(float(metrics['evaluator_loss']))


def test_no_gradient_leaves_the_evaluator_s_data(eager):
  agent = make_agent(small_config())
  data = {k: tf.constant(v) for k, v in chunk().items()}
  agent.wm.loss(data)
  with tf.GradientTape() as tape:
    found = agent.wm.loss(data)[2]['overshoot']
    total = tf.reduce_sum(found['real']) + tf.reduce_sum(found['fake'])
  variables = [*agent.wm.rssm.variables, *agent.wm.encoder.variables]
  assert all(x is None for x in tape.gradient(total, variables))


def test_episode_starts_in_the_data_are_masked(eager):
  agent = make_agent(small_config('--idm.eva_horizon', 3))
  raw = chunk(length=9)
  raw['is_first'][1, 4] = True
  data = {k: tf.constant(v) for k, v in raw.items()}
  mask = agent.wm.loss(data)[2]['overshoot']['mask'].numpy().T
  # Rows: window 0 of three chunks, then window 1, which starts at 3.
  expected = np.ones((6, 3))
  expected[4] = 0
  np.testing.assert_array_equal(mask, expected)


def test_the_loss_asked_for_is_the_one_used(eager):
  found = {}
  for kind in te.LOSSES:
    agent = make_agent(small_config('--idm.eva_loss', kind))
    real, fake = np.random.RandomState(0).normal(size=(2, 4, 3, 36))
    metrics = part(agent, te.TrajectoryEvaluator).train({'overshoot': {
        'real': tf.constant(real, tf.float32),
        'fake': tf.constant(fake, tf.float32), 'mask': tf.ones((4, 3))}})
    found[kind] = float(metrics['evaluator_loss'])
    if kind == 'linear':
      difference = metrics['idm_eva_prob_fake'] - metrics['idm_eva_prob_real']
      np.testing.assert_allclose(found[kind], difference, atol=1e-6)
  assert found['bce'] > 1 > found['linear']


def test_it_learns_to_tell_real_from_fake(eager):
  agent = make_agent(small_config())
  random = np.random.RandomState(0)
  size = 2 * (5 + 12) + 2
  mask = tf.ones((4, 32))
  for _ in range(150):
    draw = lambda mean: tf.constant(
        random.normal(mean, 1, (4, 32, size)), tf.float32)
    metrics = part(agent, te.TrajectoryEvaluator).train({
        'overshoot': {'real': draw(0.5), 'fake': draw(-0.5), 'mask': mask}})
  assert metrics['idm_eva_accuracy'] > 0.9
  assert metrics['idm_eva_prob_real'] > 0.7 > 0.3 > metrics[
      'idm_eva_prob_fake']


def test_horizon_shrinks_to_the_chunk(eager):
  agent = make_agent(small_config('--idm.eva_horizon', 50))
  data = {k: tf.constant(v) for k, v in chunk(length=9).items()}
  assert agent.wm.loss(data)[2]['overshoot']['mask'].shape == (8, 3)
