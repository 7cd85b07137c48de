"""Which OpenGL backend renders, and whether this process may render at all.

dm_control reads `MUJOCO_GL` once, when it is first imported, and without it
takes the first backend that imports: on a machine without a display that is
one that cannot render. So the choice is made before, by rendering a frame.
"""

import functools
import os
import subprocess
import sys

from ..errors import UsageError
from ..patches import dlopen

PACKAGES = {
    'egl': 'libegl1 libegl-mesa0 libgl1-mesa-dri',
    'osmesa': 'libosmesa6',
}
# dm_control's other names for glfw, and for no rendering.
_GLFW = ('glfw', 'on', 'enable', 'enabled', 'true', '1')
_OFF = ('off', 'disable', 'disabled', 'false', '0')

_PROBE = """
from dm_control import mujoco
mujoco.Physics.from_xml_string('<mujoco/>').render(8, 8)
"""


def choose_backend(required=True):
  """Chooses the rendering backend and puts it into `MUJOCO_GL`.

  The user's `MUJOCO_GL` is only checked. Without one, the first backend that
  renders a frame is taken: EGL or OSMesa on Linux, glfw elsewhere.

  Args:
    required: bool; if False, nothing that renders means `disabled`.

  Returns:
    str, the value of `MUJOCO_GL`.

  Raises:
    UsageError: if the user's choice, or any choice, does not render.
  """
  wanted = os.environ.get('MUJOCO_GL')
  if wanted:
    if required or wanted not in _OFF:
      _check(wanted)
    return wanted
  names = ['egl', 'osmesa'] if sys.platform == 'linux' else ['glfw']
  if _imported():
    names.insert(0, _imported())
  reasons = {}
  for name in names:
    reasons[name] = _failure(name)
    if reasons[name] is None:
      os.environ['MUJOCO_GL'] = name
      return name
  if not required:
    os.environ['MUJOCO_GL'] = 'disabled'
    return 'disabled'
  tried = '; '.join(f'{k}: {v}' for k, v in reasons.items())
  advice = _unset(tried) or (
      f'install either EGL or OSMesa, on Debian or Ubuntu: apt-get install '
      f'{PACKAGES["egl"]}, or apt-get install {PACKAGES["osmesa"]}')
  raise UsageError(f'nothing here renders ({tried}): {advice}')


def _unset(reasons):
  # What to do if variables of the OpenGL libraries are the reason.
  found = [
      f'unset {x}, which is {os.environ[x]!r}'
      for x in ('PYOPENGL_PLATFORM', 'MUJOCO_EGL_DEVICE_ID')
      if os.environ.get(x) and x in reasons]
  return ' and '.join(found)


def in_process_is_safe():
  """Whether environments may render in this very process.

  Returns:
    False if TensorFlow's LLVM is in the way of Mesa's (see `patches.dlopen`;
    there, even importing dm_control ends in a crash), or if dm_control was
    imported before `choose_backend` and came up with another backend.
  """
  if sys.platform == 'linux' and dlopen.too_late():
    return False
  chosen = os.environ.get('MUJOCO_GL')
  return _imported() in (None, 'glfw' if chosen in _GLFW else chosen)


def _imported():
  # dm_control's backend, which is fixed once it is imported.
  module = sys.modules.get('dm_control._render')
  return getattr(module, 'BACKEND', None)


def _check(wanted):
  if wanted in _OFF:
    raise UsageError(
        f"MUJOCO_GL='{wanted}' means no rendering, but the environments "
        f'deliver images: unset it to have a backend chosen.')
  if wanted not in PACKAGES and wanted not in _GLFW:
    raise UsageError(
        f"MUJOCO_GL='{wanted}' is not a rendering backend: expected egl, "
        f'osmesa or glfw, or unset it to have one chosen.')
  reason = _failure(wanted)
  if reason is not None:
    advice = _unset(reason) or 'unset it to have a backend chosen' + (
        f', or install it, on Debian: {PACKAGES[wanted]}'
        if wanted in PACKAGES else '')
    raise UsageError(
        f"MUJOCO_GL='{wanted}' does not render here ({reason}): {advice}")


@functools.lru_cache(None)
def _failure(backend):
  # Why a backend does not render, or None. Tried in a process of its own: a
  # driver may crash, and what is imported here stays.
  try:
    probe = subprocess.run(
        [sys.executable, '-c', _PROBE],
        env={**os.environ, 'MUJOCO_GL': backend}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False)
  except (OSError, subprocess.TimeoutExpired) as error:
    return str(error)
  if probe.returncode == 0:
    return None
  if probe.returncode < 0:
    return f'crashed with signal {-probe.returncode}'
  lines = probe.stderr.strip().splitlines()
  return lines[-1] if lines else f'exit code {probe.returncode}'
