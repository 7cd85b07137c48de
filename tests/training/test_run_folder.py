"""The folder of a run by itself: what is kept, and what a restart finds."""

import numpy as np
import pytest
import tensorflow as tf
import tiny

from dreamer_idm.config import load as config_lib
from dreamer_idm.errors import UsageError
from dreamer_idm.runs import checkpoints
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import replay as replay_lib
from dreamer_idm.training import run_folder

STATE = {
    'updates': 1, 'to_pretrain': 0, 'episodes': [], 'loaded': [],
    'random': 2 * [replay_lib.plain_random_state(np.random)]}


class Agent(tf.Module):

  def __init__(self):
    self.weight = tf.Variable(np.zeros(3, np.float32))


@pytest.fixture
def opened(tmp_path):
  """Opens the folder of a run, again if it is there."""
  def begin(*flags):
    notes: list[str] = []
    folder = run_folder.RunFolder(tiny.config(*flags), tmp_path, notes.append)
    agent = Agent()
    folder.attach(agent)
    return folder, agent, notes
  return begin


def advance(folder, steps):
  for _ in range(steps):
    folder.step.increment()


def test_a_new_folder_begins_at_zero(opened, tmp_path):
  folder, _, notes = opened()
  assert folder.saved is None and int(folder.step) == 0 and notes == []
  folder.write_config()
  assert config_lib.saved(tmp_path).task == tiny.config().task


def test_a_restart_finds_the_state_and_the_variables(opened):
  folder, agent, _ = opened()
  advance(folder, 60)
  agent.weight.assign([1, 2, 3])
  folder.save(STATE, 5.0)
  again, other, notes = opened()
  assert int(again.step) == 60 and again.best == 5.0 and notes == []
  assert {k: again.saved[k] for k in STATE} == STATE
  again.restore()
  np.testing.assert_array_equal(other.weight, [1, 2, 3])


def test_the_best_is_replaced_by_what_is_as_good(opened, tmp_path):
  folder, agent, _ = opened()
  for score in (5.0, 4.0, None, 5.0, 3.0):
    advance(folder, 10)
    folder.save(STATE, score)
  found = checkpoints.Checkpoints(tmp_path / 'checkpoints')
  assert found.state('best')['step'] == 40
  assert found.state()['step'] == 50 and found.state()['best_step'] == 40


def test_metrics_behind_the_checkpoint_are_cut_off(opened, tmp_path):
  folder, _, _ = opened()
  for step in range(1, 5):
    advance(folder, 10)
    folder.log.write(updates=step)
    if step == 2:
      folder.save(STATE)
  again, _, _ = opened()
  assert [x['step'] for x in metrics_file.read(tmp_path)] == [10, 20]
  again.log.write(updates=9)
  assert [x['updates'] for x in metrics_file.read(tmp_path)] == [1, 2, 9]


def test_another_agent_is_one_line(opened):
  folder, _, _ = opened()
  folder.save(STATE)
  again, agent, _ = opened()
  agent.bias = tf.Variable([0.0])
  with pytest.raises(UsageError, match='has not the networks of .*config.yaml'):
    again.restore()
