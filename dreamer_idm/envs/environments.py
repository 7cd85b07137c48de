"""Environments, wrapped as upstream's training script wraps them.

`dmc_<domain>_<task>` is DMControl, `gym_<id>` Gymnasium.
"""

import contextlib
import difflib
import functools
import io
import logging
import os
import re
import subprocess
import sys
import weakref

import numpy as np

from ..config import rules
from ..errors import UsageError
from ..patches import mujoco_gl
from ..upstream import envs as upstream_envs
from . import gymnasium_env
from . import perturbations
from . import rendering
from . import workers

PARALLEL = ('none', 'thread', 'process')

# In a process of its own, since importing dm_control settles its rendering
# backend. Upstream splits names at the first underscore and knows one domain
# of several words, ball_in_cup, which leaves out point_mass and humanoid_CMU.
_LIST_TASKS = """
import inspect
from dm_control import manipulation, suite
from dm_control.locomotion.examples import basic_rodent_2020 as rodents
for domain, task in suite.ALL_TASKS:
  domain = 'cup' if domain == 'ball_in_cup' else domain
  if '_' not in domain:
    print(f'dmc_{domain}_{task}')
for name in manipulation.ALL:
  if name.endswith('_vision'):
    print('dmc_manip_' + name[:-len('_vision')])
for name, function in inspect.getmembers(rodents, inspect.isfunction):
  if function.__module__ == rodents.__name__:
    print(f'dmc_locom_{name}')
"""


@functools.lru_cache(None)
def _tasks():
  listing = subprocess.run(
      [sys.executable, '-c', _LIST_TASKS],
      env={**os.environ, 'MUJOCO_GL': 'disabled'}, stdin=subprocess.DEVNULL,
      capture_output=True, text=True, check=False)
  if listing.returncode:
    raise RuntimeError(f'dm_control does not import:\n{listing.stderr}')
  return listing.stdout.split()


def check_task(task):
  """Checks that a task exists under its name in upstream.

  Args:
    task: str, `dmc_<domain>_<task>`, `dmc_manip_<task>`,
      `dmc_locom_<task>` or `gym_<Gymnasium's id>`.

  Raises:
    UsageError: if there is no such task; names those that are closest.
  """
  if task.startswith('gym_'):
    gymnasium_env.check(task[len('gym_'):])
    return
  if task in _tasks():
    return
  close = difflib.get_close_matches(task, _tasks())
  hint = f'Closest: {", ".join(close)}.' if close else (
      'Tasks are named dmc_<domain>_<task>, for example dmc_walker_walk, or '
      'gym_<id>.')
  raise UsageError(f'Unknown task {task!r}. {hint}')


def renders(config):
  """Whether frames are rendered: only if an agent reads or predicts them.

  Args:
    config: upstream's Config.

  Returns:
    bool. Always True of DMControl's tasks whose observations are images
    themselves.
  """
  return config.task.startswith(('dmc_manip_', 'dmc_locom_')) or any(
      re.match(x.cnn_keys, 'image') for x in (config.encoder, config.decoder))


def reads_images(config, obs_space):
  """Whether the agent's encoder takes images, of whatever name.

  Args:
    config: upstream's Config.
    obs_space: dict of gymnasium spaces.

  Returns:
    bool.
  """
  return any(
      len(v.shape) == 3 and re.match(config.encoder.cnn_keys, k)
      for k, v in obs_space.items())


def check_observations(config, obs_space):
  """Checks that the agent's encoder and decoder find something.

  A decoder whose patterns match nothing is left out on purpose, unless the
  world model is to learn from it.

  Args:
    config: upstream's Config.
    obs_space: dict of gymnasium spaces.

  Raises:
    UsageError: if one of them does not; names the observations.
  """
  names = {
      k: len(v.shape) for k, v in obs_space.items()
      if k not in ('reward', 'is_first', 'is_last', 'is_terminal')}
  listed = ', '.join(f'{k} {obs_space[k].shape}' for k in names)
  unused = 'decoder' not in config.grad_heads
  without = unused and rules.decodes_nothing(config)
  for part in ('encoder',) if without else ('encoder', 'decoder'):
    keys = getattr(config, part)
    if not any(
        re.match({1: keys.mlp_keys, 3: keys.cnn_keys}.get(dims, '$^'), name)
        for name, dims in names.items()):
      raise UsageError(
          f'no observation of {config.task} ({listed}) goes into the {part}: '
          f'--{part}.cnn_keys is {keys.cnn_keys!r} and --{part}.mlp_keys is '
          f'{keys.mlp_keys!r}; --configs cpu_proprio takes vectors')


def make_env(
    task, action_repeat, render_size, camera, time_limit, seed, perturb=None,
    images=True, shadows=True):
  """Builds one environment in this process.

  Args:
    task: str, see `check_task`.
    action_repeat: int, environment steps per action.
    render_size: pair of ints, height and width of the image.
    camera: int, -1 for upstream's choice.
    time_limit: int, agent steps per episode at most; 0 for the task's limit.
    seed: int, for the task's initial states and the perturbation.
    perturb: dict with `kind`, `strength`, `per` and `fill`, see
      `perturbations.Perturbed`; None for observations as they are.
    images: bool, whether to render.
    shadows: bool, whether the tasks of dm_control's suite render shadows and
      reflections, which take two thirds of the time without a GPU.

  Returns:
    Upstream's wrapped environment, with a `close` method.

  Raises:
    UsageError: if upstream cannot handle the task's observations.
  """
  with _quiet():
    make = _make_gym if task.startswith('gym_') else _make_dmc
    env = make(task, action_repeat, render_size, camera, seed, images, shadows)
  env = upstream_envs.TimeLimit(env, time_limit)
  if perturb is not None:
    env = perturbations.Perturbed(env, **perturb, seed=[seed, 1])
  return env


def _make_gym(task, action_repeat, render_size, camera, seed, images, shadows):
  return gymnasium_env.make(
      task.split('_', 1)[1], action_repeat, render_size, seed, images)


def _make_dmc(task, action_repeat, render_size, camera, seed, images, shadows):
  make = upstream_envs.DMC if images else _VectorDMC
  with mujoco_gl.kept():
    dmc = make(task.split('_', 1)[1], action_repeat, tuple(render_size), camera)
  try:
    _ = dmc.obs_space
  except NotImplementedError as error:
    raise UsageError(
        f"Task '{task}' is not supported by dreamerv2: it has observations of "
        f'dtype {error}.') from None
  inner = dmc._env  # Upstream seeds nothing, and offers no way to.
  composer = hasattr(inner, 'random_state')
  if images and not composer:
    # A proxy, for a cycle would leave the rendering context to the garbage
    # collector, which may run in another thread than the context's.
    inner.physics.render = functools.partial(
        _render, weakref.proxy(inner.physics), {}, None if shadows else {
            'shadow': False, 'reflection': False})
  (inner.random_state if composer else inner.task.random).seed(seed)
  env = upstream_envs.NormalizeAction(dmc)
  env.close = lambda: inner.physics.free()
  return env


def _render(physics, cameras, flags, height, width, camera_id):
  # As `physics.render`, which makes a camera for every image: a third of the
  # time of a small one.
  from dm_control.mujoco import engine
  which = height, width, camera_id
  if which not in cameras:
    cameras[which] = engine.Camera(physics, *which)
  return cameras[which].render(render_flag_overrides=flags).copy()


class _VectorDMC(upstream_envs.DMC):
  """Upstream's DMC for agents that look at no image: it renders none."""

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self._env.physics.render = lambda *args, **kwargs: None

  @property
  def obs_space(self):
    return _without_image(super().obs_space)

  def reset(self):
    return _without_image(super().reset())

  def step(self, action):
    return _without_image(super().step(action))


def _without_image(values):
  return {k: v for k, v in values.items() if k != 'image'}


def make_envs(config, mode, count, seed, perturb=None):
  """Builds the environments of a training or an evaluation.

  Where it is not safe to render in this process (`rendering`), they live in
  processes of their own, whatever `config.envs_parallel` says.

  Args:
    config: upstream's Config.
    mode: str, `train` or `eval`; their seeds differ.
    count: int, number of environments; their seeds differ.
    seed: int, the run's seed.
    perturb: None or dict, see `make_env`; only outside of training.

  Returns:
    list of `count` environments, to be closed by their `close`.

  Raises:
    UsageError: if the task, the perturbation or `envs_parallel` is not valid,
      or images are needed and nothing can render here.
    ValueError: if training environments are to be perturbed.
  """
  if config.envs_parallel not in PARALLEL:
    raise UsageError(
        f'envs_parallel is {config.envs_parallel!r}, but must be none, thread '
        f'or process.')
  if perturb is not None:
    if mode == 'train':
      raise ValueError('Training must not see perturbed observations.')
    perturb = perturbations.check(**perturb)
  check_task(config.task)
  images = renders(config)
  rendering.choose_backend(required=images)
  safe = rendering.in_process_is_safe()
  parallel = config.envs_parallel if safe else 'process'
  sequence = np.random.SeedSequence([abs(int(seed)), *mode.encode()])
  envs = []
  try:
    for number in sequence.generate_state(count):
      make = functools.partial(
          make_env, config.task, config.action_repeat, config.render_size,
          config.dmc_camera, config.time_limit, int(number), perturb, images,
          config.shadows)
      envs.append(
          make() if parallel == 'none' else workers.Worker(make, parallel))
  except BaseException:
    for env in envs:
      env.close()
    raise
  return envs


@contextlib.contextmanager
def _quiet():
  # Upstream prints the keys it ignores, dm_control warns about its own models.
  absl = logging.getLogger('absl')
  before, absl.disabled = absl.disabled, True
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    absl.disabled = before
