"""Files and folders that are there as a whole or not at all."""

import os
import pathlib

import pytest

from dreamer_idm import __main__
from dreamer_idm.runs import files


def names(folder):
  return sorted(x.name for x in folder.iterdir())


def test_a_file_is_replaced_at_the_end(tmp_path):
  path = tmp_path / 'note.txt'
  path.write_text('before')
  with files.replacing(path) as part:
    assert part.suffix == '.txt' and not part.exists()
    part.write_text('after')
    assert path.read_text() == 'before'
  assert path.read_text() == 'after' and names(tmp_path) == ['note.txt']


def test_a_folder_appears_at_the_end(tmp_path):
  with files.replacing(tmp_path / '7') as part:
    (part / 'below').mkdir(parents=True)
    (part / 'below' / 'note').write_text('x')
    assert names(tmp_path) == [part.name]
  assert (tmp_path / '7' / 'below' / 'note').read_text() == 'x'
  with pytest.raises(OSError, match='not empty'):
    with files.replacing(tmp_path / '7') as part:
      part.mkdir()
  assert names(tmp_path) == ['7'] and names(tmp_path / '7') == ['below']


@pytest.mark.parametrize('error', [OSError(28, 'full'), KeyboardInterrupt()])
def test_what_fails_changes_nothing(tmp_path, error):
  path = tmp_path / 'note.txt'
  path.write_text('before')
  with pytest.raises(type(error)):
    with files.replacing(path) as part:
      part.write_text('half')
      raise error
  assert path.read_text() == 'before' and names(tmp_path) == ['note.txt']


def test_everything_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
  done = []
  sync, replace = os.fsync, os.replace
  monkeypatch.setattr(os, 'fsync', lambda descriptor: (done.append(
      os.readlink(f'/proc/self/fd/{descriptor}')), sync(descriptor)))
  monkeypatch.setattr(os, 'replace', lambda source, path: (
      done.append('replace'), replace(source, path)))
  with files.replacing(tmp_path / '7') as part:
    part.mkdir()
    (part / 'note').write_text('x')
  assert done == [
      str(part / 'note'), str(part), 'replace', str(tmp_path)]


def test_a_kill_leaves_what_the_next_time_replaces(tmp_path):
  for left in ('file', 'folder'):
    part = tmp_path / '.note.part.txt'
    part.write_text('half') if left == 'file' else part.mkdir()
    with files.replacing(tmp_path / 'note.txt') as part:
      part.write_text(left)
    assert (tmp_path / 'note.txt').read_text() == left
    assert names(tmp_path) == ['note.txt']


def test_quarantine_overwrites_nothing(tmp_path):
  for content in ('one', 'two', 'three'):
    (tmp_path / 'x').mkdir()
    (tmp_path / 'x' / content).touch()
    files.quarantine(tmp_path / 'x', 'damaged')
  (tmp_path / 'x').symlink_to('nowhere')
  assert files.quarantine(tmp_path / 'x', 'damaged').name == 'x.damaged.4'
  assert [names(tmp_path / f'x.damaged{n}') for n in ('', '.2', '.3')] == [
      ['one'], ['two'], ['three']]


@pytest.mark.parametrize('words', [
    'ab --tasks dmc_reacher_easy --logdir', 'evaluate --logdir',
    'evaluate --logdir x --out', 'reconstruct', 'report --logdir'])
def test_a_url_is_refused_in_every_command(
    tmp_path, monkeypatch, capsys, words):
  monkeypatch.chdir(tmp_path)
  assert files.expanded('~/x') == pathlib.Path.home() / 'x'
  assert __main__.main([*words.split(), 'gs://bucket/run']) == 2
  assert "but 'gs://bucket/run' is a URL" in capsys.readouterr().err
  assert not names(tmp_path)
