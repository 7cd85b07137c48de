"""examples/quickstart.ipynb runs from its first cell to its last."""

import os

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient


@pytest.mark.slow
def test_the_notebook_runs_and_shows_its_pictures(tmp_path, monkeypatch):
  path = ROOT / 'examples' / 'quickstart.ipynb'
  notebook = nbformat.read(path, 4)
  monkeypatch.setenv('PYTHONPATH', str(ROOT), prepend=os.pathsep)
  monkeypatch.setenv('TMPDIR', str(tmp_path))
  client = NotebookClient(
      notebook, timeout=900, kernel_name='python3',
      resources={'metadata': {'path': str(path.parent)}})
  client.execute()
  outputs = [x for cell in notebook.cells for x in cell.get('outputs', ())]
  pictures = [x for x in outputs if 'image/png' in x.get('data', {})]
  assert len(pictures) == 3
  told = ''.join(x.get('text', '') for x in outputs)
  assert 'dead_sensor' in told and 'value of this state:' in told
