"""docs/quickstart.md: its commands print what it says that they print."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

PAGE = ROOT / 'docs' / 'quickstart.md'


def _blocks():
  return re.findall(r'```\n(.*?)```', PAGE.read_text('utf-8'), re.S)


def _masked(text):
  """Lists lines without their numbers, and without progress every 30s."""
  lines = [x for x in text.splitlines() if ' | ' not in x]
  lines = [re.sub(r' \([0-9a-f]{10}.*?\)', '', x) for x in lines]  # A commit.
  return [re.sub(r'(-?\d[\d,.]*[hms]?\b ?)+', 'N ', x) for x in lines]


@pytest.mark.slow
def test_the_commands_print_what_the_page_says(tmp_path):
  blocks = _blocks()
  for command, output in (blocks[:2], blocks[2:4]):
    program, *words = shlex.split(command)
    assert program == 'dreamer-idm'
    done = subprocess.run(
        [sys.executable, '-m', 'dreamer_idm', *words], cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert _masked(done.stdout) == _masked(output)
