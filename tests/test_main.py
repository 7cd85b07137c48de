"""The console script."""

import os
import subprocess
import sys

from conftest import ROOT


def test_modules_in_the_working_directory_count(tmp_path):
  (tmp_path / 'mine.py').write_text('extensions = lambda config: []\n')
  for agent, words in (('mine', '--threads must'), ('yours', '--agent must')):
    # As an installed script is run: without the working directory.
    done = subprocess.run(
        [sys.executable, '-c', 'import sys; sys.path.pop(0); '
         'from dreamer_idm.__main__ import script; script()',
         'train', '--agent', agent, '--threads', '-1'],
        cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and words in done.stderr, done.stderr
