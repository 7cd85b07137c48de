"""docs/api.md: its program runs as it stands."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_the_page_s_program_runs(trained_run, tmp_path):
  shutil.copytree(trained_run('vector'), tmp_path / 'logdir' / 'first')
  exported = subprocess.run(
      [sys.executable, '-m', 'dreamer_idm', 'export', 'logdir/first', '--out',
       'agents/first', '--episodes', '1'], cwd=tmp_path, capture_output=True,
      text=True, timeout=900, env={**os.environ, 'PYTHONPATH': str(ROOT)})
  assert exported.returncode == 0, exported.stderr
  page = (ROOT / 'docs' / 'api.md').read_text('utf-8')
  blocks = re.findall(r'```python\n(.*?)```', page, re.S)
  assert len(blocks) == 7
  program = f'import sys; sys.path.insert(0, {str(ROOT)!r})\n' + ''.join(blocks)
  done = subprocess.run(
      [sys.executable, '-c', program], cwd=tmp_path, capture_output=True,
      text=True, timeout=900)
  assert done.returncode == 0, done.stderr
  assert re.search(r'^280 \[\d+\.\d*\]$', done.stdout, re.M), done.stdout
