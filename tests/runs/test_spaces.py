import gymnasium
import numpy as np
import pytest

from dreamer_idm.runs import spaces

KINDS = gymnasium.spaces
EACH = [
    KINDS.Box(-np.inf, np.inf, (3,), np.float32),
    KINDS.Box(np.array([-1, 0.1]), np.array([np.inf, 2.5]), dtype=np.float64),
    KINDS.Box(0, 255, (9, 8, 3), np.uint8), KINDS.Box(0, 1, (), bool),
    KINDS.Box(0, 1, (0,), np.float32),
    KINDS.Discrete(4, start=-2), KINDS.MultiDiscrete([2, 5]),
    KINDS.MultiBinary(3), KINDS.MultiBinary([2, 3])]


def spaces_with(observation):
  action = KINDS.Box(-2, 2, (1,), np.float32)
  return spaces.Spaces(
      observation, action, False, {'vector': EACH[0]}, EACH[1])


@pytest.mark.parametrize('space', [
    *EACH, KINDS.Dict({'b': EACH[2], 'a': KINDS.Dict({'inner': EACH[5]})}),
    KINDS.Tuple(EACH)], ids=str)
def test_what_is_written_is_read(tmp_path, space):
  written = spaces_with(space)
  spaces.write(tmp_path, written)
  found = spaces.read(tmp_path)
  assert found == written
  assert found.observation.dtype == space.dtype
  if isinstance(space, KINDS.Dict):
    assert list(found.observation.spaces) == list(space.spaces)


def test_discrete_actions_stay_known_by_their_number(tmp_path):
  spaces.write(tmp_path, spaces_with(EACH[0])._replace(
      agent_action=spaces.OneHot(3)))
  found = spaces.read(tmp_path).agent_action
  assert isinstance(found, spaces.OneHot)
  assert (found.n, found.shape) == (3, (3,))


def test_what_cannot_be_read_stays_something_that_is_not_read(tmp_path):
  spaces.write(tmp_path, spaces_with(KINDS.Dict({
      'text': KINDS.Text(5), 'graph': KINDS.Graph(EACH[0], None)})))
  found = spaces.read(tmp_path).observation
  assert {type(x) for x in found.spaces.values()} == {KINDS.Text}


def test_without_a_file_there_are_none(tmp_path):
  assert spaces.read(tmp_path) is None
