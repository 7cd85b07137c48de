"""What a run writes down: metrics, videos, pictures, on upstream's logger."""

import collections
import json
import os
import re

import numpy as np

from . import pictures
from . import upstream

common = upstream.common
REDUCTIONS = {
    'sum': lambda x: x.sum(), 'mean': lambda x: x.mean(),
    'max': lambda x: x.max(0).mean()}


def rewind(logdir, env_step):
  """Drops the metrics of steps that will be lived through again.

  Args:
    logdir: pathlib.Path of the run.
    env_step: int, the environment step that the run goes on from.
  """
  path = logdir / 'metrics.jsonl'
  if not path.exists():
    return
  rows = [x for x in pictures.read_metrics(logdir) if x['step'] <= env_step]
  part = path.with_name(path.name + '.part')
  part.write_text(''.join(json.dumps(x) + '\n' for x in rows))
  os.replace(part, path)


class RunLog:
  """metrics.jsonl, TensorBoard events and pictures in one logdir."""

  def __init__(self, config, logdir, step):
    """Opens the files, going on behind what is there.

    Args:
      config: upstream's Config with our keys.
      logdir: pathlib.Path, existing.
      step: upstream's Counter of agent steps, where the run starts from.
    """
    self._config, self._logdir, self._step = config, logdir, step
    self._metrics = collections.defaultdict(list)
    repeat = config.action_repeat
    rewind(logdir, int(step) * repeat)
    self._logger = common.Logger(step, [
        common.JSONLOutput(logdir), common.TensorBoardOutput(str(logdir)),
    ], multiplier=repeat)

  def update(self, metrics):
    """Collects an update's metrics until the next `write`.

    Args:
      metrics: dict of scalar tensors.
    """
    for key, value in metrics.items():
      self._metrics[key].append(value)

  def write(self, updates, fps=False):
    """Writes the means of what was collected.

    Args:
      updates: int, updates done so far.
      fps: bool, whether to log the environment steps per second since the
        last time.
    """
    for name, values in self._metrics.items():
      self._logger.scalar(name, np.array(values, np.float64).mean())
    self._metrics.clear()
    agent_step = int(self._step)
    self._logger.scalar('env_step', agent_step * self._config.action_repeat)
    self._logger.scalar('agent_step', agent_step)
    self._logger.scalar('updates', updates)
    self._logger.write(fps)

  def episode(self, episode, stats):
    """Writes a training episode, under upstream's names.

    Args:
      episode: dict of arrays [T + 1, ...].
      stats: dict of numbers, the replay's.

    Returns:
      float, the undiscounted return.
    """
    score = episode['reward'].astype(np.float64).sum()
    self._logger.scalar('train_return', score)
    self._logger.scalar('train_length', len(episode['reward']) - 1)
    for name, reduce in REDUCTIONS.items():
      pattern = self._config[f'log_keys_{name}']
      for key in episode:
        if re.match(pattern, key):
          self._logger.scalar(f'{name}_train_{key}', reduce(episode[key]))
    self._logger.add(stats, prefix='train')
    self._logger.write()
    return score

  def evaluation(self, name, result):
    """Notes an evaluation; `write` writes it.

    Args:
      name: str, `eval` or `eval_rotated`.
      result: evaluation.Evaluation.
    """
    episode = result.episode
    self._logger.scalar(f'{name}_return', result.returns.mean())
    self._logger.scalar(f'{name}_return_std', result.returns.std())
    if len(result.predicted):
      predicted, realised = result.predicted, result.realised
      self._logger.scalar(f'{name}_value_predicted', predicted.mean())
      self._logger.scalar(f'{name}_value_realised', realised.mean())
      self._logger.scalar(
          f'{name}_value_error', np.abs(predicted - realised).mean())
    self._logger.scalar(f'{name}_length', len(episode['reward']) - 1)
    for key in self._config.log_keys_video:
      if key in episode:
        self._logger.video(f'{name}_policy_{key}', episode[key])
        if name == 'eval':
          pictures.policy_video(episode[key], self._logdir / 'policy.gif')

  def report(self, videos):
    """Notes the world model's open-loop predictions; `write` writes them.

    Args:
      videos: dict of float [T, 3 * h, n * w, C] in [0, 1], upstream's report.
    """
    for name, video in videos.items():
      video = np.array(video).astype(np.float32)  # bfloat16 has no picture.
      self._logger.video(f'train_{name}', video)
      pictures.reconstruction(
          video, self._logdir / f'reconstruction_{name}.png',
          self._config.render_size)

  def curve(self):
    """Draws the learning curve of what has been written."""
    config = self._config
    pictures.learning_curve(
        {config.method: self._logdir}, self._logdir / 'learning_curve.png',
        f'{config.task}, seed {config.seed}')
