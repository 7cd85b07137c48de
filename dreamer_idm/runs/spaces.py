"""The spaces of a run's environment, as JSON: what loading its agent needs.

An agent that is loaded to act should not have to start the environment that it
was trained in, which may not even be installed there.
"""

import json
from typing import Any
from typing import NamedTuple

import gymnasium
import numpy as np

from . import files

NAME = 'spaces.json'


class Spaces(NamedTuple):
  """The spaces of an environment and of its agent.

  Attributes:
    observation: gymnasium space of the environment's own observations.
    action: gymnasium space of its own actions.
    rendered: bool, whether the agent's `image` was rendered, so that it is not
      among these observations.
    agent_observation: dict of the gymnasium spaces that the agent was built
      from.
    agent_action: gymnasium space of the actions that the agent chooses.
  """

  observation: Any
  action: Any
  rendered: bool
  agent_observation: dict
  agent_action: Any


class OneHot(gymnasium.spaces.Box):
  """Discrete actions in the form in which the agent chooses them.

  dreamerv2 tells them from continuous ones by the attribute `n`.
  """

  def __init__(self, n):
    """Makes the space of one-hot float32 [n]."""
    super().__init__(0, 1, (n,), np.float32)
    self.n = n


def write(folder, spaces):
  """Writes `spaces.json`.

  Args:
    folder: pathlib.Path of the run.
    spaces: Spaces.

  Raises:
    OSError: if it cannot be written.
  """
  text = json.dumps({
      **{k: _to_json(getattr(spaces, k))
         for k in ('observation', 'action', 'agent_action')},
      'agent_observation': {
          k: _to_json(v) for k, v in spaces.agent_observation.items()},
      'rendered': bool(spaces.rendered)}, indent=1)
  with files.replacing(folder / NAME) as path:
    path.write_text(text + '\n', encoding='utf-8')


def read(folder):
  """Reads `spaces.json`.

  Args:
    folder: pathlib.Path of the run.

  Returns:
    Spaces, or None if there is no such file.

  Raises:
    ValueError: if it is damaged.
  """
  try:
    found = json.loads((folder / NAME).read_text('utf-8'))
  except FileNotFoundError:
    return None
  return Spaces(
      _from_json(found['observation']), _from_json(found['action']),
      found['rendered'],
      {k: _from_json(v) for k, v in found['agent_observation'].items()},
      _from_json(found['agent_action']))


def _to_json(space):
  kinds = gymnasium.spaces
  if isinstance(space, kinds.Dict):
    return {'dict': [[k, _to_json(v)] for k, v in space.spaces.items()]}
  if isinstance(space, kinds.Tuple):
    return {'tuple': [_to_json(x) for x in space.spaces]}
  if isinstance(space, OneHot):
    return {'one_hot': space.n}
  if isinstance(space, kinds.Box):
    return {
        'box': list(space.shape), 'dtype': str(space.dtype),
        'low': _bound(space.low), 'high': _bound(space.high)}
  if isinstance(space, kinds.Discrete):
    return {'discrete': int(space.n), 'start': int(space.start)}
  if isinstance(space, kinds.MultiDiscrete):
    return {
        'multi_discrete': space.nvec.tolist(), 'start': space.start.tolist()}
  if isinstance(space, kinds.MultiBinary):
    return {'multi_binary': space.n}
  return {'other': str(space)}  # Which the agent does not read.


def _bound(array):
  # One number where all are the same: a bound of every pixel is long.
  same = array.size and (array == array.flat[0]).all()
  return array.flat[0].item() if same else array.tolist()


def _from_json(found):
  kinds = gymnasium.spaces
  if 'dict' in found:
    return kinds.Dict([(k, _from_json(v)) for k, v in found['dict']])
  if 'tuple' in found:
    return kinds.Tuple([_from_json(x) for x in found['tuple']])
  if 'box' in found:
    dtype = np.dtype(found['dtype'])
    low, high = (
        np.broadcast_to(np.array(found[x], dtype), found['box'])
        for x in ('low', 'high'))
    return kinds.Box(low, high, dtype=dtype.type)
  if 'one_hot' in found:
    return OneHot(found['one_hot'])
  if 'discrete' in found:
    return kinds.Discrete(found['discrete'], start=found['start'])
  if 'multi_discrete' in found:
    return kinds.MultiDiscrete(
        np.array(found['multi_discrete']), start=np.array(found['start']))
  if 'multi_binary' in found:
    return kinds.MultiBinary(found['multi_binary'])
  return kinds.Text(1)  # Stands for what is neither numbers nor images.
