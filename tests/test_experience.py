import json

import numpy as np
import pytest

from dreamer_idm import experience


def episode(length, value=0.0):
  return {
      'action': np.zeros((length + 1, 2), np.float32),
      'reward': np.arange(length + 1, dtype=np.float32) + value,
      'is_first': np.zeros(length + 1, bool)}


@pytest.fixture
def replay(tmp_path):
  replay = experience.SeededReplay(tmp_path, 0, minlen=4, maxlen=4)
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
      [replay.random_state, experience.plain_random_state(np.random)]))
  expected = [next(batches)['reward'] for _ in range(3)]
  replay.random_state = state[0]
  experience.set_random_state(np.random, state[1])
  again = replay.batches(3, 4)
  for value in expected:
    np.testing.assert_array_equal(next(again)['reward'], value)
  assert any(
      np.abs(next(again)['reward'] - x).max() > 0 for x in expected)


def test_the_order_of_the_episodes_is_kept(replay, tmp_path):
  order = replay.loaded[::-1]
  reopened = experience.SeededReplay(tmp_path, 0, minlen=4, maxlen=4)
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


def test_episodes_a_checkpoint_does_not_know_are_set_aside(replay, tmp_path):
  names = experience.names(tmp_path)
  assert len(names) == 3
  content = (tmp_path / names[2]).read_bytes()
  assert experience.set_aside(tmp_path, names[:2]) == 1
  assert experience.names(tmp_path) == names[:2]
  aside = tmp_path / (names[2] + '.after_checkpoint')
  assert aside.read_bytes() == content
  reopened = experience.SeededReplay(tmp_path, 0, minlen=4, maxlen=4)
  assert reopened.stats['total_episodes'] == 2
  assert reopened.stats['total_steps'] == 40
