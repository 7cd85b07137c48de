"""Upstream's Atari wrapper is written against gym's Atari environment.

Broken: `Atari.__init__` imports `gym.envs.atari` and `gym.wrappers`; they took
the observation `image`, and returned no `info` from `reset` and four values
from `step`.
Since: gym 0.20 (2021), which left the environment to ale-py.
Repairs: within the context these names mean ale-py's environment and
Gymnasium's preprocessing, in the old interface.
Can go: when upstream uses ale-py and Gymnasium.
"""

import contextlib
import sys
import types


@contextlib.contextmanager
def available():
  """Context in which upstream's `Atari` can be built.

  Raises:
    ImportError: without ale-py.
  """
  import ale_py.env
  import gymnasium

  # It prints its name otherwise.
  ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)

  class AtariEnv(ale_py.env.AtariEnv):

    def __init__(self, obs_type, **kwargs):
      assert obs_type == 'image', obs_type
      super().__init__(obs_type='rgb', **kwargs)

    def _get_ram(self):
      return self.ale.getRAM()

  class AtariPreprocessing(gymnasium.wrappers.AtariPreprocessing):

    def reset(self, **kwargs):
      return super().reset(**kwargs)[0]

    def step(self, action):
      obs, reward, terminated, truncated, info = super().step(action)
      return obs, reward, terminated or truncated, info

  atari = types.SimpleNamespace(AtariEnv=AtariEnv)
  envs = types.SimpleNamespace(
      atari=atari, registration=gymnasium.envs.registration)
  wrappers = types.SimpleNamespace(AtariPreprocessing=AtariPreprocessing)
  names: dict = {
      'gym': types.SimpleNamespace(envs=envs, wrappers=wrappers),
      'gym.envs': envs, 'gym.envs.atari': atari, 'gym.wrappers': wrappers}
  before = {k: sys.modules[k] for k in names if k in sys.modules}
  sys.modules.update(names)
  try:
    yield
  finally:
    for name in names:
      del sys.modules[name]
    sys.modules.update(before)
