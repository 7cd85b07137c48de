"""`load` of an exported agent: the policy alone, without its world model."""

import numpy as np

from ..config import load as config_lib
from ..runs import spaces
from . import evaluate_exported
from . import exported_model
from . import policy


class ExportedPolicy(policy.Policy):
  """Acts as `Policy` does, by a SavedModel; `agent` is None."""

  def __init__(self, folder):
    """Starts at the beginning of an episode.

    Args:
      folder: pathlib.Path that `export` wrote.

    Raises:
      UsageError: if something is missing in it.
    """
    self._facts = evaluate_exported.read(folder)
    self.config, self.agent = config_lib.saved(folder), None
    self.env_step = self._facts['env_step']
    self._act = exported_model.load(folder / 'saved_model')
    self._read(spaces.read(folder))
    self.reset()

  def _step(self, obs):
    interface = self._facts['interface']
    zeros = exported_model.zeros(interface)
    # The model acts in so many environments at once; the last may be unused.
    batch, count = interface['action'][0][0], len(self._first)
    if self._state is None:
      self._state = {
          k: np.zeros((count, *v.shape[1:]), v.dtype) for k, v in zeros.items()}
    for state in self._state.values():
      state[self._first] = 0
    actions, following = [], {k: v.copy() for k, v in self._state.items()}
    for start in range(0, count, batch):
      rows = np.minimum(np.arange(start, start + batch), count - 1)
      action, state = self._act(
          exported_model.observation(
              interface['observation'], {k: v[rows] for k, v in obs.items()}),
          {k: v[rows] for k, v in self._state.items()})
      used = min(batch, count - start)
      actions.append(action[:used])
      for key, value in state.items():
        following[key][start:start + used] = value[:used]
    self._state = following
    return np.concatenate(actions).astype(self.action_space.dtype)

  def _set_up(self):
    """Nothing: the precision is the model's own."""

  def _need_state(self):
    raise ValueError(
        'An exported agent has no critic and no world model: load its run.')
