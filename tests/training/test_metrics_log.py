"""What is logged of episodes and evaluations."""

import json

import numpy as np
import pytest

from dreamer_idm import upstream
from dreamer_idm.config import load as config_lib
from dreamer_idm.evaluation import rollout
from dreamer_idm.training import metrics_log


def episode(success, length=4, **more):
  return {
      'reward': np.ones(length + 1, np.float32),
      'log_success': np.array([0.0] * length + [success], np.float32),
      'log_force': np.full((length + 1, 2), success + 1, np.float32),
      'position': np.zeros((length + 1, 3), np.float32), **more}


@pytest.fixture
def log(tmp_path):
  config = config_lib.load([
      '--log_keys_max', '^log_success$', '--log_keys_sum', 'log_force'])
  return metrics_log.RunLog(config, tmp_path, upstream.common.Counter(7))


def rows(tmp_path):
  return [
      json.loads(x) for x in (tmp_path / 'metrics.jsonl').open()]


def test_log_keys_of_training_and_evaluation(log, tmp_path):
  log.episode(episode(1.0), {})
  log.evaluation('eval', rollout.Evaluation(
      np.array([4.0, 4.0]), episode(1.0), [episode(1.0), episode(0.0)],
      np.zeros((4, 1)), np.zeros(0), np.zeros(0)))
  log.write(0)
  train, evaluation = rows(tmp_path)
  assert train['max_train_log_success'] == 1
  assert train['sum_train_log_force'] == 2 * 2 * 5
  # The mean over the episodes: how many of them succeeded.
  assert evaluation['max_eval_log_success'] == 0.5
  assert evaluation['sum_eval_log_force'] == (20 + 10) / 2


@pytest.mark.parametrize('channels', [1, 3, 9])
def test_the_policy_is_shown_in_images_of_any_name_and_channels(
    log, tmp_path, channels):
  images = np.zeros((5, 8, 8, channels), np.uint8)
  images[2] = 255
  log.evaluation('eval', rollout.Evaluation(
      np.array([4.0]), episode(0.0, rgb=images), [episode(0.0)],
      np.zeros((4, 1)), np.zeros(0), np.zeros(0)))
  log.write(0)
  assert (tmp_path / 'policy.gif').stat().st_size > 100
