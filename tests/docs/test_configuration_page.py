"""docs/configuration.md: what docs/generate.py writes, and complete."""

import subprocess
import sys

from conftest import ROOT

from dreamer_idm.config import load as config_lib

PAGE = ROOT / 'docs' / 'configuration.md'


def test_the_page_is_up_to_date(tmp_path):
  code = (
      'import generate, pathlib, sys; '
      'pathlib.Path(sys.argv[1]).write_text(generate.page(), "utf-8")')
  subprocess.run(
      [sys.executable, '-c', code, tmp_path / 'page.md'], cwd=ROOT / 'docs',
      check=True)
  written = (tmp_path / 'page.md').read_text('utf-8')
  assert PAGE.read_text('utf-8') == written, 'run python docs/generate.py'


def test_every_key_is_there_and_explained():
  page = PAGE.read_text('utf-8')
  presets, *keys = config_lib.sections().values()
  described = [x for entries in keys for x in entries]
  assert {x.name for x in described} == set(config_lib.defaults().flat)
  for entry in (*presets, *described):
    assert f'| `{entry.name}` |' in page, entry
    assert entry.text, f'{entry.name} has no comment in configs.yaml'
