"""Where metrics go: tables and services, with a local store of each."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny

from dreamer_idm import upstream
from dreamer_idm.errors import UsageError
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import loggers
from dreamer_idm.training import metrics_log


@pytest.fixture
def log(tmp_path):
  """Opens a log of the named loggers, at env step 10."""
  def begin(*names):
    notes = []
    config = tiny.config('--loggers', *names)
    made = metrics_log.RunLog(
        config, tmp_path, upstream.common.Counter(10), notes.append)
    return made, notes
  return begin


def write(made):
  episode = {'reward': np.array([0, 1, 2], np.float32)}
  made.episode(episode, {'total_steps': 5})
  made.write(7, kl=np.float32(1.5))
  made.close()


def test_a_table_of_all_metrics(log, tmp_path):
  made, _ = log('csv')
  write(made)
  table = pd.read_csv(tmp_path / 'metrics.csv')
  rows = metrics_file.read(tmp_path)
  assert len(table) == len(rows) == 2
  for (_, line), row in zip(table.iterrows(), rows):
    assert line.dropna().to_dict() == row
  # TensorBoard's was not asked for.
  assert not list(tmp_path.glob('events*'))


def test_weights_and_biases_offline_and_resumed(log, tmp_path, monkeypatch):
  pytest.importorskip('wandb')
  monkeypatch.setenv('WANDB_MODE', 'offline')
  for _ in range(2):
    made, notes = log('wandb')
    write(made)
    assert notes == []
  stored = list((tmp_path / 'wandb').glob('offline-run-*/*.wandb'))
  assert len({x.stem for x in stored}) == 1  # One run in its cloud.
  data = b''.join(x.read_bytes() for x in stored)
  assert b'train_return' in data and b'env_step' in data


def test_a_login_that_is_missing_is_one_line(log, tmp_path, monkeypatch):
  pytest.importorskip('wandb')
  for name in ('WANDB_MODE', 'WANDB_API_KEY'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
  made, notes = log('wandb')
  write(made)
  assert len(notes) == 1 and 'no login (wandb login)' in notes[0]
  assert list((tmp_path / 'wandb').glob('offline-run-*/*.wandb'))


def test_mlflow_in_a_local_store_and_resumed(log, tmp_path, monkeypatch):
  mlflow = pytest.importorskip('mlflow')
  store = (tmp_path / 'store').as_uri()
  monkeypatch.setenv('MLFLOW_TRACKING_URI', store)
  monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
  for _ in range(2):
    made, notes = log('mlflow')
    write(made)
    assert notes == []
  client = mlflow.MlflowClient(store)
  experiment = client.get_experiment_by_name('dreamer_idm')
  run, = client.search_runs([experiment.experiment_id])
  assert run.info.status == 'FINISHED'
  assert run.data.params['loggers'] == "('mlflow',)"
  values = client.get_metric_history(run.info.run_id, 'train_return')
  assert [(x.step, x.value) for x in values] == [(10, 3), (10, 3)]


def test_a_server_that_is_gone_is_one_line(log, tmp_path, monkeypatch):
  pytest.importorskip('mlflow')
  monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://127.0.0.1:9')
  monkeypatch.setenv('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '0')
  made, notes = log('mlflow')
  write(made)
  assert len(notes) == 1 and notes[0].startswith('MLflow gets no metrics ')
  assert len(metrics_file.read(tmp_path)) == 2


def test_a_service_that_fails_later_is_left_out(log, tmp_path, monkeypatch):
  pytest.importorskip('mlflow')
  monkeypatch.setenv('MLFLOW_TRACKING_URI', (tmp_path / 'store').as_uri())
  monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
  made, notes = log('mlflow')
  (tmp_path / 'store').rename(tmp_path / 'gone')
  (tmp_path / 'store').touch()
  write(made)
  assert len(notes) == 1
  assert len(metrics_file.read(tmp_path)) == 2


def test_a_package_that_is_missing_is_named(log, monkeypatch):
  monkeypatch.setattr(
      loggers.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UsageError, match='--loggers wandb needs Weights & Bias'):
    log('jsonl', 'wandb')


def test_ids_that_cannot_be_read_begin_a_new_run(tmp_path):
  (tmp_path / loggers.IDS).write_text('{')
  assert loggers._known(tmp_path) == {}
  loggers._remember(tmp_path, wandb='a')
  loggers._remember(tmp_path, mlflow='b')
  assert json.loads((tmp_path / loggers.IDS).read_text()) == {
      'wandb': 'a', 'mlflow': 'b'}
