"""TensorFlow prints before its log level can be set.

Broken: while it is imported, TensorFlow's C++ parts write a dozen lines about
instruction sets and missing GPU drivers to the standard error, before they
read any log level.
Since: TensorFlow 2.17 (absl logging).
Repairs: the lines written during the import are kept back, and shown only if
the import fails. Later ones are left to TF_CPP_MIN_LOG_LEVEL, which is set to
3 unless the user has set it.
Can go: when TensorFlow reads the level first.
"""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
import tempfile


@contextlib.contextmanager
def kept_back():
  """Context in which the process's standard error is held, unless it fails."""
  try:
    saved = os.dup(2)
  except OSError:  # There is no standard error at all.
    yield
    return
  with tempfile.TemporaryFile() as kept:
    os.dup2(kept.fileno(), 2)
    try:
      yield
    except BaseException:
      kept.seek(0)
      os.write(saved, kept.read())
      raise
    finally:
      os.dup2(saved, 2)
      os.close(saved)


class _Quietly(importlib.abc.MetaPathFinder, importlib.abc.Loader):

  def find_spec(self, fullname, path=None, target=None):
    if fullname != 'tensorflow':
      return None
    spec = importlib.machinery.PathFinder.find_spec(fullname, path)
    if spec is not None:
      self._loader, spec.loader = spec.loader, self
    return spec

  def exec_module(self, module):
    module.__spec__.loader = module.__loader__ = self._loader
    with kept_back():
      self._loader.exec_module(module)
      # Asked for the first time, a machine without a GPU complains as well.
      module.config.list_physical_devices('GPU')


def apply():
  """Installs the import hook, unless it is there or comes too late."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  if 'tensorflow' in sys.modules:
    return
  if not any(isinstance(x, _Quietly) for x in sys.meta_path):
    sys.meta_path.insert(0, _Quietly())
