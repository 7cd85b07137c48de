"""What a run writes down: rows of metrics.jsonl, and what may fail."""

import numpy as np
import pytest
import tiny

from dreamer_idm import upstream
from dreamer_idm.evaluation import rollout
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import metrics_log


@pytest.fixture
def log(tmp_path):
  """Opens a log at agent step 10 of a run with action repeat 1."""
  def begin(*flags, note=print):
    return metrics_log.RunLog(
        tiny.config(*flags), tmp_path, upstream.common.Counter(10), note)
  return begin


def episode(*rewards):
  return {
      'reward': np.array([0.0, *rewards], np.float32),
      'log_success': np.array([0.0] * len(rewards) + [1.0], np.float32)}


def evaluation(*episodes):
  returns = np.array([x['reward'].sum() for x in episodes], np.float64)
  return rollout.Evaluation(
      returns, episodes[0], list(episodes), np.zeros((1, 1)),
      np.array([1.0, 2.0]), np.array([2.0, 4.0]))


def test_an_evaluation_is_logged_by_its_means(log, tmp_path):
  made = log()
  made.evaluation('eval', evaluation(
      episode(1), episode(1, 1), episode(3, 3, 3)))
  made.write(updates=7)
  row, = metrics_file.read(tmp_path)
  assert row == {
      'step': 10, 'env_step': 10, 'agent_step': 10, 'updates': 7,
      'eval_return': 4, 'eval_return_std': pytest.approx(np.sqrt(19)),
      'eval_length': 2, 'eval_value_predicted': 1.5, 'eval_value_realised': 3,
      'eval_value_error': 1.5}


def test_one_episode_has_no_spread(log, tmp_path):
  made = log()
  made.evaluation('eval', evaluation(episode(1, 2)))
  made.write(updates=7)
  row, = metrics_file.read(tmp_path)
  assert row['eval_return'] == 3 and 'eval_return_std' not in row


def test_log_keys_of_training_and_evaluation(log, tmp_path):
  made = log('--log_keys_sum', 'log_succ', '--log_keys_max', 'log_success')
  assert made.episode(episode(1, 2), {'total_steps': 5}) == 3
  failed = {**episode(1, 2), 'log_success': np.zeros(3, np.float32)}
  made.evaluation('eval', evaluation(episode(1, 2), failed))
  made.write(updates=0)
  train, tested = metrics_file.read(tmp_path)
  assert train == {
      'step': 10, 'train_return': 3, 'train_length': 2, 'train_total_steps': 5,
      'sum_train_log_success': 1, 'max_train_log_success': 1}
  # The mean over the episodes: the fraction of them that succeeded.
  assert tested['max_eval_log_success'] == 0.5
  assert tested['sum_eval_log_success'] == 0.5


@pytest.mark.parametrize('channels', [1, 3, 9])
def test_the_policy_is_shown_in_images_of_any_name_and_channels(
    log, tmp_path, channels):
  images = np.zeros((5, 8, 8, channels), np.uint8)
  images[2] = 255
  made = log()
  made.evaluation('eval', evaluation({**episode(1, 1, 1, 1), 'rgb': images}))
  made.write(updates=0)
  assert (tmp_path / 'policy.gif').stat().st_size > 100


def test_updates_are_averaged_and_skipped_steps_counted(log, tmp_path):
  made = log()
  for loss, norm in ((1.0, 2.0), (3.0, np.inf)):
    made.update({'model_loss': loss, 'model_grad_norm': norm})
  assert made.pending
  made.write(updates=2, env_restarts=1)
  row, = metrics_file.read(tmp_path)
  assert (row['model_loss'], row['model_grad_norm']) == (2, 2)
  assert (row['model_skipped'], row['env_restarts']) == (1, 1)
  assert not made.pending


def test_half_an_evaluation_is_not_written(log, tmp_path):
  made = log()
  made.evaluation('eval', evaluation(episode(1)))
  made.forget_notes()
  made.write(updates=1)
  row, = metrics_file.read(tmp_path)
  assert 'eval_return' not in row


def test_a_picture_that_cannot_be_written_is_reported_once(log, tmp_path):
  notes = []
  made = log(note=notes.append)
  (tmp_path / 'learning_curve.png').mkdir()
  made.curve()
  made.curve()
  assert len(notes) == 1
  assert notes[0].startswith('learning_curve.png cannot be written (')
