"""Small agents and data for the tests; sizes that a laptop runs in moments."""

import contextlib
import fcntl
import io
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')
ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
# A job that a shell starts with `&` ignores Ctrl-C, and so do its children;
# with a handler here, the ones that tests interrupt do not.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)

import dreamer_idm  # noqa: E402, F401, comes before TensorFlow

SMALL = [
    '--render_size', '32', '32', '--encoder.cnn_kernels', '4', '4', '4',
    '--decoder.cnn_kernels', '5', '6', '6', '--.*\\.cnn_depth', '4',
    '--.*\\.mlp_layers', '16', '--rssm.deter', '12', '--rssm.hidden', '12',
    '--rssm.stoch', '5', '--reward_head.units', '16', '--actor.units', '16',
    '--critic.units', '16', '--idm.eva_head.units', '16',
    '--imag_horizon', '5', '--dataset.batch', '3', '--dataset.length', '9',
    '--replay.minlen', '9', '--replay.maxlen', '9']


# Runs that several files read: name -> presets.
RUNS = {
    'dreamer': ['cpu', 'debug'], 'idm': ['cpu', 'idm', 'debug'],
    'vector': ['cpu_proprio', 'idm', 'debug']}
BRIEF = [
    '--steps', '70', '--prefill', '60', '--pretrain', '1', '--time_limit', '60',
    '--eval_every', '1000', '--replay.minlen', '8', '--threads', '1',
    '--imag_horizon', '5']


# The files that take longest, which begin first: one that began last would
# leave the other workers idle.
LONGEST = [
    'training/test_faults.py', 'training/test_loop.py',
    'evaluation/test_commands.py', 'methods/test_methods.py',
    'evaluation/test_export.py', 'methods/test_extending.py', 'ab/test_ab.py',
    'agent/test_extended_agent.py', 'envs/test_environments.py']


def pytest_collection_modifyitems(items):
  """Puts the tests of `LONGEST` first, in its order."""
  places = {ROOT / 'tests' / x: i for i, x in enumerate(LONGEST)}
  items.sort(key=lambda item: places.get(item.path, len(places)))


def small_config(*flags, presets=('dmc', 'idm')):
  """Loads a configuration of tiny networks.

  Args:
    *flags: str, further command-line words.
    presets: names of presets.

  Returns:
    upstream's Config.
  """
  from dreamer_idm.config import load as config_lib
  return config_lib.load(['--configs', *presets, *SMALL, *map(str, flags)])


def chunk(batch=3, length=9, size=32, actions=2, seed=0):
  """Makes training data in the replay's format, with vectors beside images.

  Args:
    batch: int B.
    length: int L.
    size: int, image height and width.
    actions: int A.
    seed: int.

  Returns:
    dict of arrays [B, L, ...].
  """
  random = np.random.RandomState(seed)
  zeros = np.zeros((batch, length), bool)
  return dict(
      image=random.randint(0, 255, (batch, length, size, size, 3), np.uint8),
      position=random.normal(size=(batch, length, 4)).astype(np.float32),
      speed=random.normal(size=(batch, length, 3)).astype(np.float32),
      action=random.uniform(-1, 1, (batch, length, actions)).astype('f'),
      reward=random.uniform(0, 1, (batch, length)).astype(np.float32),
      is_first=zeros.copy(), is_last=zeros.copy(), is_terminal=zeros.copy())


def make_agent(config, upstreams=False, seed=0, actions=2):
  """Builds an agent for `chunk`'s data from a fixed seed.

  Its actions are discrete if its actor's are, `actor.dist onehot`.

  Args:
    config: upstream's Config.
    upstreams: bool, whether to build upstream's own class.
    seed: int.
    actions: int A.

  Returns:
    the agent.
  """
  import gymnasium
  import tensorflow as tf

  from dreamer_idm import upstream
  from dreamer_idm.agent import build
  from dreamer_idm.agent import extended_agent
  from dreamer_idm.runs import spaces
  tf.keras.utils.set_random_seed(seed)
  box = gymnasium.spaces.Box
  flag = box(0, 1, (), bool)
  obs_space = dict(
      image=box(0, 255, (32, 32, 3), np.uint8),
      position=box(-np.inf, np.inf, (4,), np.float32),
      speed=box(-np.inf, np.inf, (3,), np.float32),
      reward=box(-np.inf, np.inf, (), np.float32),
      is_first=flag, is_last=flag, is_terminal=flag)
  cls = upstream.agent.Agent if upstreams else extended_agent.ExtendedAgent
  act_space = spaces.OneHot(actions) if config.actor.dist == 'onehot' else box(
      -1, 1, (actions,), np.float32)
  with contextlib.redirect_stdout(io.StringIO()):
    built = cls(
        config, obs_space, {'action': act_space}, upstream.common.Counter(0))
    build.create_variables(built)
  return built


def trained(config, upstreams=False, steps=2):
  """Trains an agent on chunks of fixed seeds.

  Args:
    config: upstream's Config.
    upstreams: bool, whether to build upstream's own class.
    steps: int, updates.

  Returns:
    the agent, and a list of dicts of metrics, one for each update.
  """
  agent = make_agent(config, upstreams)
  state, history = agent.wm.rssm.initial(3), []
  for seed in range(steps):
    state, metrics = agent.train(chunk(seed=seed), state)
    history.append({k: np.array(v) for k, v in metrics.items()})
  return agent, history


def assert_equals_upstream(config, steps=2):
  """Asserts that training does what upstream's class does, bit for bit.

  Args:
    config: upstream's Config, with all that is ours switched off.
    steps: int, updates.
  """
  from dreamer_idm import upstream
  ours, losses = trained(config, steps=steps)
  theirs, expected = trained(config, upstreams=True, steps=steps)
  assert type(theirs) is upstream.agent.Agent is not type(ours)
  for mine, yours in zip(losses, expected, strict=True):
    assert mine.keys() == yours.keys()
    for key in yours:
      np.testing.assert_array_equal(mine[key], yours[key], key)
  for x, y in zip(ours.variables, theirs.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)


def part(agent, kind):
  """Finds an extension of an agent.

  Args:
    agent: ExtendedAgent.
    kind: subclass of Extension.

  Returns:
    the extension; there must be exactly one.
  """
  found, = [x for x in agent.wm.extensions if isinstance(x, kind)]
  return found


def run_script(path, text, timeout=900, **environ):
  """Runs a program of its own, with the project importable.

  Args:
    path: pathlib.Path of a folder for the script.
    text: str, Python.
    timeout: float, seconds.
    **environ: str to set or None to unset in the environment.

  Returns:
    subprocess.CompletedProcess, its output as text.
  """
  script = path / 'script.py'
  script.write_text(text)
  # dm_control sets the first once it renders in this process.
  env = {
      **os.environ, 'PYOPENGL_PLATFORM': None, 'PYTHONPATH': str(ROOT),
      'TF_CPP_MIN_LOG_LEVEL': '3', **environ}
  return subprocess.run(
      [sys.executable, str(script)], text=True, capture_output=True,
      env={k: v for k, v in env.items() if v is not None}, timeout=timeout,
      check=False)


@pytest.fixture
def eager():
  """Runs tf.functions eagerly: no tracing, and seeds that start over."""
  import tensorflow as tf
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


@pytest.fixture(scope='session')
def trained_run(tmp_path_factory):
  """Function of a name in RUNS that returns the folder of that run.

  Each is trained once, by whoever asks first, 280 environment steps of
  dmc_cheetah_run with twelve updates. All workers of xdist share it: copy it
  before you change it.
  """
  home = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    home = home.parent

  def find(name):
    folder = home / 'trained' / name
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f'{name}.lock').open('w') as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      if not (folder / 'learning_curve.png').exists():
        done = subprocess.run(
            [sys.executable, 'run.py', '--configs', *RUNS[name], *BRIEF,
             '--logdir', str(folder)], capture_output=True, text=True,
            timeout=900, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder
  return find
