import numpy as np
import pytest
import tensorflow as tf

from dreamer_idm import checkpoints
from dreamer_idm.errors import UsageError


class Agent(tf.Module):

  def __init__(self):
    self.weight = tf.Variable(np.zeros(3, np.float32))


def test_round_trip_of_variables_and_plain_state(tmp_path):
  agent = Agent()
  saved = checkpoints.Checkpoints(tmp_path, agent)
  agent.weight.assign([1, 2, 3])
  saved.save(7, {'step': 7, 'names': ['a']})
  other = Agent()
  opened = checkpoints.Checkpoints(tmp_path, other)
  assert opened.restore() == {'step': 7, 'names': ['a']}
  np.testing.assert_array_equal(other.weight, [1, 2, 3])
  # The plain state is there without an agent.
  assert checkpoints.Checkpoints(tmp_path).state()['step'] == 7


def test_nothing_saved_is_no_state(tmp_path):
  assert checkpoints.Checkpoints(tmp_path).state() is None


def test_last_few_and_the_best_are_kept(tmp_path):
  agent = Agent()
  saved = checkpoints.Checkpoints(tmp_path, agent, keep=2)
  for step, best in [(1, True), (2, False), (3, False), (4, False)]:
    agent.weight.assign([step] * 3)
    saved.save(step, {'step': step}, best)
  kept = sorted(x.name for x in (tmp_path / 'latest').glob('*.index'))
  assert kept == ['ckpt-3.index', 'ckpt-4.index']
  saved.restore('best')
  np.testing.assert_array_equal(agent.weight, [1, 1, 1])
  saved.restore('latest')
  np.testing.assert_array_equal(agent.weight, [4, 4, 4])


def test_a_variable_that_is_missing_is_an_error(tmp_path):
  checkpoints.Checkpoints(tmp_path, Agent()).save(1, {})
  larger = Agent()
  larger.bias = tf.Variable([0.0])
  with pytest.raises(AssertionError):
    checkpoints.Checkpoints(tmp_path, larger).restore()


@pytest.mark.parametrize('damage', ['data', 'index', 'list', 'no list'])
def test_damage_is_one_line_and_changes_nothing(tmp_path, damage):
  saved = checkpoints.Checkpoints(tmp_path, Agent())
  saved.save(1, {'step': 1})
  saved.save(2, {'step': 2})
  folder = tmp_path / 'latest'
  name = {'data': 'ckpt-2.data-00000-of-00001', 'index': 'ckpt-2.index'}.get(
      damage, 'checkpoint')
  path = folder / name
  if damage == 'no list':
    path.unlink()
  else:
    path.write_bytes(path.read_bytes()[:10] if damage != 'list' else b'junk')
  before = {x.name: x.read_bytes() for x in folder.iterdir()}
  with pytest.raises(UsageError) as error:
    checkpoints.Checkpoints(tmp_path).state()
  assert '\n' not in str(error.value) and '--logdir' in str(error.value)
  assert 'latest' in str(error.value)
  assert {x.name: x.read_bytes() for x in folder.iterdir()} == before


def test_no_pickle_in_the_files(tmp_path):
  checkpoints.Checkpoints(tmp_path, Agent()).save(1, {'step': 1})
  for path in (tmp_path / 'latest').iterdir():
    assert not path.read_bytes().startswith(b'\x80')  # Pickle's first byte.
