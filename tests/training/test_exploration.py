"""Upstream's exploring actors in our loop."""

import json

import numpy as np
import pytest

from dreamer_idm.config import load as config_lib
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import start

FLAGS = [
    '--pred_discount', 'True', '--steps', '120', '--prefill', '40',
    '--pretrain', '1', '--time_limit', '20', '--train_every', '20', '--jit',
    'False', '--eval_eps', '0', '--eval_every', '120', '--log_every', '40',
    '--normalize_vectors', 'False', '--imag_starts', '0', '--imag_horizon', '3',
    '--disag_models', '2', '--expl_head.units', '16', '--actor.min_std', '0.01']


SLOW = pytest.mark.slow
DISCRETE = 'gym_CartPole-v1', 'discrete'
CONTINUOUS = 'gym_Pendulum-v1', 'dreamer'


@pytest.mark.parametrize('behavior, kind', [
    ('Random', DISCRETE), ('Plan2Explore', DISCRETE),
    *[pytest.param(x, CONTINUOUS, marks=SLOW) for x in (
        'Random', 'Plan2Explore', 'ModelLoss')]])
def test_explores_until_the_step_that_is_given(
    tmp_path, monkeypatch, behavior, kind):
  task, preset = kind
  config = config_lib.load([
      '--configs', 'cpu_proprio', preset, 'debug', *FLAGS, '--task', task,
      '--expl_behavior', behavior, '--expl_until', '80', '--logdir',
      str(tmp_path)])
  from dreamer_idm.evaluation import rollout
  modes: list = []
  act = rollout.act

  def spied(agent, mode):
    policy = act(agent, mode)

    def chosen(obs, state):
      modes.append((mode, type(agent._expl_behavior).__name__))
      return policy(obs, state)
    return chosen

  monkeypatch.setattr(rollout, 'act', spied)
  start.run(config)
  assert modes == [('explore', behavior)] * 40 + [('train', behavior)] * 40
  actions = np.concatenate([
      np.load(x)['action'][1:]
      for x in (tmp_path / 'train_episodes').glob('*.npz')])
  if preset == 'discrete':
    assert set(np.unique(actions)) == {0, 1} and (actions.sum(1) == 1).all()
  else:
    assert np.abs(actions).max() <= 1 and actions.std() > 0.1
  names = json.dumps(metrics_file.read(tmp_path))
  assert ('expl_actor_loss' in names) == (behavior != 'Random')
