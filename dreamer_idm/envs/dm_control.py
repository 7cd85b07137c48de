"""dm_control's tasks, by upstream's wrapper."""

import contextlib
import functools
import logging
import math
import os
import subprocess
import sys
import weakref

import gymnasium
import numpy as np

from ..errors import UsageError
from ..patches import mujoco_gl
from ..upstream import envs as upstream_envs
from . import observations
from . import scene

# In a process of its own, since importing dm_control fixes its rendering
# backend. Upstream splits names at the first underscore and knows one domain
# of several words, ball_in_cup, which excludes point_mass and humanoid_CMU.
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
def tasks():
  """Lists the tasks that upstream's names can name: dmc_<domain>_<task>."""
  listing = subprocess.run(
      [sys.executable, '-c', _LIST_TASKS],
      env={**os.environ, 'MUJOCO_GL': 'disabled'}, stdin=subprocess.DEVNULL,
      capture_output=True, text=True, check=False)
  if listing.returncode:
    raise RuntimeError(f'dm_control does not import:\n{listing.stderr}')
  return listing.stdout.split()


def make(config, seed, images):
  """Builds an environment in upstream's interface.

  Args:
    config: upstream's Config.
    seed: int, for the task's initial states.
    images: bool, whether to render.

  Returns:
    upstream's environment, with a `close` method.

  Raises:
    UsageError: if upstream cannot handle the task's observations, if the
      frames are too large to be rendered, or if there is no such camera.
  """
  with _quiet(), mujoco_gl.kept():
    dmc = DMControl(
        config.task.split('_', 1)[1], config.action_repeat,
        tuple(config.render_size), config.dmc_camera)
  try:
    dmc.prepare(config.task, images)
  except NotImplementedError as error:
    raise UsageError(
        f"Task '{config.task}' is not supported by dreamerv2: it has "
        f'observations of dtype {error}.') from None
  inner = dmc._env  # Upstream seeds nothing, and offers no way to.
  composer = hasattr(inner, 'random_state')
  if not images:
    inner.physics.render = lambda *args, **kwargs: None
  elif not composer:
    _check_view(config, inner.physics.model)
    # A proxy, for a cycle would leave the rendering context to the garbage
    # collector, which may run in another thread than the context's.
    dmc.view = scene.View(
        inner.physics.model, inner.physics.data, dmc._camera,
        functools.partial(_upload, weakref.proxy(inner.physics)))
    inner.physics.render = functools.partial(
        _render, weakref.proxy(inner.physics), {},
        None if config.shadows else {'shadow': False, 'reflection': False},
        config.supersample, dmc.view)
  (inner.random_state if composer else inner.task.random).seed(seed)
  env = upstream_envs.NormalizeAction(dmc)
  env.close = lambda: inner.physics.free()
  return env


class DMControl(upstream_envs.DMC):
  """Upstream's DMC, with observations in the form that the agent takes.

  Upstream's encoder reads no scalars, such as the height of a walker.
  """

  view: scene.View  # Of the suite's tasks, if they are rendered.

  def prepare(self, task, images):
    """Settles how the task's observations are converted.

    Without `images` there is no `image`. Raises NotImplementedError if
    upstream does not know a dtype.
    """
    spaces = super().obs_space
    self._flags = {k: spaces.pop(k) for k in observations.FLAGS}
    if not images:
      del spaces['image']
    space = gymnasium.spaces.Dict(spaces)
    self._observations = observations.Observations(space, self._size, task)
    # Its own spaces: observations, actions, and whether `image` is missing.
    self.own_spaces = space, self.act_space['action'], False
    self.log_names = ()
    # Shapes such as [1, n] are usual in dm_control: not worth a note.
    self.notes, self.ignored = [], self._observations.ignored

  @property
  def obs_space(self):
    """dict of gymnasium spaces."""
    return {**self._observations.spaces, **self._flags}

  @property
  def limit(self):
    """Agent steps of an episode at most, None where nothing ends it."""
    steps = getattr(self._env, '_step_limit', None)
    if steps is None:  # dm_control.composer's.
      steps = self._env._time_limit / self._env.control_timestep()
    return math.ceil(steps / self._action_repeat) if np.isfinite(
        steps) else None

  def perturb_scene(self, perturbation):
    """Renders all frames from now on under a perturbation of the scene."""
    self.view.perturbation = perturbation

  def reset(self):
    """Begins an episode; returns its observation, a dict."""
    return self._converted(super().reset(), 'reset')

  def step(self, action):
    """Repeats an action; returns the last observation, a dict."""
    return self._converted(super().step(action), 'step')

  def _converted(self, obs, where):
    flags = {k: obs[k] for k in observations.FLAGS}
    return {**self._observations.convert(obs, where), **flags}


def _check_view(config, model):
  if config.dmc_camera >= model.ncam:
    raise UsageError(
        f'--dmc_camera {config.dmc_camera}: {config.task} has cameras 0 to '
        f"{model.ncam - 1}, and -1 is upstream's choice")
  height, width = (config.supersample * x for x in config.render_size)
  limits = model.vis.global_
  if height > limits.offheight or width > limits.offwidth:
    raise UsageError(
        f'{config.task} renders at most {limits.offheight}x{limits.offwidth} '
        'pixels, but --render_size and --supersample ask for '
        f'{height}x{width}: use a smaller one')


def _render(physics, cameras, flags, factor, view, height, width, camera_id):
  # As `physics.render`, which makes a new camera for every image: a third of
  # the time of a small one.
  from dm_control.mujoco import engine
  which = factor * height, factor * width, camera_id
  if which not in cameras:
    cameras[which] = engine.Camera(physics, *which)
  with view.perturbed():
    frame = cameras[which].render(render_flag_overrides=flags)
  if factor == 1:
    return frame.copy()
  pixels = frame.reshape(height, factor, width, factor, 3)
  return (pixels.mean((1, 3)) + 0.5).astype(np.uint8)


def _upload(physics, texture):
  import mujoco
  with physics.contexts.gl.make_current() as context:
    context.call(
        mujoco.mjr_uploadTexture, physics.model.ptr,
        physics.contexts.mujoco.ptr, texture)


@contextlib.contextmanager
def _quiet():
  # dm_control warns about its own models.
  absl = logging.getLogger('absl')
  before, absl.disabled = absl.disabled, True
  try:
    yield
  finally:
    absl.disabled = before
