"""DMControl environments, wrapped as upstream's training script wraps them."""

import contextlib
import difflib
import functools
import io
import logging
import os
import subprocess
import sys

import numpy as np

from patches import mujoco_gl

from . import perturbations
from . import rendering
from . import upstream_envs
from . import workers
from .errors import UsageError

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
    task: str, `dmc_<domain>_<task>`, `dmc_manip_<task>` or
      `dmc_locom_<task>`.

  Raises:
    UsageError: if there is no such task; names those that are closest.
  """
  if task in _tasks():
    return
  close = difflib.get_close_matches(task, _tasks())
  hint = f'Closest: {", ".join(close)}.' if close else (
      'Tasks are named dmc_<domain>_<task>, for example dmc_walker_walk.')
  raise UsageError(f'Unknown task {task!r}. {hint}')


def make_env(
    task, action_repeat, render_size, camera, time_limit, seed, rotate=None):
  """Builds one environment in this process.

  Args:
    task: str, see `check_task`.
    action_repeat: int, environment steps per action.
    render_size: pair of ints, height and width of the image.
    camera: int, -1 for upstream's choice.
    time_limit: int, agent steps per episode at most; 0 for the task's limit.
    seed: int, for the task's initial states and the rotation's angles.
    rotate: dict with `degrees`, `per` and `fill`, see
      `perturbations.RotatedFrames`; None for frames as they are rendered.

  Returns:
    Upstream's wrapped environment, with a `close` method.

  Raises:
    UsageError: if upstream cannot handle the task's observations.
  """
  with _quiet(), mujoco_gl.kept():
    dmc = upstream_envs.DMC(
        task.split('_', 1)[1], action_repeat, tuple(render_size), camera)
  try:
    _ = dmc.obs_space
  except NotImplementedError as error:
    raise UsageError(
        f"Task '{task}' is not supported by dreamerv2: it has observations of "
        f'dtype {error}.') from None
  inner = dmc._env  # Upstream seeds nothing, and offers no way to.
  composer = hasattr(inner, 'random_state')
  (inner.random_state if composer else inner.task.random).seed(seed)
  env = upstream_envs.NormalizeAction(dmc)
  env = upstream_envs.TimeLimit(env, time_limit)
  env.close = lambda: inner.physics.free()
  if rotate is not None:
    env = perturbations.RotatedFrames(env, **rotate, seed=[seed, 1])
  return env


def make_envs(config, mode, count, seed, rotate=None):
  """Builds the environments of a training or an evaluation.

  Where it is not safe to render in this process (`rendering`), they live in
  processes of their own, whatever `config.envs_parallel` says.

  Args:
    config: has upstream's keys `task`, `action_repeat`, `render_size`,
      `dmc_camera`, `time_limit` and `envs_parallel` as attributes.
    mode: str, `train` or `eval`; their seeds differ.
    count: int, number of environments; their seeds differ.
    seed: int, the run's seed.
    rotate: None or dict, see `make_env`; only outside of training.

  Returns:
    list of `count` environments, to be closed by their `close`.

  Raises:
    UsageError: if the task, the rotation or `envs_parallel` is not valid, or
      nothing can render here.
  """
  if config.envs_parallel not in PARALLEL:
    raise UsageError(
        f'envs_parallel is {config.envs_parallel!r}, but must be none, thread '
        f'or process.')
  if rotate is not None:
    if mode == 'train':
      raise ValueError('Training must not see rotated frames.')
    perturbations.check_rotation(**rotate)
    rotate = dict(rotate)
  check_task(config.task)
  rendering.choose_backend()
  safe = rendering.in_process_is_safe()
  parallel = config.envs_parallel if safe else 'process'
  sequence = np.random.SeedSequence([abs(int(seed)), *mode.encode()])
  envs = []
  try:
    for number in sequence.generate_state(count):
      make = functools.partial(
          make_env, config.task, config.action_repeat, config.render_size,
          config.dmc_camera, config.time_limit, int(number), rotate)
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
