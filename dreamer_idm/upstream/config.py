"""The door to dreamerv2's Config and Flags, without TensorFlow.

Upstream's `common` package imports TensorFlow, its `config.py` and `flags.py`
do not. This module answers as the package that the two belong to, so that
their own imports of each other work, and a spawned process finds `Config` by
name when it unpickles one.
"""

import importlib

from . import path as upstream_path

__path__ = [str(upstream_path.directory() / 'common')]

Config = importlib.import_module(f'{__name__}.config').Config
Flags = importlib.import_module(f'{__name__}.flags').Flags
