"""The only door to dreamerv2 2.2.0.

`upstream.common`, `upstream.agent` and `upstream.expl` are upstream's own
modules, imported with TensorFlow when the first of them is asked for.
`upstream.config`, `upstream.envs` and `upstream.path` come without TensorFlow.
"""

import importlib

_MODULES = ('common', 'agent', 'expl', 'parts', 'as_published')


def __getattr__(name):
  if name in _MODULES:
    return getattr(importlib.import_module('.modules', __name__), name)
  raise AttributeError(f'{__name__} has no {name!r}.')
