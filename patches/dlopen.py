"""TensorFlow must not share its LLVM with the graphics driver.

Broken: TensorFlow's wheels load themselves with RTLD_GLOBAL, which puts their
LLVM into the global symbol table. Mesa's software renderer (EGL with llvmpipe,
and OSMesa) has an LLVM of its own, binds to TensorFlow's instead, and the
first rendered frame is a segmentation fault.
Since: TensorFlow 2.20 (tensorflow#124205, tensorflow#119254).
Repairs: the module that sets the flag becomes one that sets nothing. This only
works before TensorFlow's first import; afterwards environments have to live in
a process of their own (see `dreamer_idm.envs.rendering`).
Can go: when TensorFlow hides its LLVM symbols.
"""

import importlib.abc
import importlib.util
import sys

TARGET = 'tensorflow.python.pywrap_dlopen_global_flags'


class _LocalSymbols(importlib.abc.MetaPathFinder, importlib.abc.Loader):

  def find_spec(self, fullname, path=None, target=None):
    if fullname == TARGET:
      return importlib.util.spec_from_loader(fullname, self)
    return None

  def exec_module(self, module):
    module.set_dlopen_flags = lambda: None
    module.reset_dlopen_flags = lambda: None
    module.local_symbols = True


def apply():
  """Installs the import hook, unless it is there or would come too late."""
  if 'tensorflow' in sys.modules:
    return
  if not any(isinstance(x, _LocalSymbols) for x in sys.meta_path):
    sys.meta_path.insert(0, _LocalSymbols())


def too_late():
  """Whether TensorFlow was imported with its symbols made global.

  Returns:
    True if TensorFlow is in this process and came before `apply`.
  """
  if 'tensorflow' not in sys.modules:
    return False
  return not getattr(sys.modules.get(TARGET), 'local_symbols', False)
