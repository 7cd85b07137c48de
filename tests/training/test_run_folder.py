"""The folder of a run by itself: what is kept, and what a restart finds."""

import json
import shutil

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


def test_a_best_one_of_other_returns_does_not_count(opened, tmp_path):
  folder, _, _ = opened()
  advance(folder, 10)
  folder.save({**STATE, 'returns': [5.0]}, 5.0)
  again, _, notes = opened('--rotate.degrees', '9', '--discount', '0.5')
  assert again.best == 5.0 and again.saved['returns'] and not notes
  other = ['--time_limit', '7', '--eval_noise', '0.5']
  again, _, notes = opened(*other)
  assert notes == [
      'The best checkpoint, of agent step 10, was chosen with another '
      'time_limit, eval_noise: it stays until the next evaluation, whose '
      'checkpoint takes its place.']
  assert again.best is None and again.saved['returns'] == []
  advance(again, 10)
  again.save(STATE)
  # Also if it ended before there is another.
  again, _, notes = opened(*other)
  found = checkpoints.Checkpoints(tmp_path / 'checkpoints')
  assert again.best is None and notes == []
  assert found.state('best')['step'] == 10
  advance(again, 10)
  again.save(STATE, 3.0)
  assert again.best == 3.0 and found.state('best')['step'] == 30


def steps(path):
  return [json.loads(x)['step'] for x in path.read_text().splitlines()]


def test_metrics_behind_the_checkpoint_are_moved(opened, tmp_path):
  for first in (1, 4):
    folder, _, notes = opened()
    for step in range(first, first + 3):
      advance(folder, 10)
      folder.log.write(updates=step)
      if step == 2:
        folder.save(STATE)
    assert notes == []
  opened()
  assert [x['updates'] for x in metrics_file.read(tmp_path)] == [1, 2]
  assert steps(tmp_path / 'metrics.jsonl.after_checkpoint') == [
      30, 30, 40, 50]


def test_metrics_that_were_edited_are_cut_by_their_steps(opened, tmp_path):
  folder, _, _ = opened()
  advance(folder, 20)
  folder.log.write(updates=1)
  folder.save(STATE)
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 10}\n{"step": 20}\n{"step": 30}\n')
  opened()
  assert steps(path) == [10, 20]
  assert steps(tmp_path / 'metrics.jsonl.after_checkpoint') == [30]


def test_of_an_edited_file_nothing_is_lost(opened, tmp_path):
  folder, _, _ = opened()
  advance(folder, 20)
  folder.log.write(updates=1)
  folder.save(STATE)
  path = tmp_path / 'metrics.jsonl'
  for number, name in enumerate(('edited', 'edited.2')):
    content = b'{"step": 10}\na note, \xff\n{"step": 30}\n{"st' + b'x' * number
    path.write_bytes(content)
    _, _, (note,) = opened()
    kept = path.with_name(f'{path.name}.{name}')
    assert note == (
        f'{path} was edited or damaged; kept as it was as {kept.name}.')
    assert kept.read_bytes() == content
    assert steps(path) == [10]
    # What is left are rows: no further copy, however often it starts.
    assert opened()[2] == []
  assert len(list(tmp_path.glob('metrics.jsonl.edited*'))) == 2


def test_a_training_keeps_its_id_and_another_has_another(opened, tmp_path):
  ids = []
  for _ in range(2):
    for _ in range(2):
      folder, _, _ = opened()
      advance(folder, 10)
      folder.save(STATE)
      ids.append(opened()[0].saved['id'])
    shutil.rmtree(tmp_path / 'checkpoints')
  assert len(ids[0]) == 16 and ids[0] == ids[1] != ids[2] == ids[3]


def test_a_run_from_before_ids_has_none(opened, tmp_path):
  folder, agent, _ = opened()
  checkpoints.Checkpoints(tmp_path / 'checkpoints', agent).save(
      0, {**STATE, 'step': 0})
  folder, _, _ = opened()
  advance(folder, 10)
  folder.save(STATE)
  assert opened()[0].saved['id'] is None


def test_metrics_of_a_run_without_checkpoints_are_kept(opened, tmp_path):
  for number in (1, 2):
    folder, _, notes = opened()
    assert len(notes) == number - 1
    advance(folder, 10)
    folder.log.write(updates=number)
    folder.save(STATE)
    (tmp_path / 'config.yaml').write_text(f'seed: {number}')
    (tmp_path / 'provenance.jsonl').write_text('{}')
    shutil.rmtree(tmp_path / 'checkpoints')
  folder, _, (note,) = opened()
  assert note.endswith(
      'metrics.jsonl is of a run without a checkpoint; kept as '
      'metrics.jsonl.earlier.2, and likewise config.yaml and '
      'provenance.jsonl.')
  # What follows is another training, of which they would say wrong things.
  assert not (tmp_path / 'config.yaml').exists()
  assert (tmp_path / 'config.yaml.earlier').read_text() == 'seed: 1'
  assert (tmp_path / 'provenance.jsonl.earlier.2').exists()
  assert metrics_file.read(tmp_path) == []
  kept = [
      json.loads((tmp_path / f'metrics.jsonl.{x}').read_text())['updates']
      for x in ('earlier', 'earlier.2')]
  assert kept == [1, 2]


def test_another_agent_is_one_line(opened):
  folder, _, _ = opened()
  folder.save(STATE)
  again, agent, _ = opened()
  agent.bias = tf.Variable([0.0])
  with pytest.raises(
      UsageError, match='does not have the networks of .*config.yaml'):
    again.restore()
