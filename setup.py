"""Puts what stands beside the package in the repository into the wheel."""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
  """Copies `patches` and configs.yaml into dreamer_idm."""

  def run(self):
    """Builds the package, then adds them."""
    super().run()
    if self.editable_mode:
      return
    package = pathlib.Path(self.build_lib, 'dreamer_idm')
    shutil.copy('configs.yaml', package)
    shutil.copytree(
        'patches', package / 'patches', dirs_exist_ok=True,
        ignore=shutil.ignore_patterns('__pycache__'))


setup(cmdclass={'build_py': BuildPy})
