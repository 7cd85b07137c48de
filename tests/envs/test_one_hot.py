"""Discrete actions, from the environment to the agent and back."""

import json
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from buttons import Buttons
from conftest import ROOT

import dreamer_idm
from dreamer_idm import __main__
from dreamer_idm import upstream
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.envs import workers
from dreamer_idm.errors import UsageError

TASK = 'gym_buttons:Buttons-v0'


@pytest.fixture(autouse=True)
def importable(monkeypatch):
  monkeypatch.setenv(
      'PYTHONPATH', f'{ROOT}{os.pathsep}{ROOT / "tests" / "envs"}')


def load(*words):
  return config_lib.load(['--task', TASK, '--configs', *words])


@pytest.mark.parametrize('parallel', ['none', 'thread', 'process'])
def test_random_actions_are_one_hot_and_reach_the_environment(parallel):
  env, = environments.make_envs(
      load('cpu', 'discrete', '--envs_parallel', parallel), 'train', 1, 0)
  try:
    assert isinstance(env, workers.Worker) == (parallel != 'none')
    space = env.act_space['action']
    assert (space.n, space.shape, space.dtype) == (3, (3,), np.float32)
    seen = []
    driver = upstream.common.Driver([env])
    driver.on_episode(seen.append)
    driver(upstream.common.RandomAgent(env.act_space), episodes=3)
  finally:
    env.close()
  for episode in seen:
    assert not episode['action'][0].any()
    actions = episode['action'][1:]
    assert set(np.unique(actions)) == {0, 1} and (actions.sum(1) == 1).all()
    assert set(actions.argmax(1)) == {0, 1, 2}
    # What was lit before each step tells the reward of each action.
    lit = episode['image'][:-1, 0, 2::11, 0].argmax(1)
    np.testing.assert_array_equal(
        episode['reward'][1:], lit == actions.argmax(1))
    assert episode['is_terminal'][-1] == (episode['reward'].sum() == 10)


def test_an_action_that_is_not_one_hot_is_refused():
  env = environments.make_env(load('cpu', 'discrete'), 0)
  env.reset()
  with pytest.raises(ValueError, match='one-hot'):
    env.step({'action': np.array([0.5, 0.5, 0], np.float32)})


@pytest.mark.parametrize('words, message', [
    ('cpu', 'put the preset discrete behind'),
    ('dmc', 'put the preset discrete behind'),
    ('dmc_vision planet', 'planet plans continuous actions'),
    ('dmc_vision soft_bird', 'use --actor_grad dynamics'),
    ('dmc_vision no_value', 'use --actor_grad dynamics')])
def test_what_is_for_continuous_actions_says_so(words, message):
  space = environments.make_env(load('cpu', 'discrete'), 0).act_space['action']
  with pytest.raises(UsageError, match=message) as told:
    environments.check_actions(load(*words.split()), space)
  assert '\n' not in str(told.value)


def test_onehot_needs_discrete_actions():
  with pytest.raises(UsageError, match='Pendulum-v1 has continuous actions'):
    environments.check_actions(
        config_lib.load([
            '--configs', 'cpu', 'discrete', '--task', 'gym_Pendulum-v1']),
        gymnasium.spaces.Box(-1, 1, (1,)))
  with pytest.raises(UsageError, match='expl_noise is a probability'):
    load('cpu', 'discrete', '--expl_noise', '1.5')


def run(folder, *flags):
  done = subprocess.run(
      [sys.executable, 'run.py', '--task', TASK, '--logdir', str(folder),
       '--threads', '1', '--prefill', '60', '--pretrain', '1', *flags],
      cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.mark.slow
def test_trains_from_pixels_and_acts(tmp_path):
  run(tmp_path / 'run', '--configs', 'cpu', 'idm', 'discrete', 'debug',
      '--steps', '120', '--eval_every', '60')
  for path in (tmp_path / 'run' / 'train_episodes').glob('*.npz'):
    action = np.load(path)['action']
    assert not action[0].any() and (action[1:].sum(1) == 1).all()
  policy = dreamer_idm.load(tmp_path / 'run')
  assert policy.action_space == Buttons.action_space
  env = Buttons()
  obs, _ = env.reset(seed=0)
  for _ in range(3):
    action = policy(obs)
    assert policy.action_space.contains(action)
    obs, *_ = env.step(action)
  policy.reset()
  assert policy(np.stack([obs] * 4)).shape == (4,)
  assert policy.imagine(2)['action'].shape == (2, 4, 3)


@pytest.mark.slow
def test_resumes_and_is_exported(tmp_path, capsys):
  flags = [
      '--configs', 'cpu', 'discrete', 'debug', '--expl_noise', '0.4']
  run(tmp_path / 'run', *flags, '--steps', '120')
  assert 'Resumed' in run(tmp_path / 'run', *flags, '--steps', '150')
  assert __main__.main([
      'export', str(tmp_path / 'run'), '--out', str(tmp_path / 'agent'),
      '--episodes', '1']) == 0, capsys.readouterr()
  facts = json.loads((tmp_path / 'agent' / 'agent.json').read_text())
  assert facts['interface']['action'] == [[1], 'int64']
  assert max(facts['check'].values()) < 1e-4
