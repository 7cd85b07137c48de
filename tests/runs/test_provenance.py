"""The lines of provenance.jsonl, in and outside of a checkout."""

import datetime
import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

import dreamer_idm
from dreamer_idm.runs import provenance

FACTS = dict(
    step=400, agent_step=200, device='CPU', precision='32', threads=2)


def git(folder, *words):
  identity = ['-c', 'user.name=x', '-c', 'user.email=x@example.org']
  done = subprocess.run(
      ['git', '-C', str(folder), *identity, *words], check=True,
      capture_output=True, text=True)
  return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
  """A checkout of its own in place of ours."""
  folder = tmp_path / 'checkout'
  folder.mkdir()
  git(folder, 'init', '-q')
  (folder / 'known').write_text('1')
  git(folder, 'add', 'known')
  git(folder, 'commit', '-qm', 'first')
  monkeypatch.setattr(provenance, 'ROOT', folder.resolve())
  return folder


def test_a_line_for_every_start(tmp_path):
  before = datetime.datetime.now(datetime.timezone.utc)
  first = provenance.write(tmp_path, {}, **FACTS)
  provenance.write(
      tmp_path, {'discount': (0.99, 0.5), 'grad_heads': (('a',), ('b', 'c'))},
      **{**FACTS, 'step': 800})
  lines = provenance.read(tmp_path)
  assert lines[0] == first and [x['step'] for x in lines] == [400, 800]
  assert first.items() >= FACTS.items()
  assert lines[0]['changed'] == {}
  assert lines[1]['changed'] == {
      'discount': [0.99, 0.5], 'grad_heads': [['a'], ['b', 'c']]}
  for line in lines:
    time = datetime.datetime.fromisoformat(line['time'])
    assert abs(time - before) < datetime.timedelta(minutes=5)
    assert shlex.split(line['command']) == sys.argv
    assert line['version'] == dreamer_idm.__version__
    assert line['packages']['dreamerv2'] == '2.2.0'
    assert line['packages']['numpy'] == np.__version__
    assert line['python'] == '.'.join(map(str, sys.version_info[:3]))
    assert line['host']


def test_the_commit_and_whether_the_tree_was_changed(tmp_path, checkout):
  head = git(checkout, 'rev-parse', 'HEAD')
  (checkout / 'unknown').write_text('')  # As a logdir is.
  line = provenance.write(tmp_path, {}, **FACTS)
  assert (line['commit'], line['dirty']) == (head, False)
  (checkout / 'ünknown.py').write_text('')  # As a user's environment is.
  line = provenance.write(tmp_path, {}, **FACTS)
  assert (line['commit'], line['dirty']) == (head, True)
  (checkout / 'ünknown.py').unlink()
  (checkout / 'known').write_text('2')
  line = provenance.write(tmp_path, {}, **FACTS)
  assert (line['commit'], line['dirty']) == (head, True)


def test_there_is_no_commit_outside_of_a_checkout(
    tmp_path, checkout, monkeypatch):
  # As installed within a checkout of something else, or without git.
  inside = checkout / 'site-packages'
  inside.mkdir()
  monkeypatch.setattr(provenance, 'ROOT', inside)
  line = provenance.write(tmp_path, {}, **FACTS)
  assert (line['commit'], line['dirty']) == (None, None)
  monkeypatch.setattr(provenance, 'ROOT', checkout)
  monkeypatch.setenv('PATH', str(tmp_path))
  line = provenance.write(tmp_path, {}, **FACTS)
  assert (line['commit'], line['dirty']) == (None, None)


def test_damage_costs_no_other_line(tmp_path):
  provenance.write(tmp_path, {}, **FACTS)
  path = tmp_path / provenance.NAME
  whole = path.read_bytes()
  path.write_bytes(whole + b'\xff{"step": [\n[1]\nnull\n' + whole[:40])
  provenance.write(tmp_path, {'steps': (5, 9)}, **FACTS)
  assert [x['changed'] for x in provenance.read(tmp_path)] == [
      {}, {'steps': [5, 9]}]


@pytest.mark.parametrize('lines, expected', [
    ([], 5), ([{}], 5), ([{'steps': (5, 9)}], 9),
    ([{'steps': (5, 9)}, {'steps': (5, 7)}], 7),
    ([{'steps': (5, 9)}, {'discount': (1, 0)}], 5)])
def test_the_latest_start_says_what_holds(tmp_path, lines, expected):
  for changed in lines:
    provenance.write(tmp_path, changed, **FACTS)
  assert provenance.latest(tmp_path, 'steps', 5) == expected


@pytest.mark.parametrize('changed', [None, [], {'steps': 3}, {'steps': {}}])
def test_what_is_no_change_changes_nothing(tmp_path, changed):
  (tmp_path / provenance.NAME).write_text(
      json.dumps({'step': 0, 'changed': changed}))
  assert provenance.latest(tmp_path, 'steps', 5) == 5


def test_settings_at_each_start(tmp_path):
  for changed in ({}, {'discount': (1, 0)}, {'steps': (5, 9)}):
    provenance.write(tmp_path, changed, **FACTS)
  assert provenance.changed(provenance.read(tmp_path)) == {
      'discount': [1, 0, 1], 'steps': [5, 5, 9]}
