import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_script

from dreamer_idm.errors import UsageError
from dreamer_idm.runs import checkpoints
from dreamer_idm.runs import files

DATA, INDEX = 'ckpt.data-00000-of-00001', 'ckpt.index'


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
  for step in (1, 2, 3, 4):
    agent.weight.assign([step] * 3)
    saved.save(step, {'step': step, 'best_step': 1})
  assert sorted(x.name for x in tmp_path.iterdir()) == ['1', '3', '4']
  assert saved.names() == ['1', '3', '4', 'latest', 'best']
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


def contents(folder):
  return {x: x.read_bytes() for x in folder.rglob('*') if x.is_file()}


def saved_twice(folder):
  agent = Agent()
  saved = checkpoints.Checkpoints(folder, agent)
  for step in (1, 2):
    agent.weight.assign([step] * 3)
    saved.save(step, {'step': step})
  return folder / '2'


def recovered(folder):
  """What a training would resume from, and what it would say."""
  agent = Agent()
  opened = checkpoints.Checkpoints(folder, agent)
  notes = opened.recover()
  return opened.restore(), agent.weight.numpy()[0], notes


@pytest.mark.parametrize('damage', ['data', 'index', 'no data'])
def test_damage_is_one_line_and_changes_nothing(tmp_path, damage):
  folder = saved_twice(tmp_path)
  path = folder / (INDEX if damage == 'index' else DATA)
  if damage == 'no data':
    path.unlink()
  else:
    path.write_bytes(path.read_bytes()[:10])
  before = contents(tmp_path)
  with pytest.raises(UsageError) as error:
    checkpoints.Checkpoints(tmp_path).state()
  assert '\n' not in str(error.value) and 'kept: 1.' in str(error.value)
  assert str(folder) in str(error.value)
  assert contents(tmp_path) == before


@pytest.mark.parametrize('name', [INDEX, DATA])
def test_a_training_falls_back_to_the_one_before(tmp_path, name):
  folder = saved_twice(tmp_path)
  path = folder / name
  path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
  cut = path.read_bytes()
  state, weight, (note,) = recovered(tmp_path)
  assert (state['step'], weight) == (1, 1)
  assert note == (
      f'The checkpoint {folder} is damaged; quarantined as 2.damaged.')
  assert (tmp_path / '2.damaged' / name).read_bytes() == cut
  assert recovered(tmp_path) == (state, weight, [])
  # The same number again, damaged again: neither overwrites the other.
  saved = checkpoints.Checkpoints(tmp_path, Agent())
  saved.save(2, {'step': 2})
  path.write_bytes(b'')
  assert recovered(tmp_path)[0]['step'] == 1
  assert (tmp_path / '2.damaged' / name).read_bytes() == cut
  assert (tmp_path / '2.damaged.2' / name).read_bytes() == b''


def test_every_flipped_bit_and_every_cut_is_found(tmp_path):
  random, found = np.random.RandomState(0), []
  original = tmp_path / 'original'
  saved_twice(original)
  for trial in range(60):
    folder = tmp_path / str(trial)
    shutil.copytree(original, folder)
    path = folder / '2' / [INDEX, DATA][trial % 2]
    data = bytearray(path.read_bytes())
    place = random.randint(len(data))
    if trial % 3:
      data[place] ^= 1 << random.randint(8)
    else:
      del data[place:]
    path.write_bytes(data)
    state, weight, _ = recovered(folder)
    # A few bits of an index mean nothing, and change nothing.
    assert state['step'] == weight <= 1 + (trial % 2 == 0), (trial, place)
    found.append(weight)
  assert found.count(1) > 55


def test_a_foreign_checkpoint_is_not_resumed_from(tmp_path):
  saved_twice(tmp_path)
  tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(tmp_path / '3' / 'ckpt'))
  (tmp_path / 'nothing').mkdir()
  assert recovered(tmp_path)[:2] == ({'step': 2}, 2)
  assert (tmp_path / '3.damaged').is_dir()
  # A state may be refused for what is in it.
  with pytest.raises(UsageError, match='no luck.*backup.*--logdir'):
    checkpoints.Checkpoints(tmp_path).recover(lambda state: 'no luck')


@pytest.mark.parametrize('name', [INDEX, DATA])
def test_if_all_are_damaged_nothing_is_touched(tmp_path, name):
  saved_twice(tmp_path)
  (tmp_path / '1' / INDEX).write_bytes(b'junk')
  (tmp_path / '2' / name).unlink()  # What is left may yet serve.
  (tmp_path / '.3.part').mkdir()
  before = contents(tmp_path)
  with pytest.raises(UsageError, match='no checkpoint in .* can be read'):
    recovered(tmp_path)
  assert contents(tmp_path) == before and (tmp_path / '.3.part').exists()


def test_the_best_one_serves_if_no_other_is_left(tmp_path):
  agent = Agent()
  saved = checkpoints.Checkpoints(tmp_path, agent, keep=1)
  for step in (1, 2):
    agent.weight.assign([step] * 3)
    saved.save(step, {'step': step, 'best_step': 1})
  (tmp_path / '2' / DATA).write_bytes(b'')
  state, weight, notes = recovered(tmp_path)
  assert (state['step'], weight, len(notes)) == (1, 1, 1)
  assert checkpoints.Checkpoints(tmp_path).names() == ['1', 'latest', 'best']


def test_a_damaged_best_one_is_no_longer_the_best(tmp_path):
  saved = checkpoints.Checkpoints(tmp_path, Agent(), keep=1)
  for step in (1, 2):
    saved.save(step, {'step': step, 'best_step': 1})
  (tmp_path / '1' / INDEX).write_bytes(b'')
  notes = saved.recover()
  assert len(notes) == 1 and '1.damaged' in notes[0]
  assert saved.path('best') is None and saved.names() == ['2', 'latest']


def test_a_second_one_of_the_same_step_takes_its_place(tmp_path):
  agent = Agent()
  saved = checkpoints.Checkpoints(tmp_path, agent, keep=2)
  for number in range(1, 13):  # As numbers, not as text: 10 is behind 9.
    agent.weight.assign([number] * 3)
    saved.save(2, {'step': 2, 'number': number})
  assert [x.name for x in tmp_path.iterdir()] == ['2-12']
  assert saved.restore('2')['number'] == agent.weight.numpy()[0] == 12


def test_those_of_an_earlier_version_are_refused_in_a_line(tmp_path):
  (tmp_path / 'latest').mkdir()
  (tmp_path / 'latest' / 'ckpt-60.index').touch()
  for call in (lambda x: x.path(), lambda x: x.recover(),
               lambda x: x.state('best'), lambda x: x.save(1, {})):
    with pytest.raises(UsageError, match='as an earlier version wrote them'):
      call(checkpoints.Checkpoints(tmp_path, Agent()))
  assert [x.name for x in tmp_path.iterdir()] == ['latest']


class Killed(BaseException):
  pass


def or_die(function, count, after):
  def call(*args, **kwargs):
    if next(count) >= after:
      raise Killed
    return function(*args, **kwargs)
  return call


def test_killed_at_any_moment_of_a_save(tmp_path, monkeypatch):
  """Whatever was done last, the next start finds one state as a whole."""
  path, found = pathlib.Path, set()
  for after in range(100):
    folder = tmp_path / str(after)
    agent = Agent()
    saved = checkpoints.Checkpoints(folder, agent, keep=2)
    for step in (1, 2):
      agent.weight.assign([step] * 3)
      saved.save(step, {'step': step, 'best_step': 1, 'x': step})
    count = iter(range(1000))
    with monkeypatch.context() as patch:
      for place, name in [
          (files, 'sync'), (os, 'replace'), (path, 'rename'), (path, 'mkdir'),
          (path, 'unlink'), (os, 'unlink'), (os, 'rmdir')]:
        patch.setattr(place, name, or_die(getattr(place, name), count, after))
      agent.weight.assign([3] * 3)
      try:  # In the place of the second one, with other values.
        saved.save(2, {'step': 2, 'best_step': 2, 'x': 3})
        alive = True
      except Killed:
        alive = False
    state, weight, notes = recovered(folder)
    assert state['step'] == 2 and state['x'] == weight and notes == []
    best = Agent()
    opened = checkpoints.Checkpoints(folder, best)
    assert opened.restore('best')['x'] == best.weight.numpy()[0] == (
        1 if weight == 2 else 3)
    # The next save finds nothing in its way, and leaves nothing.
    opened.save(3, {'step': 3, 'best_step': 2})
    assert {x.name.partition('-')[0] for x in folder.iterdir()} <= {
        '1', '2', '3'}
    found.add((weight, alive))
    if alive:
      break
  assert found == {(2, False), (3, False), (3, True)}


def test_no_pickle_in_the_files(tmp_path):
  checkpoints.Checkpoints(tmp_path, Agent()).save(1, {'step': 1})
  for path in (tmp_path / '1').iterdir():
    assert not path.read_bytes().startswith(b'\x80')  # Pickle's first byte.


def test_variables_of_another_type_are_one_line(tmp_path):
  done = run_script(tmp_path, f"""
import pathlib
import dreamer_idm
import tensorflow as tf
from dreamer_idm.runs import checkpoints
folder = pathlib.Path({str(tmp_path)!r})
class Agent(tf.Module):
  def __init__(self, dtype):
    self.first, self.step = tf.Variable(1.0), tf.Variable(0, dtype=dtype)
checkpoints.Checkpoints(folder, Agent(tf.int32)).save(1, {{'step': 1}})
try:
  checkpoints.Checkpoints(folder, Agent(tf.int64)).restore()
except Exception as error:
  print(error)
""")
  assert done.returncode == 0 and done.stderr == ''
  line, = done.stdout.splitlines()
  assert 'is damaged, or another version of this program wrote it' in line
