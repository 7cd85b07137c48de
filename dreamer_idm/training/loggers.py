"""Where metrics go beside metrics.jsonl: outputs of upstream's logger."""

import contextlib
import importlib.util
import json
import os
import time
from typing import Any

import pandas as pd

from .. import upstream
from ..errors import UsageError
from ..runs import files
from ..runs import metrics_file

PROJECT = 'dreamer_idm'  # In Weights & Biases; MLflow's experiment.
IDS = 'loggers.json'  # Which runs a resumed run appends to.
SERVICES = {'wandb': 'Weights & Biases', 'mlflow': 'MLflow'}


def check(names):
  """Raises UsageError if the package of one of the loggers is missing."""
  for name in names:
    if name in SERVICES and not importlib.util.find_spec(name):
      raise UsageError(
          f'--loggers {name} needs {SERVICES[name]}: pip install {name}')


def write_csv(logdir):
  """Writes metrics.csv anew: metrics.jsonl as a table, a column per metric."""
  table = pd.DataFrame(metrics_file.read(logdir))
  with files.replacing(logdir / 'metrics.csv') as part:
    table.to_csv(part, index=False)


class WandB:
  """Scalars in Weights & Biases, with env_step as the horizontal axis.

  Without a login or its server they are stored in the logdir.
  """

  def __init__(self, config, logdir, note):
    """Begins a run there, or continues the one that this run began.

    Args:
      config: upstream's Config with our keys.
      logdir: pathlib.Path of the run.
      note: function of str, called with why nothing is sent.
    """
    import wandb
    settings = wandb.Settings(
        silent=True, console='off', init_timeout=30, finish_timeout=60)
    mode = os.environ.get('WANDB_MODE', 'online')
    if mode == 'online' and not wandb.login(prompt=False):
      note(
          'Weights & Biases: no login (wandb login). The metrics stay in '
          f'{logdir / "wandb"}; `wandb sync` sends them.')
      mode = 'offline'

    def begin(mode):
      return wandb.init(
          project=os.environ.get('WANDB_PROJECT', PROJECT), dir=logdir,
          name=_title(config), config=dict(config.flat), mode=mode,
          id=_known(logdir).get('wandb'), resume='allow', settings=settings)
    try:
      self._run = begin(mode)
    except wandb.Error as error:
      if mode != 'online':
        raise
      note(
          f'Weights & Biases does not answer ({_line(error)}). The metrics '
          f'stay in {logdir / "wandb"}; `wandb sync` sends them.')
      self._run = begin('offline')
    _remember(logdir, wandb=self._run.id)
    # Not its own steps: it ignores those that a resumed run repeats.
    self._run.define_metric('*', step_metric='env_step')

  def __call__(self, summaries):
    """Sends scalars of (env step, name, array) triples."""
    step, scalars = _scalars(summaries)
    self._run.log({**scalars, 'env_step': step})

  def close(self):
    """Waits for what is on its way, a minute at most."""
    self._run.finish()


class MLflow:
  """Scalars in MLflow, at the server that MLFLOW_TRACKING_URI names."""

  def __init__(self, config, logdir, note):
    """Begins a run there, or continues the one that this run began."""
    del note
    # By default it retries for minutes, during which nothing trains.
    os.environ.setdefault('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '1')
    os.environ.setdefault('MLFLOW_HTTP_REQUEST_TIMEOUT', '10')
    import mlflow
    self._entities, self._client = mlflow.entities, mlflow.MlflowClient()
    name = os.environ.get('MLFLOW_EXPERIMENT_NAME', PROJECT)
    found = self._client.get_experiment_by_name(name)
    experiment = (
        found.experiment_id if found else self._client.create_experiment(name))
    self._id = _known(logdir).get('mlflow')
    if self._id:
      self._client.set_terminated(self._id, 'RUNNING')
      return
    self._id = self._client.create_run(
        experiment, run_name=_title(config)).info.run_id
    _remember(logdir, mlflow=self._id)
    values = [
        mlflow.entities.Param(k, str(v)) for k, v in config.flat.items()]
    for start in range(0, len(values), 100):  # As many as a call may have.
      self._client.log_batch(self._id, params=values[start: start + 100])

  def __call__(self, summaries):
    """Sends scalars of (env step, name, array) triples."""
    step, scalars = _scalars(summaries)
    now = int(1000 * time.time())
    self._client.log_batch(self._id, metrics=[
        self._entities.Metric(k, v, now, step) for k, v in scalars.items()])

  def close(self):
    """Marks the run as finished."""
    self._client.set_terminated(self._id)


class Unsteady:
  """A service that may fail: then it is left out, and the training goes on."""

  def __init__(self, name, config, logdir, note):
    """Begins a run in the service; a failure is one line."""
    self._name, self._note = name, note
    self._output: Any = None
    with self._failing():
      kind = {'wandb': WandB, 'mlflow': MLflow}[name]
      self._output = kind(config, logdir, note)

  def __call__(self, summaries):
    """Passes on (env step, name, array) triples."""
    if self._output:
      with self._failing():
        self._output(summaries)

  def close(self):
    """Ends the run in the service."""
    if self._output:
      with self._failing():
        self._output.close()

  @contextlib.contextmanager
  def _failing(self):
    try:
      yield
    except Exception as error:
      self._output = None
      self._note(
          f'{SERVICES[self._name]} gets no metrics from here on '
          f'({_line(error)}); all are in metrics.jsonl.')


def outputs(config, logdir, tensorboard, note):
  """Opens what a run's metrics are written to.

  Args:
    config: upstream's Config with our keys; `loggers` names them.
    logdir: pathlib.Path of the run.
    tensorboard: function that makes upstream's TensorBoardOutput fail softly.
    note: function of str, called with what cannot be reached.

  Returns:
    list of functions of (env step, name, array) triples.

  Raises:
    UsageError: if the package of one is missing.
  """
  check(config.loggers)
  found = [upstream.common.JSONLOutput(logdir)]
  if 'tensorboard' in config.loggers:
    found.append(tensorboard(upstream.common.TensorBoardOutput(str(logdir))))
  return found + [
      Unsteady(x, config, logdir, note)
      for x in SERVICES if x in config.loggers]


def _title(config):
  return f'{config.task}/{config.method}/{config.seed}'


def _line(error):
  return ' '.join(str(error).split())[:200] or type(error).__name__


def _scalars(summaries):
  return summaries[0][0], {k: float(v) for _, k, v in summaries if not v.ndim}


def _known(logdir):
  with contextlib.suppress(OSError, ValueError):
    return json.loads((logdir / IDS).read_text())
  return {}


def _remember(logdir, **ids):
  with files.replacing(logdir / IDS) as part:
    part.write_text(json.dumps({**_known(logdir), **ids}))
