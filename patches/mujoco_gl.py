"""Upstream's DMC environment overrides the user's rendering backend.

Broken: `DMC.__init__` sets `MUJOCO_GL=egl`, whatever was chosen before and
whether or not EGL exists.
Since: dreamerv2 2.0.
Repairs: dm_control reads the variable once, when its renderer is imported; so
that import is done first, and the variable is put back afterwards.
Can go: when upstream leaves the variable alone.
"""

import contextlib
import os


@contextlib.contextmanager
def kept():
  """Context in which creating a DMC environment keeps `MUJOCO_GL`."""
  from dm_control import _render  # noqa: F401, reads MUJOCO_GL
  before = os.environ.get('MUJOCO_GL')
  try:
    yield
  finally:
    if before is None:
      os.environ.pop('MUJOCO_GL', None)
    else:
      os.environ['MUJOCO_GL'] = before
