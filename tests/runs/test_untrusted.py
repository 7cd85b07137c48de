"""Files of somebody else's: loading them runs nothing that is in them."""

import ast
import json
import os
import pickle
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from dreamer_idm.config import load as config_lib
from dreamer_idm.config import same_run
from dreamer_idm.errors import UsageError
from dreamer_idm.report import runs
from dreamer_idm.runs import checkpoints
from dreamer_idm.runs import episode_files
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import replay as replay_lib


class Bomb:
  """Makes a folder when it is unpickled."""

  def __init__(self, path):
    self._path = str(path)

  def __reduce__(self):
    return os.mkdir, (self._path,)


@pytest.fixture
def mark(tmp_path):
  """The folder that appears if any code was run."""
  path = tmp_path / 'mark'
  yield path
  assert not path.exists()


def test_the_bomb_would_go_off(tmp_path):
  pickle.loads(pickle.dumps(Bomb(tmp_path / 'x')))
  assert (tmp_path / 'x').exists()


def test_episodes(tmp_path, mark):
  folder = tmp_path / 'episodes'
  replay = replay_lib.SeededReplay(folder, 0, minlen=4, maxlen=4)
  zeros = {x: np.zeros(9, bool) for x in episode_files.NEEDED}
  replay.add_episode({**zeros, 'action': np.zeros((9, 1))})
  bomb = np.full(9, Bomb(mark), object)
  np.savez(folder / '0-a-8.npz', **{**zeros, 'action': bomb})
  (folder / '0-b-8.npz').write_bytes(pickle.dumps(Bomb(mark)))
  with (folder / '0-c-8.npz').open('wb') as file:
    np.save(file, bomb, allow_pickle=True)
  opened = replay_lib.SeededReplay(folder, 0, minlen=4, maxlen=4)
  assert len(opened.unreadable) == 3 and len(opened.loaded) == 1


def test_checkpoints(tmp_path, mark):
  saved = checkpoints.Checkpoints(tmp_path, tf.Module())
  for step in (1, 2, 3, 4):
    saved.save(step, {'step': step, 'x': '__import__("os").mkdir("mark")'})
  (tmp_path / '4' / 'ckpt.index').write_bytes(pickle.dumps(Bomb(mark)))
  (tmp_path / '3' / 'ckpt.data-00000-of-00001').write_bytes(
      pickle.dumps(Bomb(mark)))
  (tmp_path / '2' / 'variables.pkl').write_bytes(pickle.dumps(Bomb(mark)))
  opened = checkpoints.Checkpoints(tmp_path, tf.Module())
  assert len(opened.recover()) == 2 and opened.restore()['step'] == 2


@pytest.mark.parametrize('text', [
    '!!python/object/apply:os.mkdir ["{}"]',
    'task: !!python/object/new:os.mkdir ["{}"]',
    '? !!python/object/apply:os.mkdir ["{}"]\n: 1',
    'task: !!python/name:os.mkdir ""\nx: "{}"'])
def test_configs(tmp_path, mark, text):
  path = tmp_path / 'config.yaml'
  path.write_text(text.format(mark))
  with pytest.raises(UsageError, match='cannot read'):
    config_lib.saved(tmp_path)
  with pytest.raises(UsageError, match='cannot read'):
    same_run.check(config_lib.load([]), path)
  run, = runs.find(tmp_path)
  assert 'config.yaml cannot be read' in run.notes


def test_what_the_report_reads(tmp_path, mark):
  path = tmp_path / 'run'
  path.mkdir()
  for name in ('metrics.jsonl', 'config.yaml', 'ab.log'):
    (path / name).write_bytes(pickle.dumps(Bomb(mark)))
  (path / 'evaluation').mkdir()
  (path / 'evaluation' / 'evaluation.json').write_bytes(
      pickle.dumps(Bomb(mark)))
  assert metrics_file.read(path) == []
  assert [x.state for x in runs.find(tmp_path)] == ['no metrics']
  shutil.rmtree(path)


def test_nothing_in_the_source_could():
  """No module that unpickles, no unsafe yaml, no eval."""
  found = []
  for folder in ('dreamer_idm', 'patches'):
    for path in (ROOT / folder).rglob('*.py'):
      for node in ast.walk(ast.parse(path.read_text())):
        names = [getattr(node, 'module', None), *(
            x.name for x in getattr(node, 'names', ())
            if isinstance(x, ast.alias))]
        calls = ast.unparse(node) if isinstance(node, ast.Call) else ''
        if {'pickle', 'cloudpickle', 'marshal', 'shelve', 'dill', 'joblib'
            } & {*names} or calls.startswith(('eval(', 'exec(')) or (
                'allow_pickle=True' in calls) or (
                    'YAML(typ=' in calls and "typ='safe'" not in calls):
          found.append(f'{path.name}:{node.lineno}')
  assert found == []


def test_plain_states_are_json(tmp_path):
  checkpoints.Checkpoints(tmp_path, tf.Module()).save(1, {'step': 1})
  path = tmp_path / '1' / 'ckpt'
  reader = tf.train.load_checkpoint(str(path))
  text = [
      reader.get_tensor(x) for x in reader.get_variable_to_shape_map()
      if 'state' in x]
  assert {'step': 1} in [json.loads(x) for x in text if x[:1] == b'{']
