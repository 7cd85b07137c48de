"""Each patch: what breaks without it, and that it works with it.

Importing TensorFlow takes seconds, so that most of it is seen in three
processes: one without any patch (`bare`), one that is patched step by step
(`patched`) and a user's own program (`program`). Every line of their output is
a JSON pair of a name and what was found.
"""

import importlib.util
import io
import json
import os
import sys
import types

import numpy as np
import pytest
from conftest import run_script
from dreamer_idm.patches import gif
from dreamer_idm.patches import mujoco_gl
from dreamer_idm.patches import ruamel_yaml
from PIL import Image

from dreamer_idm.upstream import path as upstream_path

linux = pytest.mark.skipif(sys.platform != 'linux', reason='Linux only')

SCRIPT = """
import contextlib
import ctypes
import importlib.util
import io
import json
import logging
import sys

def tell(name, found):
  print(json.dumps([name, found]), flush=True)

def attempt(name, function):
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      function()
    tell(name, 'works')
  except (Exception, SystemExit) as error:
    tell(name, f'{type(error).__name__}: {error}')

def import_common():
  # Anew, whatever an attempt before has left behind.
  found = importlib.util.find_spec('dreamerv2')
  sys.path.insert(0, found.submodule_search_locations[0])
  for name in [x for x in sys.modules if x.split('.')[0] == 'common']:
    del sys.modules[name]
  import common
  return common

def symbols_are_global():
  return hasattr(ctypes.CDLL(None), 'TF_Version')
"""

# All that can be patched afterwards is, save Keras.
BARE = SCRIPT + """
import tensorflow as tf
tell('symbols', symbols_are_global())
tell('rnn cell', hasattr(tf.keras.layers, 'AbstractRNNCell'))

def import_dreamer_idm():
  import dreamer_idm.perturbations  # Which have nothing to do with Keras.
  from dreamer_idm import ExtendedAgent

attempt('dreamer_idm', import_dreamer_idm)
# As a package of its own, for dreamer_idm's agents cannot be imported now.
import patches
from patches import gym_module
from patches import keras2
keras2.apply = lambda: None
patches.before_upstream()
with gym_module.available():
  attempt('common', import_common)
"""

# Every patch is missing once, while all that upstream needs up to there are in.
PATCHED = SCRIPT + """
import pathlib
from dreamer_idm.patches import adam
from dreamer_idm.patches import gym_module
from dreamer_idm.patches import mixed_precision
from dreamer_idm.patches import ruamel_yaml
from dreamer_idm.patches import trunc_normal
import dreamer_idm
import tensorflow as tf
tell('symbols', symbols_are_global())
tell('rnn cell', hasattr(tf.keras.layers, 'AbstractRNNCell'))

with gym_module.available():
  attempt('without mixed_precision', import_common)
mixed_precision.apply()
attempt('without gym_module', import_common)
with gym_module.available():
  tell('gym is', sys.modules['gym'].__name__)
  attempt('with both', import_common)
  common = import_common()
tell('gym is left', 'gym' in sys.modules)

path = pathlib.Path(__file__).with_name('config.yaml')
save = lambda: common.Config({'a': {'b': 1.5}, 'c': ('x',)}).save(path)
load = lambda: common.Config.load(path)
attempt('save without ruamel_yaml', save)
attempt('load without ruamel_yaml', load)
ruamel_yaml.apply()
attempt('save', save)
tell('loaded', load())

class Weight(common.Module):
  def __init__(self):
    self.value = tf.Variable(2.0)

def update():
  # Kinds of operations in the graph of one update, and the new weight.
  weight = Weight()
  with contextlib.redirect_stdout(io.StringIO()):
    optimizer = common.Optimizer('test', lr=0.1, clip=100, wd=0.0)

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      loss = weight.value ** 2
    return optimizer(tape, loss, weight)

  with contextlib.redirect_stdout(io.StringIO()):
    step()
    graph = step.get_concrete_function().graph
  kinds = [x.type for x in graph.get_operations()]
  return kinds, float(weight.value), len(optimizer.variables)

tell('update without adam', update())
adam.apply(common)
adam.apply(common)
tell('update', update())
tell('others see', [
    tf.optimizers.Adam is tf.keras.optimizers.legacy.Adam,
    common.tfutils.tf.optimizers.Adam is tf.keras.optimizers.legacy.Adam,
    common.tfutils.tf.function is tf.function])

def truncated_normal():
  # What is logged, and the mean and shape of a batch.
  heard = io.StringIO()
  logger, handler = logging.getLogger(), logging.StreamHandler(heard)
  logger.addHandler(handler)
  dist = common.dists.TruncNormalDist(
      tf.constant([-0.5, 0.0]), tf.ones(2), -1, 1)
  shape = dist.batch_shape.as_list()
  logger.removeHandler(handler)
  return heard.getvalue(), shape, float(dist.mean()[1])

tell('noise without trunc_normal', truncated_normal())
trunc_normal.apply(common)
tell('truncated normal', truncated_normal())
"""

# A user's own program, with TensorFlow first and a module in the way.
PROGRAM = SCRIPT + """
import tensorflow
import common
before = list(sys.path)

def import_agent():
  from dreamer_idm import ExtendedAgent

attempt('common in the way', import_agent)
del sys.modules['common']
attempt('out of the way', import_agent)
# Others add to the path as well: setuptools, which tensorflow-probability uses.
tell('path', [x for x in sys.path if x not in before and 'dreamerv2' in x])

import dreamerv2.api as api
from dreamer_idm import ExtendedAgent
from dreamer_idm import upstream
tell('same', [
    api.agent is upstream.agent, api.common is upstream.common,
    upstream.expl.agent is upstream.agent,
    issubclass(ExtendedAgent, api.agent.Agent), isinstance(
        api.defaults, upstream.common.Config)])
"""


def found(process):
  assert process.returncode == 0, process.stdout + process.stderr
  return dict(map(json.loads, process.stdout.splitlines()))


@pytest.fixture(scope='module')
def bare(tmp_path_factory):
  process = run_script(
      tmp_path_factory.mktemp('bare'), BARE, TF_USE_LEGACY_KERAS=None,
      TF_CPP_MIN_LOG_LEVEL=None)
  return found(process)


@pytest.fixture(scope='module')
def patched(tmp_path_factory):
  process = run_script(
      tmp_path_factory.mktemp('patched'), PATCHED, TF_USE_LEGACY_KERAS='0',
      TF_CPP_MIN_LOG_LEVEL=None)
  return {**found(process), 'stderr': process.stderr}


@pytest.fixture(scope='module')
def program(tmp_path_factory):
  folder = tmp_path_factory.mktemp('program')
  (folder / 'common.py').write_text('')
  return found(run_script(folder, PROGRAM, TF_USE_LEGACY_KERAS='1'))


@pytest.fixture(scope='module')
def upstream():
  from dreamer_idm import upstream
  return upstream


@pytest.fixture
def unpatched():
  """Loads one file of upstream's `common` as it is on disk."""
  def load(name):
    path = upstream_path.directory() / 'common' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'unpatched_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
  return load


# Before TensorFlow.


@linux
def test_dlopen_keeps_the_symbols_local(bare, patched):
  """The crash itself is in test_rendering.py."""
  assert bare['symbols'] is True
  assert patched['symbols'] is False


def test_keras2_is_what_upstream_is_written_for(bare, patched):
  assert bare['rnn cell'] is False
  assert "no attribute 'AbstractRNNCell'" in bare['common']
  assert patched['rnn cell'] is True  # In spite of TF_USE_LEGACY_KERAS=0.


def test_keras3_already_in_use_is_an_error_that_says_what_to_do(bare):
  message = bare['dreamer_idm']
  assert message.startswith('ImportError: dreamer_idm needs Keras 2')
  assert 'import dreamer_idm before tensorflow' in message
  assert 'TF_USE_LEGACY_KERAS=1' in message


def test_tensorflow_first_works_or_says_what_to_do(tmp_path):
  """Its Keras untouched, but TF_USE_LEGACY_KERAS not set in time."""
  done = run_script(
      tmp_path, 'import tensorflow\nfrom dreamer_idm import ExtendedAgent',
      TF_USE_LEGACY_KERAS=None)
  if done.returncode:
    *_, last = done.stderr.splitlines()
    assert last.startswith('ImportError: dreamer_idm needs Keras 2'), last


# Stands for TensorFlow, whose lines depend on the machine.
NOISY = """
import os
import types
os.write(2, b'noise of the C++ parts\\n')
if os.environ.get('FAILS'):
  raise ImportError('half installed')
config = types.SimpleNamespace(
    list_physical_devices=lambda kind: os.write(2, b'no GPU\\n'))
"""


@pytest.mark.parametrize('fails', [None, '1'])
def test_startup_noise_is_shown_only_if_the_import_fails(tmp_path, fails):
  (tmp_path / 'tensorflow.py').write_text(NOISY)
  silent = run_script(
      tmp_path, 'import dreamer_idm, os, tensorflow\nos.write(2, b"later")',
      FAILS=fails)
  loud = run_script(tmp_path, 'import tensorflow', FAILS=fails)
  assert loud.stderr.startswith('noise of the C++ parts\n')
  if fails:
    assert silent.stderr.startswith('noise of the C++ parts\n')
    assert 'ImportError: half installed' in silent.stderr
  else:
    assert (silent.returncode, silent.stderr) == (0, 'later')


def test_tensorflow_says_nothing(patched):
  assert patched['stderr'] == ''


def test_the_package_alone_is_light_and_its_hooks_are_installed_once(tmp_path):
  done = run_script(tmp_path, """
import sys
import dreamer_idm
from dreamer_idm import patches
patches.before_tensorflow()
print([x for x in sys.modules if x in (
    'tensorflow', 'keras', 'tf_keras', 'numpy', 'dm_control', 'common')])
print(sorted(type(x).__name__ for x in sys.meta_path if 'patches' in
             type(x).__module__))
try:
  dreamer_idm.nothing
except AttributeError as error:
  print(error)
""")
  assert done.stdout.splitlines() == [
      '[]', "['_LocalSymbols', '_Quietly']",
      "dreamer_idm has no 'nothing'."], done.stderr


# Before upstream.


def test_mixed_precision_has_its_old_name(patched):
  missing = patched['without mixed_precision']
  assert missing.startswith(('ImportError', 'ModuleNotFoundError'))
  assert 'experimental' in missing
  assert patched['with both'] == 'works'


def test_gym_is_gymnasium_while_upstream_is_imported(patched):
  if importlib.util.find_spec('gym'):
    pytest.skip('gym is installed here.')
  assert patched['without gym_module'] == (
      "ModuleNotFoundError: No module named 'gym'")
  assert patched['with both'] == 'works'
  assert patched['gym is'] == 'gymnasium'
  assert patched['gym is left'] is False


@pytest.mark.parametrize('name', ['save', 'load'])
def test_ruamel_yaml_saves_and_loads_configs(patched, name):
  missing = patched[f'{name} without ruamel_yaml']
  assert missing.startswith(('AttributeError', 'SystemExit')), missing
  assert patched['save'] == 'works'
  assert patched['loaded'] == {'a': {'b': 1.5}, 'c': ['x']}


def test_ruamel_yaml_functions_do_as_the_old_ones():
  data = {'a': [1, 2.5, 'x'], 'b': {'c': True, 'd': None}}
  stream = io.StringIO()
  assert ruamel_yaml.safe_dump(data, stream) is None
  assert ruamel_yaml.safe_dump(data) == stream.getvalue()
  assert ruamel_yaml.safe_load(stream.getvalue()) == data
  assert ruamel_yaml.safe_load(stream.getvalue().encode()) == data
  with pytest.raises(Exception, match='could not determine a constructor'):
    ruamel_yaml.safe_load('!!python/object/apply:os.getcwd []')


# After upstream.


def test_adam_is_one_operation(patched):
  """Without the patch upstream trains too, by many small operations."""
  many, slow, _ = patched['update without adam']
  few, fast, variables = patched['update']
  assert 'ResourceApplyAdam' not in many
  assert few.count('ResourceApplyAdam') == 1
  assert len(few) < len(many)
  assert fast == pytest.approx(slow, rel=1e-5) == pytest.approx(1.9, rel=1e-3)
  assert variables == 3  # Two moments and the count of steps.
  assert patched['others see'] == [False, True, True]


def test_trunc_normal_is_described_by_what_it_inherits(patched):
  warning, *before = patched['noise without trunc_normal']
  silence, *after = patched['truncated normal']
  assert 'TruncNormalDist' in warning and '_parameter_properties' in warning
  assert silence == ''
  assert after == before == [[2], 0.0]


def episode(steps):
  shape = (steps + 1,)  # The reset's observation comes before the steps.
  return {
      'action': np.zeros((*shape, 2), np.float32),
      'reward': np.arange(steps + 1, dtype=np.float32)}


def test_episode_count_is_exact_when_a_run_is_resumed(
    tmp_path, upstream, unpatched):
  replay = upstream.common.Replay(tmp_path / 'a-b')
  for steps in (7, 12):
    replay.add_episode(episode(steps))
  assert replay.stats['total_steps'] == 19
  resumed = upstream.common.Replay(tmp_path / 'a-b')
  assert resumed.stats == replay.stats
  assert resumed.stats['loaded_steps'] == 19
  forgetful = unpatched('replay').Replay(tmp_path / 'a-b')
  assert forgetful.stats['total_steps'] == 17
  assert forgetful.stats['total_episodes'] == 2


@pytest.fixture
def video():
  """uint8 [T, H, W, C], of so few colours that a GIF stores them exactly."""
  frames = np.zeros((3, 8, 12, 3), np.uint8)
  for index in range(3):
    frames[index, :, 4 * index:4 * index + 4, [0, index]] = 255
  return frames


# As far as it matters here, ffmpeg since 7.0.
FFMPEG = """#!/bin/sh
cat > /dev/null
case "$*" in *fifo*) echo "No such filter: 'fifo'" >&2; exit 8;; esac
"""


def test_gif_needs_no_ffmpeg(
    tmp_path, monkeypatch, upstream, unpatched, video):
  logger = unpatched('logger')
  monkeypatch.setenv('PATH', str(tmp_path))
  with pytest.raises(FileNotFoundError, match='ffmpeg'):
    logger.encode_gif(video, 20)
  monkeypatch.undo()
  (tmp_path / 'ffmpeg').write_text(FFMPEG)
  (tmp_path / 'ffmpeg').chmod(0o755)
  monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
  with pytest.raises(OSError, match="No such filter: 'fifo'"):
    logger.encode_gif(video, 20)
  assert upstream.common.logger.encode_gif is gif.encode_gif


@pytest.mark.parametrize('channels', [1, 3])
def test_gif_holds_the_frames_it_was_given(video, channels):
  video = video[..., :channels]
  with Image.open(io.BytesIO(gif.encode_gif(video, 20))) as image:
    assert image.n_frames == 3 and image.info['loop'] == 0
    assert image.info['duration'] == 50
    for index, frame in enumerate(video):
      image.seek(index)
      shown = np.array(image.convert('RGB'))
      np.testing.assert_array_equal(shown, np.broadcast_to(frame, shown.shape))


def test_gif_comes_near_the_frames_of_many_colours():
  ramp = np.linspace(0, 255, 64).astype(np.uint8)
  video = np.stack([np.stack(np.meshgrid(
      ramp, ramp // 2 + 9 * index), -1) for index in range(5)])
  video = np.concatenate([video, video[..., :1] // 3], -1)
  with Image.open(io.BytesIO(gif.encode_gif(video, 20))) as image:
    for index, frame in enumerate(video):
      image.seek(index)
      shown = np.array(image.convert('RGB')).astype(int)
      assert 0 < np.abs(shown - frame).mean() < 8


# Around the environments.


@pytest.mark.parametrize('before', [None, 'osmesa'])
def test_mujoco_gl_is_put_back(monkeypatch, before):
  """What upstream does to it without the patch is in test_environments.py."""
  monkeypatch.setitem(
      sys.modules, 'dm_control._render', types.ModuleType('x'))
  monkeypatch.setenv('MUJOCO_GL', 'x')
  if before is None:
    monkeypatch.delenv('MUJOCO_GL')
  else:
    monkeypatch.setenv('MUJOCO_GL', before)
  with pytest.raises(RuntimeError), mujoco_gl.kept():
    os.environ['MUJOCO_GL'] = 'egl'
    raise RuntimeError
  assert os.environ.get('MUJOCO_GL') == before


# The door to upstream.


def test_a_foreign_module_in_the_way_is_named(program):
  message = program['common in the way']
  assert message.startswith("ImportError: dreamerv2 imports its own 'common'")
  assert 'common.py' in message and 'import dreamer_idm first' in message
  assert program['out of the way'] == 'works'
  assert program['path'] == []  # Upstream's folder is there no longer.


def test_upstreams_api_uses_the_same_classes(program):
  assert program['same'] == [True] * 5


def test_parts_are_others_only_within_the_context(upstream):
  agent, common = upstream.agent, upstream.common
  before = agent.WorldModel, common.Decoder
  with pytest.raises(RuntimeError):
    with upstream.parts(WorldModel=int, Decoder=str):
      assert (agent.WorldModel, common.Decoder) == (int, str)
      raise RuntimeError
  assert (agent.WorldModel, common.Decoder) == before


def test_unknown_parts_change_nothing(upstream):
  before = upstream.agent.WorldModel
  with pytest.raises(AttributeError, match='WorldModle'):
    with upstream.parts(WorldModel=int, WorldModle=int):
      pass
  assert upstream.agent.WorldModel is before
  assert not hasattr(upstream.common, 'WorldModle')
