"""What a run writes down: metrics, videos, pictures, on upstream's logger."""

import collections
import contextlib
import json
import os
import re
import shutil

import numpy as np

from .. import upstream
from ..runs import files
from ..runs import metrics_file
from ..runs import plots
from . import failures
from . import loggers

common = upstream.common
REDUCTIONS = {
    'sum': lambda x: x.sum(), 'mean': lambda x: x.mean(),
    'max': lambda x: x.max(0).mean()}


def rewind(logdir, env_step=None, size=None):
  """Removes the metrics of steps that will be repeated from metrics.jsonl.

  Nothing is deleted. They are appended to `metrics.jsonl.after_checkpoint`.
  Those of a run without a checkpoint are kept as `metrics.jsonl.earlier`, and
  its config.yaml and provenance.jsonl likewise: another training follows. Of a
  file with anything but rows of the program a copy is `metrics.jsonl.edited`.

  Args:
    logdir: pathlib.Path of the run.
    env_step: int, the environment step that the run resumes from; None if it
      has no checkpoint.
    size: int, bytes that the file had then; None if that is not known. It
      tells apart rows of the same step from before and after.

  Returns:
    list of str, at most one line: what happened to the whole file.
  """
  path = logdir / 'metrics.jsonl'
  if not path.exists() or not path.stat().st_size:
    return []
  if env_step is None:
    kept = files.quarantine(path, 'earlier')
    for name in ('config.yaml', 'provenance.jsonl'):
      if (logdir / name).exists():
        files.quarantine(logdir / name, 'earlier')
    return [
        f'{path} is of a run without a checkpoint; kept as {kept.name}, and '
        'likewise config.yaml and provenance.jsonl.']
  if size is not None and _ends_a_line(path, size):
    _keep(path, path.read_bytes()[size:])
    os.truncate(path, size)
    return []
  # Somebody has edited it.
  rows: list[str] = []
  late: list[str] = []
  for row in metrics_file.read(logdir):
    (rows if row['step'] <= env_step else late).append(json.dumps(row) + '\n')
  notes = []
  lines = path.read_bytes().splitlines(keepends=True)
  if sorted(lines) != sorted(x.encode() for x in rows + late):
    kept = files.free_name(path, 'edited')
    with files.replacing(kept) as part:
      shutil.copyfile(path, part)
    notes = [f'{path} was edited or damaged; kept as it was as {kept.name}.']
  _keep(path, ''.join(late).encode())
  with files.replacing(path) as part:
    part.write_text(''.join(rows))
  return notes


def _keep(path, cut):
  if cut:
    with path.with_name(f'{path.name}.after_checkpoint').open('ab') as file:
      file.write(cut)
    files.sync(file.name)


def _ends_a_line(path, size):
  with path.open('rb') as file:
    file.seek(max(0, size - 1))
    return size == 0 or file.read(1) == b'\n'


class RunLog:
  """metrics.jsonl, what `loggers` names, and pictures in one logdir."""

  def __init__(self, config, logdir, step, note=print):
    """Opens the files, to append to what is there; see `rewind`.

    Args:
      config: upstream's Config with our keys.
      logdir: pathlib.Path, existing.
      step: upstream's Counter of agent steps, where the run starts from.
      note: function of str, called with what cannot be written.
    """
    self._config, self._logdir, self._step = config, logdir, step
    self._notes = failures.Notes(note)
    self._metrics = collections.defaultdict(list)
    self._outputs = loggers.outputs(
        config, logdir, self._dispensable("TensorBoard's log"), note)
    self._logger = common.Logger(
        step, self._outputs, multiplier=config.action_repeat)

  @contextlib.contextmanager
  def _dispensable(self, name):
    """Context, or decorator, that may fail without ending training."""
    try:
      yield
    except Exception as error:
      words = ' '.join(str(error).split())[:200] or type(error).__name__
      self._notes.once(
          name, f'{name} cannot be written ({words}); the training continues '
          'without.')

  def size(self):
    """Waits until metrics.jsonl is on the disk; returns its bytes."""
    path = self._logdir / 'metrics.jsonl'
    if not path.exists():
      return 0
    files.sync(path)
    return path.stat().st_size

  def update(self, metrics):
    """Collects an update's metrics, a dict of scalar tensors, for `write`."""
    for key, value in metrics.items():
      self._metrics[key].append(value)

  @property
  def pending(self):
    """Whether updates wait for the next `write`."""
    return bool(self._metrics)

  def write(self, updates, fps=False, **numbers):
    """Writes the means of what was collected.

    A gradient that is not finite (float16's alone: other precisions stop at
    it) is one that its optimizer skipped. It counts as `<name>_skipped` and is
    left out of the mean.

    Args:
      updates: int, updates done so far.
      fps: bool, whether to log the environment steps per second since the
        last time.
      **numbers: name -> number, further ones.
    """
    for name, values in self._metrics.items():
      values = np.array(values, np.float64)
      if name.endswith('_grad_norm') and not np.isfinite(values).all():
        skipped = name.replace('_grad_norm', '_skipped')
        self._logger.scalar(skipped, (~np.isfinite(values)).sum())
        values = values[np.isfinite(values)]
      if len(values):
        self._logger.scalar(name, values.mean())
    self._metrics.clear()
    agent_step = int(self._step)
    self._logger.scalar('env_step', agent_step * self._config.action_repeat)
    self._logger.scalar('agent_step', agent_step)
    self._logger.scalar('updates', updates)
    self._logger.add(numbers)
    self._logger.write(fps)

  def episode(self, episode, stats):
    """Writes a training episode, under upstream's names; returns its return.

    Args:
      episode: dict of arrays [T + 1, ...].
      stats: dict of numbers, the replay's.
    """
    score = episode['reward'].astype(np.float64).sum()
    self._logger.scalar('train_return', score)
    self._logger.scalar('train_length', len(episode['reward']) - 1)
    self._reduced('train', [episode])
    self._logger.add(stats, prefix='train')
    self._logger.write()
    return score

  def _reduced(self, mode, episodes):
    # What --log_keys_* ask for, as means over the episodes.
    for name, reduce in REDUCTIONS.items():
      pattern = self._config[f'log_keys_{name}']
      for key in episodes[0]:
        if re.match(pattern, key):
          values = [reduce(x[key]) for x in episodes]
          self._logger.scalar(f'{name}_{mode}_{key}', np.mean(values))

  def evaluation(self, name, result):
    """Notes an evaluation for `write`.

    Args:
      name: str, `eval` or `eval_rotated`.
      result: rollout.Evaluation.
    """
    episode = result.episode
    self._logger.scalar(f'{name}_return', result.returns.mean())
    if len(result.returns) > 1:  # JSON has no NaN.
      self._logger.scalar(
          f'{name}_return_std', metrics_file.sample_std(result.returns))
    if len(result.predicted):
      predicted, realised = result.predicted, result.realised
      self._logger.scalar(f'{name}_value_predicted', predicted.mean())
      self._logger.scalar(f'{name}_value_realised', realised.mean())
      self._logger.scalar(
          f'{name}_value_error', np.abs(predicted - realised).mean())
    self._logger.scalar(f'{name}_length', np.mean(
        [len(x['reward']) - 1 for x in result.episodes]))
    self._reduced(name, result.episodes)
    images = [k for k, v in episode.items() if v.ndim == 4]
    shown = [k for k in self._config.log_keys_video if k in images]
    for key in shown or images[:1]:  # Not everybody calls it image.
      self._logger.video(
          f'{name}_policy_{key.replace("/", "_")}', plots.shown(episode[key]))
      if name == 'eval':
        with self._dispensable('policy.gif'):
          plots.policy_video(episode[key], self._logdir / 'policy.gif')

  def forget_notes(self):
    """Drops what was noted but not written: half an evaluation."""
    self._logger._metrics.clear()

  def report(self, videos):
    """Notes the world model's open-loop predictions for `write`.

    Args:
      videos: dict of float [T, 3 * h, n * w, C] in [0, 1], upstream's report.
    """
    for name, video in videos.items():
      # bfloat16 has no picture.
      video = plots.shown(np.array(video).astype(np.float32))
      self._logger.video(f'train_{name}', video)
      with self._dispensable(f'reconstruction_{name}.png'):
        plots.reconstruction(
            video, self._logdir / f'reconstruction_{name}.png',
            self._config.render_size)

  def curve(self):
    """Draws the learning curve of what has been written; metrics.csv too."""
    config = self._config
    self._csv()
    with self._dispensable('learning_curve.png'):
      plots.learning_curve(
          {config.method: self._logdir}, self._logdir / 'learning_curve.png',
          f'{config.task}, seed {config.seed}')

  def close(self):
    """Ends what other services know of the run."""
    self._csv()
    for output in self._outputs:
      if hasattr(output, 'close'):
        output.close()

  def _csv(self):
    if 'csv' in self._config.loggers:
      with self._dispensable('metrics.csv'):
        loggers.write_csv(self._logdir)
