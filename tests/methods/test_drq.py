import contextlib
import io
import json
import sys

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from scipy import stats

import dreamer_idm
from bench import drq_rotations
from dreamer_idm import __main__
from dreamer_idm import upstream
from dreamer_idm.agent import build
from dreamer_idm.agent import registry
from dreamer_idm.agent import tf_setup
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import distortions
from dreamer_idm.errors import UsageError
from dreamer_idm.methods.drq import losses
from dreamer_idm.runs import checkpoints
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import replay as replay_lib
from dreamer_idm.training import start

RANDOM = np.random.default_rng(0)
ACTIONS = 2


def config(*flags, presets=('cpu', 'debug', 'drq')):
  return config_lib.load(['--configs', *presets, *map(str, flags)])


def make_agent(settings, seed=0):
  tf.keras.utils.set_random_seed(seed)
  box = gymnasium.spaces.Box
  flag = box(0, 1, (), bool)
  return build.build_agent(
      settings, dict(
          image=box(0, 255, (32, 32, 3), np.uint8),
          position=box(-np.inf, np.inf, (4,), np.float32),
          reward=box(-np.inf, np.inf, (), np.float32),
          is_first=flag, is_last=flag, is_terminal=flag),
      {'action': box(-1, 1, (ACTIONS,), np.float32)},
      upstream.common.Counter(0))


def data(batch=4, seed=0):
  return chunk(batch, 4, 32, ACTIONS, seed)


@pytest.fixture(scope='module')
def built():
  """An agent, and what its variables begin with."""
  agent = make_agent(config())
  found = everything(agent)
  return agent, found, [x.numpy() for x in found]


@pytest.fixture
def agent(built, eager):
  """The agent of `built`, as it began."""
  found, variables, first = built
  for variable, value in zip(variables, first, strict=True):
    variable.assign(value)
  return found


def everything(agent):
  """All variables, with those of the optimizers."""
  return [*agent.variables, *(
      y for x in agent.submodules if isinstance(x, upstream.common.Optimizer)
      for y in x.variables)]


def images(count=4, channels=9):
  return tf.constant(RANDOM.integers(
      0, 255, (count, 32, 32, channels), np.uint8))


# The equations.


def test_a_shift_is_numpys_crop_of_the_image_padded_by_its_edges():
  image = RANDOM.integers(0, 255, (6, 7, 9, 3), np.uint8)
  offsets = np.array(
      [[0, 0], [8, 8], [4, 4], [0, 8], [3, 6], [7, 1]], np.int32)
  found = losses.shift(tf.constant(image), tf.constant(offsets), 4).numpy()
  for one, (y, x), shifted in zip(image, offsets, found, strict=True):
    padded = np.pad(one, ((4, 4), (4, 4), (0, 0)), 'edge')
    np.testing.assert_array_equal(shifted, padded[y:y + 7, x:x + 9])
  np.testing.assert_array_equal(found[2], image[2])


def test_views_are_shifts_of_whole_stacks_drawn_for_each():
  # Pixels tell where they come from: 100 * row + column, in every channel.
  size, pad, count = 16, 4, 60
  place = (100 * np.arange(size)[:, None] + np.arange(size)).astype('f')
  batch = tf.constant(np.tile(place[None, :, :, None], [5, 1, 1, 9]))
  found = losses.views(batch, count, pad).numpy()
  assert found.shape == (count * 5, size, size, 9)
  assert (found == found[..., :1]).all()
  middle = found[:, size // 2, size // 2, 0] - place[size // 2, size // 2]
  down = np.rint(middle / 100)
  moves = np.stack([down, middle - 100 * down], -1)
  assert set(np.unique(moves)) == set(range(-pad, pad + 1))
  assert len(np.unique(moves, axis=0)) > 0.7 * (2 * pad + 1) ** 2
  np.testing.assert_array_equal(losses.views(batch, 2, 0)[5:], batch)


def test_the_log_std_is_a_tanh_between_its_bounds():
  raw = RANDOM.normal(size=(5, 3)).astype('f')
  np.testing.assert_allclose(
      losses.log_std(tf.constant(raw), -10.0, 2.0),
      -10 + 12 * (np.tanh(raw) + 1) / 2, rtol=1e-5, atol=1e-5)
  edges = losses.log_std(tf.constant([-50.0, 0.0, 50.0]), -10.0, 2.0)
  np.testing.assert_allclose(edges, [-10, -4, 2])


def test_actions_have_the_density_of_numpys_tanh_of_a_normal():
  mean = RANDOM.normal(size=(50, 3)).astype('f')
  log_std = RANDOM.uniform(-2, 0.5, size=(50, 3)).astype('f')
  policy = losses.tanh_normal(tf.constant(mean), tf.constant(log_std))
  action, found = policy.experimental_sample_and_log_prob()
  # Where float32 tells the action well enough from 1 to undo the tanh.
  clear = (abs(action.numpy()) < 0.99).all(-1)
  assert clear.sum() > 20
  action = action.numpy()[clear].astype(float)
  expected = stats.norm.logpdf(
      np.arctanh(action), mean[clear], np.exp(log_std[clear].astype(float)))
  expected -= np.log(1 - action ** 2)
  np.testing.assert_allclose(
      found.numpy()[clear], expected.sum(-1), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(policy.mode(), np.tanh(mean), rtol=1e-6)
  # Far out the density stays finite.
  far = losses.tanh_normal(tf.constant([[40.0]]), tf.constant([[2.0]]))
  assert np.isfinite(far.experimental_sample_and_log_prob()[1]).all()


def test_losses_are_numpys():
  q, target, log_prob = (
      RANDOM.normal(size=x).astype('f') for x in ((2, 3, 5), (5,), (5,)))
  np.testing.assert_allclose(
      losses.q_loss(q, target),
      sum(((q[i] - target) ** 2).mean() for i in range(2)), rtol=1e-5)
  np.testing.assert_allclose(
      losses.actor_loss(q[:, 0], log_prob, 0.3),
      (0.3 * log_prob - q[:, 0].min(0)).mean(), rtol=1e-5)
  alpha = tf.Variable(0.2)
  with tf.GradientTape() as tape:
    log = tf.constant(log_prob)
    tape.watch(log)
    loss = losses.temperature_loss(log, alpha, -ACTIONS)
  np.testing.assert_allclose(
      loss, (0.2 * (-log_prob + ACTIONS)).mean(), rtol=1e-5)
  gradients = tape.gradient(loss, [alpha, log])
  # An entropy above its target lowers the temperature.
  np.testing.assert_allclose(
      gradients[0], (-log_prob + ACTIONS).mean(), rtol=1e-5)
  assert gradients[1] is None


def test_soft_update_is_numpys():
  slow, fast = (tf.Variable(RANDOM.normal(size=(3, 2))) for _ in range(2))
  expected = 0.97 * slow.numpy() + 0.03 * fast.numpy()
  losses.soft_update([slow], [fast], 0.03)
  np.testing.assert_allclose(slow, expected)


# The stacks.


@pytest.fixture
def replay(tmp_path):
  """Episodes of 3, 1 and 9 transitions, whose frames are numbered."""
  found = replay_lib.SeededReplay(tmp_path, 0, minlen=1)
  for number, length in enumerate((3, 1, 9)):
    steps = np.arange(length + 1)
    frames = np.zeros((length + 1, 2, 2, 1), np.uint8)
    frames[:] = (20 * number + steps)[:, None, None, None]
    found.add_episode({
        'image': frames, 'action': steps[:, None].astype('f'),
        'reward': (100 * number + steps).astype('f'), 'is_first': steps == 0,
        'log_x': steps.astype('f')})
  return found


def test_windows_never_cross_the_start_of_an_episode(replay):
  window = next(replay.windows(3000, 4))
  assert window.keys() == {'image', 'action', 'reward', 'is_first'}
  frames = window['image'][..., 0, 0, 0].astype(int)
  seen: dict = {}
  for row, reward in zip(frames, window['reward'][:, -1], strict=True):
    episode, last = divmod(int(reward), 100)
    expected = [20 * episode + max(last - back, 0) for back in (3, 2, 1, 0)]
    assert row.tolist() == expected
    seen[episode, last] = seen.get((episode, last), 0) + 1
  # All transitions, and all as often.
  assert seen.keys() == {
      (i, t) for i, n in enumerate((3, 1, 9)) for t in range(1, n + 1)}
  assert min(seen.values()) > 170 and max(seen.values()) < 300


def test_windows_follow_the_random_state_that_is_saved(replay):
  before = replay.random_state
  first, second = (next(replay.windows(8, 4)) for _ in range(2))
  assert (first['reward'] != second['reward']).any()
  replay.random_state = before
  for expected in (first, second):
    found = next(replay.windows(8, 4))
    np.testing.assert_array_equal(found['reward'], expected['reward'])


def test_acting_stacks_frames_as_training_does(agent):
  """Three environments, whose episodes begin at different times."""
  rssm = agent.wm.rssm
  frames = RANDOM.integers(0, 255, (9, 3, 32, 32, 3), np.uint8)
  first = np.zeros((9, 3), bool)
  first[0] = first[4, 1] = first[5, 1] = first[7, 2] = True
  state = rssm.initial(3)
  for time in range(9):
    # A state of zeros begins an episode as the flag does.
    flag = first[time] if time else np.zeros(3, bool)
    state, _ = rssm.obs_step(state, None, tf.constant(frames[time]), flag)
    for row in range(3):
      start = max(t for t in range(time + 1) if first[t, row])
      expected = np.concatenate([
          frames[max(time - back, start), row] for back in (2, 1, 0)], -1)
      np.testing.assert_array_equal(rssm.get_feat(state)[row], expected)
  before, after = losses.stacks(tf.constant(frames[:4].swapaxes(0, 1)))
  np.testing.assert_array_equal(before, np.concatenate(frames[:3], -1))
  np.testing.assert_array_equal(after, np.concatenate(frames[1:4], -1))


def test_the_rotation_of_stacks_turns_what_the_policy_sees_alone(agent):
  rssm = agent.wm.rssm
  frame = images(1, 3)
  plain, _ = rssm.obs_step(rssm.initial(1), None, frame, [False])
  turned = drq_rotations.StackRotation(rssm, 20, 3)
  state, _ = turned.obs_step(turned.initial(1), None, frame, [False])
  np.testing.assert_array_equal(state['deter'], plain['deter'])
  random = np.random.default_rng(3)
  for _ in range(2):  # By another angle at the next step.
    angle = random.uniform(-20, 20)
    expected = distortions.rotate(frame[0].numpy(), angle)
    np.testing.assert_array_equal(
        turned.get_feat(state)[0], np.concatenate([expected] * 3, -1))


# The update.


def numpy_q(critic, convolved, action):
  """Both Q, float64 [2, N], from the critic's weights."""
  linear, bias, scale, offset = (
      x.numpy().astype(float) for x in critic._projection.weights)
  value = convolved @ linear + bias
  value -= value.mean(-1, keepdims=True)
  value /= np.sqrt((value ** 2).mean(-1, keepdims=True) + 1e-5)
  # Keras has the scale of its layer norm first.
  value = np.tanh(value * scale + offset)
  found = []
  for q in critic._q:
    hidden, weights = np.concatenate([value, action], -1), q.weights
    for index in range(0, len(weights), 2):
      hidden = hidden @ weights[index].numpy() + weights[index + 1].numpy()
      if index < len(weights) - 2:
        hidden = np.maximum(hidden, 0)
    found.append(hidden[:, 0])
  return np.stack(found)


def test_the_target_is_numpys(agent):
  sac = agent._task_behavior
  for variable in sac.slow.variables:  # Nor are norms at their beginning.
    variable.assign_add(0.1 * tf.random.normal(variable.shape))
  batch, stack = 4, images(8)
  reward, goes_on = np.arange(4, dtype='f'), np.array([1, 0, 1, 1], 'f')
  tf.random.set_seed(7)
  found = sac.target(stack, tf.constant(reward), tf.constant(0.9 * goes_on))
  tf.random.set_seed(7)
  action, log_prob = sac.actor(stack).experimental_sample_and_log_prob()
  convolved = sac.slow.convolutions(stack).numpy().astype(float)
  value = numpy_q(sac.slow, convolved, action.numpy()).min(0)
  value = value - 0.1 * log_prob.numpy()
  value = (value[:batch] + value[batch:]) / 2
  np.testing.assert_allclose(
      found, reward + 0.9 * goes_on * value, rtol=1e-4, atol=1e-4)
  assert found[1] == 1


def test_the_two_q_and_the_layers_begin_differently(agent):
  sac = agent._task_behavior
  one, two = (x.weights[0].numpy() for x in sac.critic._q)
  assert (one != two).all()
  first = sac.critic.convolutions.weights
  assert (first[2].numpy() != first[4].numpy()).all()
  for slow, fast in zip(
      sac.slow.variables, sac.critic.variables, strict=True):
    np.testing.assert_array_equal(slow, fast)


def changed(module, before):
  return [
      bool((x.numpy() != y).any())
      for x, y in zip(module.variables, before, strict=True)]


def values(module):
  return [x.numpy() for x in module.variables]


def test_the_policys_gradient_does_not_reach_the_encoder(agent):
  sac, stack = agent._task_behavior, images()
  with tf.GradientTape() as tape:
    action, log_prob = sac.actor(stack).experimental_sample_and_log_prob()
    loss = tf.reduce_sum(log_prob) + tf.reduce_sum(action)
  gradients = tape.gradient(
      loss, [*sac.critic.variables, *sac.policy.variables])
  count = len(sac.critic.variables)
  assert gradients[:count] == [None] * count
  assert None not in gradients[count:]
  parts = (sac.critic, sac.slow, sac.policy, sac.temperature)
  before = [values(x) for x in parts]
  sac.train_actor(stack)
  critic, slow, policy, temperature = map(changed, parts, before)
  assert not any(critic) and not any(slow)
  assert all(policy) and all(temperature)
  before = [values(x) for x in parts]
  filters = values(sac.critic.convolutions)
  sac.train_critic(
      tf.concat([stack, stack], 0), tf.zeros([4, ACTIONS]), tf.ones([4]))
  critic, slow, policy, temperature = map(changed, parts, before)
  assert all(critic) and all(changed(sac.critic.convolutions, filters))
  assert not any(slow) and not any(policy) and not any(temperature)


@contextlib.contextmanager
def settings(agent, **keys):
  """Context in which an agent has other values of keys of drq."""
  before, sac = agent.config, agent._task_behavior
  agent.config = sac.config = before.update(
      {f'drq.{k}': v for k, v in keys.items()})
  try:
    yield
  finally:
    agent.config = sac.config = before


def test_policy_temperature_and_slow_copy_move_as_often_as_they_should(agent):
  sac, found = agent._task_behavior, []
  parts = sac.critic, sac.policy, sac.temperature, sac.slow
  for seed in range(4):
    before = [values(x) for x in parts]
    with settings(agent, actor_every=3):
      _, metrics = agent.train(data(seed=seed))
    found.append([any(changed(*x)) for x in zip(parts, before, strict=True)])
    assert ('actor_loss' in metrics) == (seed in (0, 3))
    assert all(np.isfinite(x) for x in metrics.values())
  assert [x[0] for x in found] == [True] * 4
  assert [x[1] for x in found] == [True, False, False, True]
  assert [x[2] for x in found] == [True, False, False, True]
  assert [x[3] for x in found] == [True, False, True, False]


def test_the_slow_copy_follows_the_critic_after_its_step(agent):
  sac = agent._task_behavior
  before = values(sac.slow)
  with settings(agent, tau=0.25):
    agent.train(data())
  for old, slow, fast in zip(
      before, sac.slow.variables, sac.critic.variables, strict=True):
    np.testing.assert_allclose(
        slow, 0.75 * old + 0.25 * fast.numpy(), rtol=1e-5, atol=1e-7)


def first_update(built, batch):
  """The metrics of an agent's first update, from one seed."""
  agent, variables, first = built
  for variable, value in zip(variables, first, strict=True):
    variable.assign(value)
  tf.random.set_seed(0)
  return agent.train(batch)[1]


def test_a_terminal_state_has_no_future_and_a_time_limit_has(built, eager):
  def target(**flags):
    batch = data()
    for name, value in flags.items():
      batch[name][:, -1] = value
    return float(first_update(built, batch)['drq_target'])

  mean = data()['reward'][:, -1].mean()
  assert target() == target(is_last=True) != pytest.approx(mean, abs=1e-4)
  assert target(is_terminal=True, is_last=True) == pytest.approx(
      mean, abs=1e-6)


def test_the_transition_is_the_windows_last(built, eager):
  found = []
  for part in (slice(0, 0), slice(0, -1), slice(-1, None)):
    batch = data()
    batch['action'][:, part] = batch['reward'][:, part] = 0
    found.append(float(first_update(built, batch)['critic_loss']))
  assert found[0] == found[1] != found[2]


def test_resumed_from_a_checkpoint_it_learns_the_same(tmp_path, agent):
  """After an odd number of updates, whose next one skips the policy."""
  agent.train(data(seed=0))
  checkpoints.Checkpoints(tmp_path, agent).save(1, {'step': 1})
  other = make_agent(config(), seed=9)
  pairs = [*zip(everything(agent), everything(other), strict=True)]
  differing = lambda: sum((x.numpy() != y.numpy()).any() for x, y in pairs)
  assert differing() > 40
  checkpoints.Checkpoints(tmp_path, other).restore()
  assert not differing()
  for one in (agent, other):
    tf.random.set_seed(5)
    for seed in (1, 2):
      one.train(data(seed=seed))
  assert not differing()


# In the project.


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """Folder of a run, and what it said: two episodes of 20 steps."""
  folder, told = tmp_path_factory.mktemp('drq') / 'run', io.StringIO()
  try:
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
      start.run(config(
          '--task', 'dmc_cartpole_balance', '--steps', 40, '--prefill', 20,
          '--time_limit', 20, '--eval_eps', 1, '--eval_every', 20,
          '--log_every', 10, '--train_every', 5, '--jit', False,
          '--actor.dist', 'tanh_normal', '--logdir', folder))
  finally:
    tf_setup.configure('32')
  return folder, told.getvalue()


def test_it_trains_in_the_loop_of_the_others(run):
  folder, told = run
  assert 'Done. Results are in' in told and 'It decodes nothing' in told
  assert 'Traceback' not in told and 'WARNING' not in told.upper(), told
  rows = metrics_file.read(folder)
  assert rows[-1]['step'] == 160 and rows[-1]['updates'] == 5
  for row in rows:
    assert all(np.isfinite(x) for x in row.values())
  assert {
      'critic_loss', 'actor_loss', 'temperature_loss', 'drq_temperature',
      'drq_entropy', 'drq_q', 'eval_return', 'eval_rotated_return',
      'train_return'} <= {y for x in rows for y in x}
  with np.load(next((folder / 'train_episodes').glob('*.npz'))) as episode:
    assert episode['image'].shape == (21, 32, 32, 3)


def test_it_is_evaluated_and_reported(eager, run, tmp_path, capsys):
  folder, _ = run
  assert __main__.main([
      'evaluate', '--logdir', str(folder), '--episodes', '1', '--perturb',
      'rotation', '--out', str(tmp_path)]) == 0
  found = json.loads((tmp_path / 'evaluation.json').read_text())
  assert found['method'] == 'drq' and 'value' not in found
  assert [x['kind'] for x in found['conditions']] == ['clean', 'rotation']
  assert __main__.main([
      'report', '--logdir', str(folder), '--out', str(tmp_path / 'r')]) == 0
  assert 'temperature' in (tmp_path / 'r/index.html').read_text()
  capsys.readouterr()
  assert __main__.main(['reconstruct', str(folder)]) == 2
  assert 'nothing to reconstruct' in capsys.readouterr().err


def test_it_acts_and_is_exported(run, tmp_path):
  assert __main__.main([
      'export', str(run[0]), '--episodes', '1', '--batch', '2', '--out',
      str(tmp_path / 'agent')]) == 0
  frames = RANDOM.integers(0, 255, (5, 2, 32, 32, 3), np.uint8)
  policy = dreamer_idm.load(run[0])
  exported = dreamer_idm.load(tmp_path / 'agent')
  alone = policy.copy()
  for frame in frames:
    action = policy({'image': frame})
    assert action.shape == (2, 1)
    np.testing.assert_allclose(
        exported({'image': frame}), action, atol=1e-4)
    np.testing.assert_allclose(
        alone({'image': frame[0]}), action[0], atol=1e-5)
  with pytest.raises(ValueError, match='drq trains no critic of the rewards'):
    print(policy.value)
  with pytest.raises(ValueError, match='drq has no model to imagine with'):
    policy.imagine(3)


def test_a_module_of_the_user_s_own_may_bring_an_agent(tmp_path, monkeypatch):
  head = (
      'from dreamer_idm.agent.declaration import *\n'
      'from dreamer_idm.upstream.modules import agent\n'
      'METHOD = Method()\n')
  (tmp_path / 'bare.py').write_text(
      f'{head}class Agent:\n  def __init__(self, *args):\n'
      '    self.args = args\n')
  (tmp_path / 'extends.py').write_text(
      f'{head}Agent = agent.Agent\ndef extensions(config):\n  return []\n')
  monkeypatch.syspath_prepend(str(tmp_path))
  settings = config('--agent', 'bare', presets=('dmc',))
  assert registry.extensions(settings) == []
  assert build.build_agent(settings, 1, 2, 3).args == (settings, 1, 2, 3)
  assert registry.own_agent('bare') is sys.modules['bare'].Agent
  assert registry.own_agent('extends') is registry.own_agent('idm') is None
  for name in ('bare', 'extends'):
    del sys.modules[name]


@pytest.mark.parametrize('presets, flags, words', [
    (('cpu_proprio', 'drq'), [], 'learns from images alone'),
    (('drq',), [], 'learns from images alone'),
    (('cpu', 'drq', 'discrete'), [], 'acts by continuous actions'),
    (('cpu', 'drq'), ['--expl_behavior', 'Plan2Explore'], 'needs --agent'),
    (('cpu', 'drq'), ['--precision', 'bf16'], 'use --precision 32'),
    (('cpu', 'drq'), ['--render_size', '14', '32'], '--render_size 15 15'),
    (('cpu', 'drq'), ['--imag_starts', '9'], 'imagines nothing'),
    (('cpu', 'drq'), ['--normalize_vectors', 'True'], 'no vectors'),
    (('cpu', 'drq'), ['--replay.ongoing', 'True'], 'whole episodes'),
    (('cpu', 'drq'), ['--drq.log_std_min', '3'], 'must be smaller'),
    (('cpu', 'drq'), ['--drq.pad', '-1'], '--drq.pad must be >= 0')])
def test_what_makes_no_sense_is_refused(presets, flags, words):
  with pytest.raises(UsageError) as error:
    config(*flags, presets=presets)
  assert words in str(error.value) and '\n' not in str(error.value)
