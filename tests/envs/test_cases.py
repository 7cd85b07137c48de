"""Environments as people bring them, in real runs of the commands.

One environment has as many peculiarities as one can have at once; the single
ones are in test_observations.py and test_gymnasium_env.py.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from dreamer_idm import upstream
from dreamer_idm.agent import build
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.envs import images
from dreamer_idm.evaluation import rollout
from dreamer_idm.runs import checkpoints
from dreamer_idm.training import collector as collector_lib
from dreamer_idm.training import messages

# A robot of which there is one: it holds a port while it lives.
ROBOT = '''
import socket
import gymnasium
import numpy as np
Box = gymnasium.spaces.Box

class Robot(gymnasium.Env):
  observation_space = gymnasium.spaces.Dict({
      'log_success': Box(0, 1, ()), 'rgb': Box(0, 255, (9, 48, 56), np.uint8),
      'depth': Box(0, 1, (40, 40, 1)), 'arm/joint pos': Box(
          -np.inf, np.inf, (3,), np.float64), 'height': Box(-9, 9, ()),
      'touch': Box(0, 1, (2,), bool), 'lidar': Box(0, 65535, (4,), np.uint16),
      'action': Box(-9, 9, (2,)), 'gear': gymnasium.spaces.Discrete(3),
      'goal': gymnasium.spaces.Tuple((Box(-1, 1, (2,)), Box(-1, 1, ()))),
      'mission': gymnasium.spaces.Text(9)})
  action_space = Box(np.array([-0.4, 0.1], np.float32),
                     np.array([0.7, np.inf], np.float32))

  def __init__(self):
    self._port = socket.socket()
    self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    self._port.bind(('127.0.0.1', {port}))
    self._port.listen()

  def reset(self, seed=None, options=None):
    super().reset(seed=seed)
    self._now = 0
    return self._obs(), {}

  def step(self, action):
    assert self.action_space.contains(action), action
    self._now += 1
    done = self._now == 12
    return self._obs(), np.float64(1), int(done), 0, {'is_good': done}

  def _obs(self):
    return {
        'log_success': self._now == 12, 'depth': self.np_random.random(
            (40, 40, 1), np.float32), 'rgb': self.np_random.integers(
                0, 255, (9, 48, 56), np.uint8), 'height': 1.5,
        'arm/joint pos': [0.0, 1.0, self._now], 'touch': [True, False],
        'lidar': np.full(4, 5000, np.uint16), 'action': np.zeros(2),
        'gear': 1, 'goal': ([0, 1], 0.5), 'mission': 'the cup',
        'undeclared': 'text'}

  def close(self):
    self._port.close()

gymnasium.register('Robot-v0', Robot)
'''
TASK = 'gym_robot:Robot-v0'
FLAGS = [
    '--configs', 'cpu', 'idm', 'debug', '--task', TASK, '--eval_eps', '0',
    '--threads', '1', '--prefill', '40', '--eval_every', '40', '--log_every',
    '10', '--dataset.batch', '4', '--dataset.length', '8', '--replay.minlen',
    '6', '--replay.maxlen', '8', '--pretrain', '2', '--log_keys_max',
    '^log_success$|^log_is_good$', r'--(en|de)coder\.cnn_keys', 'rgb|depth',
    r'--(en|de)coder\.mlp_keys', '.*']


def command(folder, *words):
  """Runs a command in a folder, where the robot's module is."""
  environ = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  done = subprocess.run(
      [sys.executable, *map(str, words)], cwd=folder, text=True,
      capture_output=True, timeout=900, check=False,
      env={**environ, 'PYTHONPATH': str(ROOT) if words[0] == '-m' else ''})
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


def write_robot(folder):
  """Writes the robot's module."""
  (folder / 'robot.py').write_text(
      ROBOT.replace('{port}', str(20000 + os.getpid() % 12000)))


def test_a_policy_reads_all_kinds_of_observations_at_once(
    tmp_path, monkeypatch, eager):
  write_robot(tmp_path)
  monkeypatch.chdir(tmp_path)
  config, notes = config_lib.load(FLAGS), []
  collector = collector_lib.Collector(
      config, tmp_path / 'episodes', upstream.common.Counter(0), 0, None,
      notes.append)
  try:
    agent = build.build_agent(
        config, collector.obs_space, collector.act_space, collector.step)
    collector.collect(rollout.act(agent, 'explore'), 26)
    batch = next(collector.replay.batches(2, 6))
  finally:
    collector.close()
  # What acting has seen is what training is given, in the same types.
  assert not any(x.startswith('log_') for x in batch)
  for key, space in collector.obs_space.items():
    assert batch[key].dtype == space.dtype
    assert batch[key].shape == (2, 6, *space.shape)
  metrics = agent.train(batch)[1]
  assert np.isfinite(metrics['model_loss'])


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
  """A folder with the robot's module and a run of it."""
  folder = tmp_path_factory.mktemp('robot')
  write_robot(folder)
  out = command(
      folder, ROOT / 'run.py', *FLAGS, '--steps', '60', '--logdir', 'run')
  return folder, out


@pytest.mark.slow
def test_the_start_says_what_is_read_and_what_is_not(robot):
  _, out = robot
  reads, = [x for x in out.splitlines() if x.startswith('The agent reads')]
  read, ignored = reads.split('; it ignores ')
  for text in (
      'rgb [32, 32, 9]', 'depth [32, 32, 1]', 'arm/joint pos [3]', 'height [1]',
      'touch [2]', 'lidar [4]', 'obs_action [2]', 'gear [3]',
      'goal/part_0 [2]', 'goal/part_1 [1]'):
    assert text in read
  assert ignored.startswith('mission (')
  for text in (
      'rgb is channel-first', 'action is called obs_action', 'actions 1 lack',
      'action_repeat 1, and a head predicts terminal states'):
    assert text in out
  assert 'undeclared' not in out and 'log_success' not in out


@pytest.mark.slow
def test_what_it_collects_is_what_its_space_says(robot):
  folder, _ = robot
  path = next((folder / 'run' / 'train_episodes').glob('*.npz'))
  episode = np.load(path)
  assert episode['rgb'].shape == (13, 32, 32, 9)
  assert episode['depth'].dtype == np.uint8
  assert episode['height'].shape == (13, 1)
  assert not {'undeclared', 'mission'} & set(episode)
  assert episode['action'].shape == (13, 2) and episode['is_terminal'][-1]
  assert episode['log_success'][-1] == episode['log_is_good'][-1] == 1
  for key, value in episode.items():
    assert value.dtype in (np.float32, np.uint8, bool), key


@pytest.mark.slow
def test_it_learns_without_evaluations(robot):
  folder, out = robot
  rows = [json.loads(x) for x in (folder / 'run' / 'metrics.jsonl').open()]
  assert not any('eval_return' in x for x in rows)
  assert any('discount_loss' in x for x in rows)
  logged = [x for x in rows if 'train_return' in x]
  assert all(x['max_train_log_success'] == 1 for x in logged)
  assert all(x['max_train_log_is_good'] == 1 for x in logged)
  assert 'Env step 60: train return 12' in out
  names = {x.name for x in (folder / 'run').iterdir()}
  assert {'learning_curve.png', 'reconstruction_openl_rgb.png'} <= names
  assert checkpoints.Checkpoints(folder / 'run' / 'checkpoints').path('best')


@pytest.mark.slow
def test_it_goes_on_and_is_evaluated(robot):
  folder, _ = robot
  out = command(
      folder, ROOT / 'run.py', *FLAGS, '--steps', '80', '--logdir', 'run')
  assert 'Resumed at env step 60' in out and 'unreadable' not in out
  out = command(
      folder, '-m', 'dreamer_idm', 'evaluate', '--logdir', 'run', '--episodes',
      '1', '--perturb', 'rotation', '--threads', '1')
  assert 'clean: return 12.0' in out and 'rotation.gif' in out
  out = command(folder, '-m', 'dreamer_idm', 'reconstruct', 'run',
                '--threads', '1', '--frames', '10')
  assert 'figure1.png' in out


@pytest.mark.parametrize('task, flags, expected', [
    # At the rate of the makers random episodes are long enough.
    ('gym_InvertedPendulum-v5', [], {}),
    ('gym_Hopper-v5', [], {}),
    # One of ten numbers would be lost without the height.
    ('dmc_walker_walk', [], {'height': (1,)})])
def test_tasks_of_others_are_collected_with_the_preset(
    tmp_path, task, flags, expected):
  notes = []
  config = config_lib.load([
      '--configs', 'cpu_proprio', '--task', task, '--prefill', '300', *flags])
  collector = collector_lib.Collector(
      config, tmp_path, upstream.common.Counter(0), 0, None, notes.append)
  try:
    collector.prefill(300)
    collector.check()
    batch = next(collector.replay.batches(4, config.dataset.length))
  finally:
    collector.close()
  assert len([x for x in notes if 'not learned from' in x]) <= 1
  for key, shape in expected.items():
    assert batch[key].shape[2:] == shape
    assert f'{key} [' in notes[0].split('ignores')[0]


# Frames of any size and number of channels, with two ways to log a success.
FRAMES = '''
import gymnasium
import numpy as np
Box = gymnasium.spaces.Box

class Frames(gymnasium.Env):
  action_space = Box(-1, 1, (2,))

  def __init__(self, shape):
    self.observation_space = gymnasium.spaces.Dict({
        'image': Box(0, 255, shape, np.uint8), 'log_success': Box(0, 1, ())})

  def reset(self, seed=None, options=None):
    super().reset(seed=seed)
    self._now = 0
    return self._obs(), {}

  def step(self, action):
    self._now += 1
    return self._obs(), 0.1, False, False, {'is_success': self._now == 30}

  def _obs(self):
    shape = self.observation_space['image'].shape
    # Each channel has a value of its own, below 255 for up to 12.
    image = np.zeros(shape, np.uint8) + 20 * np.arange(shape[-1])
    return {'image': image.astype(np.uint8),
            'log_success': np.float32(self._now == 30)}

for name, shape in {
    'Gray': (84, 84, 1), 'Stack': (84, 84, 9), 'Depth': (32, 32, 4)}.items():
  gymnasium.register(
      f'{name}-v0', Frames, max_episode_steps=30, kwargs={'shape': shape})
'''


@pytest.mark.parametrize('name, channels', [
    ('Gray', 1), ('Stack', 9), ('Depth', 4)])
def test_frames_of_any_channels_and_a_late_success_are_collected(
    tmp_path, monkeypatch, name, channels):
  (tmp_path / 'anyframes.py').write_text(FRAMES)
  monkeypatch.chdir(tmp_path)
  config = config_lib.load([
      '--configs', 'cpu', '--task', f'gym_anyframes:{name}-v0',
      '--log_keys_max', 'log_success|log_is_success'])
  notes = []
  collector = collector_lib.Collector(
      config, tmp_path / 'episodes', upstream.common.Counter(0), 0, None,
      notes.append)
  try:
    lines = messages.beginning(config, collector)
    collector.prefill(30)
    batch = next(collector.replay.batches(2, 6))
  finally:
    collector.close()
  assert batch['image'].shape == (2, 6, 32, 32, channels)
  assert (batch['image'] == 20 * np.arange(channels)).all()
  assert not any('log_' in x for x in (*lines, *notes)), (lines, notes)
  episode = np.load(next((tmp_path / 'episodes').glob('*.npz')))
  for key in ('log_success', 'log_is_success'):
    assert list(episode[key]) == [0] * 30 + [1]


def test_a_small_target_is_in_the_image_of_the_agent():
  """Reacher's is 9 pixels wide in frames of 480 pixels."""
  config = config_lib.load(['--configs', 'cpu', '--task', 'gym_Reacher-v5'])
  env, = environments.make_envs(config, 'eval', 1, 0)
  try:
    inner = env
    while hasattr(inner, '_env'):
      inner = inner._env
    model = inner.unwrapped.model
    seen = []
    for _ in range(5):
      env.reset()
      frames = []
      for alpha in (1, 0):
        model.geom('target').rgba[3] = alpha
        frames.append(images.frame(
            inner.render(), (32, 32), 'x').astype(int))
      seen.append(np.abs(frames[0] - frames[1]).max())
  finally:
    env.close()
  assert min(seen) > 3  # Picking pixels loses it in two of three episodes.
