"""docs/api.md: its program runs as it stands."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_the_page_s_program_runs(tmp_path):
  train = subprocess.run(
      [sys.executable, ROOT / 'run.py', '--configs', 'cpu_proprio', 'debug',
       '--steps', '60', '--prefill', '50', '--pretrain', '1', '--time_limit',
       '50', '--eval_every', '60', '--logdir', tmp_path / 'logdir/first'],
      cwd=tmp_path, capture_output=True, text=True, timeout=600)
  assert train.returncode == 0, train.stdout + train.stderr
  page = (ROOT / 'docs' / 'api.md').read_text('utf-8')
  blocks = re.findall(r'```python\n(.*?)```', page, re.S)
  assert len(blocks) == 3
  program = f'import sys; sys.path.insert(0, {str(ROOT)!r})\n' + ''.join(blocks)
  done = subprocess.run(
      [sys.executable, '-c', program], cwd=tmp_path, capture_output=True,
      text=True, timeout=600)
  assert done.returncode == 0, done.stderr
  assert re.search(r'^240 \[\d+\.\d*\]$', done.stdout, re.M), done.stdout
