import json
import struct
import zipfile

import gymnasium
import numpy as np
import pytest

from dreamer_idm.errors import UsageError
from dreamer_idm.runs import episode_files
from dreamer_idm.training import episodes
from dreamer_idm.training import replay as replay_lib


def episode(length, value=0.0):
  return {
      'action': np.zeros((length + 1, 2), np.float32),
      'reward': np.arange(length + 1, dtype=np.float32) + value,
      **{x: np.zeros(length + 1, bool)
         for x in ('is_first', 'is_last', 'is_terminal')}}


@pytest.fixture
def replay(tmp_path):
  replay = replay_lib.SeededReplay(tmp_path, 0, minlen=4, maxlen=4)
  for value in (0, 100, 200):
    replay.add_episode(episode(20, value))
  return replay


def test_batches_have_the_shape_and_stay_within_an_episode(replay):
  batch = next(replay.batches(5, 4))
  assert batch['action'].shape == (5, 4, 2)
  assert batch['is_first'][:, 0].all() and not batch['is_first'][:, 1:].any()
  np.testing.assert_array_equal(np.diff(batch['reward'], axis=1), 1)


def test_the_saved_state_settles_the_batches_that_follow(replay):
  batches = replay.batches(3, 4)
  next(batches)
  # Through JSON, as a checkpoint keeps it.
  state = json.loads(json.dumps(
      [replay.random_state, replay_lib.plain_random_state(np.random)]))
  expected = [next(batches)['reward'] for _ in range(3)]
  replay.random_state = state[0]
  replay_lib.set_random_state(np.random, state[1])
  again = replay.batches(3, 4)
  for value in expected:
    np.testing.assert_array_equal(next(again)['reward'], value)
  assert any(
      np.abs(next(again)['reward'] - x).max() > 0 for x in expected)


def test_the_order_of_the_episodes_is_kept(replay, tmp_path):
  order = replay.loaded[::-1]
  reopened = replay_lib.SeededReplay(tmp_path, 0, minlen=4, maxlen=4)
  reopened.keep(order[:2])
  assert reopened.loaded == order[:2]
  assert reopened.stats['loaded_episodes'] == 2
  assert reopened.stats['loaded_steps'] == 40


def test_an_unfinished_episode_is_not_glued_to_the_next(replay):
  step = {'action': np.zeros(2), 'reward': 0.0, 'is_last': False}
  replay.add_step(step)
  replay.forget_unfinished()
  for index in range(6):
    replay.add_step({**step, 'is_last': index == 5})
  assert replay.stats['total_steps'] == 60 + 5


def test_episodes_a_checkpoint_does_not_know_are_quarantined(replay, tmp_path):
  names = episode_files.names(tmp_path)
  assert len(names) == 3
  content = (tmp_path / names[2]).read_bytes()
  assert episode_files.quarantine_unknown(tmp_path, names[:2]) == 1
  assert episode_files.names(tmp_path) == names[:2]
  aside = tmp_path / (names[2] + '.after_checkpoint')
  assert aside.read_bytes() == content
  reopened = replay_lib.SeededReplay(tmp_path, 0, minlen=4, maxlen=4)
  assert reopened.stats['total_episodes'] == 2
  assert reopened.stats['total_steps'] == 40


def reopen(folder, **kwargs):
  return replay_lib.SeededReplay(folder, 0, minlen=4, maxlen=4, **kwargs)


def damage(path, kind):
  if kind == 'cut':
    path.write_bytes(path.read_bytes()[:-40])
  elif kind == 'empty':
    path.write_bytes(b'')
  elif kind == 'flipped':
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
      entry = max(archive.infolist(), key=lambda x: x.compress_size)
    # Behind the entry's header, some of whose bits mean nothing.
    header = 30 + sum(struct.unpack_from(
        '<HH', data, entry.header_offset + 26))
    data[entry.header_offset + header + entry.compress_size // 2] ^= 8
    path.write_bytes(data)
  elif kind == 'text':
    path.write_text('not an archive')
  elif kind == 'folder':
    path.unlink()
    path.mkdir()
  else:
    values = {**episode(20), **{
        'pickle': {'action': np.array([print] * 21, object)},
        'no reward': {}, 'other length': {'reward': np.zeros(20, 'f')},
        'other shape': {'action': np.zeros((21, 3), 'f')},
        'text values': {'action': np.array(['x'] * 21)},
        'nan': {'reward': np.full(21, np.nan, np.float32)},
        'scalar': {'reward': np.float32(0)}}[kind]}
    if kind == 'no reward':
      del values['reward']
    np.savez_compressed(path, **values)


@pytest.mark.parametrize('kind', [
    'cut', 'empty', 'flipped', 'text', 'folder', 'pickle', 'no reward',
    'other length', 'other shape', 'text values', 'nan', 'scalar'])
def test_what_is_no_episode_is_quarantined(replay, tmp_path, capsys, kind):
  bad, *good = episode_files.names(tmp_path)
  damage(tmp_path / bad, kind)
  opened = reopen(tmp_path)
  assert opened.unreadable == [bad + '.unreadable']
  assert (tmp_path / (bad + '.unreadable')).exists()
  assert sorted(opened.loaded) == good == episode_files.names(tmp_path)
  assert opened.stats['total_episodes'] == opened.stats['loaded_episodes'] == 2
  next(opened.batches(3, 4))
  assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('name', [
    'x.npz', '-.npz', 'a-b.npz', '\u0662-\u00b2.npz', 'a-1e3.npz'])
def test_foreign_names_are_quarantined(replay, tmp_path, name):
  (tmp_path / name).write_bytes(b'foreign')
  opened = reopen(tmp_path)
  assert opened.unreadable == [name + '.unreadable']
  assert (tmp_path / (name + '.unreadable')).read_bytes() == b'foreign'
  assert opened.stats['total_steps'] == 60


def test_the_capacity_bounds_what_is_loaded(replay, tmp_path):
  newest = episode_files.names(tmp_path)[-1]
  assert reopen(tmp_path, capacity=20).loaded == [newest]
  assert reopen(tmp_path, capacity=21).stats['loaded_steps'] == 40
  assert reopen(tmp_path, capacity=0).stats['loaded_steps'] == 60
  opened = reopen(tmp_path, capacity=40)
  for value in range(5):
    opened.add_episode(episode(20, value))
    assert opened.stats['loaded_steps'] <= 40
  assert opened.stats['total_steps'] == 160


def test_an_episode_that_cannot_be_written_leaves_nothing(
    replay, tmp_path, monkeypatch):
  before = sorted(tmp_path.iterdir())
  def full(path):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(replay_lib.files, 'sync', full)
  with pytest.raises(OSError, match='No space'):
    replay.add_episode(episode(20))
  assert sorted(tmp_path.iterdir()) == before


def test_half_an_episode_of_a_killed_run_is_removed(replay, tmp_path):
  folder = tmp_path / episode_files.UNFINISHED
  folder.mkdir()
  (folder / 'time-id-20.npz').write_bytes(b'half')
  assert reopen(tmp_path).stats['total_episodes'] == 3
  assert not folder.exists()


def test_one_workers_unfinished_episode_is_forgotten(replay):
  step = {k: v[0] for k, v in episode(1).items()}
  for worker in (0, 1):
    replay.add_step(step, worker)
  replay.forget_unfinished(1)
  for worker in (0, 1):
    for index in range(6):
      replay.add_step({**step, 'is_last': index == 5}, worker)
  assert replay.stats['total_steps'] == 60 + 6 + 5


def test_memory_of_a_step_is_what_the_arrays_take(replay):
  box = gymnasium.spaces.Box
  spaces = {
      'image': box(0, 255, (8, 8, 3), np.uint8), 'reward': box(-1, 1, ()),
      'vector': box(-1, 1, (5,), np.float64), 'is_last': box(0, 1, (), bool)}
  assert episodes.step_bytes(
      {**spaces, 'action': box(-1, 1, (2,))}) == 192 + 4 + 20 + 1 + 8


# Episodes that others made.

SPACES = {
    'action': gymnasium.spaces.Box(-1, 1, (2,)),
    'height': gymnasium.spaces.Box(-1, 1, (1,)),
    'reward': gymnasium.spaces.Box(-1, 1, ()),
    **{x: gymnasium.spaces.Box(0, 1, (), bool)
       for x in ('is_first', 'is_last', 'is_terminal')}}


def offline(folder, name='mine.npz', **changes):
  folder.mkdir(exist_ok=True)
  values = {
      **episode(9, 1000), 'height': np.arange(10.0), 'text': np.zeros(10),
      **changes}
  np.savez(folder / name, **{k: v for k, v in values.items() if v is not None})
  return folder


@pytest.fixture
def heights(tmp_path):
  opened = replay_lib.SeededReplay(
      tmp_path / 'own', 0, minlen=4, maxlen=4, capacity=40)
  for value in (0, 100):
    opened.add_episode({
        **episode(20, value), 'height': np.ones((21, 1), np.float32)})
  return opened


def test_offline_episodes_are_drawn_but_count_nowhere(heights, tmp_path):
  before = heights.stats, heights.loaded
  assert heights.add_offline(offline(tmp_path / 'x'), SPACES) == (1, 9)
  assert (heights.stats, heights.loaded) == before
  batch = next(heights.batches(60, 4))
  theirs = batch['reward'][:, 0] >= 1000
  assert 0 < theirs.sum() < 60
  assert set(batch) == set(SPACES)
  assert batch['height'].shape == (60, 4, 1)
  assert batch['height'].dtype == np.float32
  for value in range(5):  # Which the capacity bounds, but not theirs.
    heights.add_episode({
        **episode(20, value), 'height': np.ones((21, 1), np.float32)})
  assert heights.stats['loaded_steps'] == 40
  assert (next(heights.batches(60, 4))['reward'] >= 1000).any()
  heights.keep(heights.loaded[:1])
  assert heights.stats['loaded_steps'] == 20
  assert (next(heights.batches(60, 4))['reward'] >= 1000).any()
  assert not list(heights._directory.glob('mine*'))


@pytest.mark.parametrize('changes, message', [
    ({'reward': None}, 'is not an episode: expected'),
    ({'action': np.full((10, 2), np.nan)}, 'is not an episode: expected'),
    ({'height': None}, r'height is missing, expected \[steps \+ 1, 1\]'),
    ({'action': np.zeros((10, 3))}, r'action is with shape \[3\], expected'),
    ({'action': np.full((10, 2), 1.5)}, 'actions beyond -1 and 1')])
def test_offline_episodes_of_another_kind_are_one_line(
    heights, tmp_path, changes, message):
  with pytest.raises(UsageError, match=f'mine.npz.*{message}'):
    heights.add_offline(offline(tmp_path / 'x', **changes), SPACES)


def test_offline_folders_without_use_are_one_line(heights, tmp_path):
  with pytest.raises(UsageError, match='no episodes'):
    heights.add_offline(tmp_path, SPACES)
  short = {**episode(2), 'height': np.zeros(3)}
  with pytest.raises(UsageError, match='of 2 agent steps.*minlen is 4'):
    heights.add_offline(offline(tmp_path / 'x', **{
        k: v[:3] for k, v in short.items()}, text=None), SPACES)


def test_scalars_of_earlier_versions_go_with_those_of_today(heights, tmp_path):
  path = episode_files.names(tmp_path / 'own')[0]
  old = {**episode(20), 'height': np.ones(21), 'log_x': np.zeros(21)}
  np.savez(tmp_path / 'own' / path, **old)
  opened = replay_lib.SeededReplay(tmp_path / 'own', 0, minlen=4, maxlen=4)
  assert not opened.unreadable and len(opened.loaded) == 2
  assert next(opened.batches(50, 4))['height'].dtype == np.float32


def test_episodes_that_are_too_short_are_noted_without_a_word(replay, capsys):
  replay.add_episode(episode(3))
  assert replay.short == [3] and replay.stats['total_episodes'] == 3
  assert capsys.readouterr() == ('', '')
