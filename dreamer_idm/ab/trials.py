"""A trial of a comparison, and how far it has come.

A trial is one training per task, method and seed. What it has done is read
from its folder alone, so that any engine on any machine can run it, and
another `ab` can resume what this one began.
"""

import dataclasses
import pathlib
import statistics

from ..runs import metrics_file
from ..runs import saved_step


@dataclasses.dataclass
class Trial:
  """One run of a comparison; times are in seconds, steps environment steps.

  `state` is waiting, running, complete, failed, pruned (by Optuna), in use (by
  a process that is not ours) or stopped (with us).
  """

  task: str
  method: str  # With the point of --grid, as `method` in its config.
  seed: int
  logdir: pathlib.Path
  command: list[str]
  target: int  # Steps of the whole run.
  repeat: int  # Environment steps per agent step.
  state: str = 'waiting'
  attempts: int = 0
  ended: float = 0.0  # When the last attempt did.
  due: float = 0.0  # When the next one may begin.
  problem: str = ''
  steps: int = 0  # Steps done.
  score: float | None = None  # Mean return of the latest evaluation.
  # All of them: environment step -> mean return.
  scores: dict = dataclasses.field(default_factory=dict)
  pace: float | None = None  # Steps per second, evaluations included.
  _files: tuple | None = None

  def __str__(self):
    return f'{self.task} {self.method} seed {self.seed}'

  def look(self):
    """Reads how far the trial has come; what cannot be read stays as it was."""
    try:
      stat = (self.logdir / 'metrics.jsonl').stat()
      files = stat.st_ino, stat.st_size, stat.st_mtime_ns
      rows = metrics_file.read(self.logdir) if files != self._files else []
    except OSError:
      return
    if rows:
      self._files, self.steps = files, int(rows[-1]['step'])
      self.scores = {
          int(x['step']): x['eval_return'] for x in rows if 'eval_return' in x}
      self.score = [None, *self.scores.values()][-1]
      # The random steps before the first update are fast and do not count.
      speeds = [x.get('fps') for x in rows if 'updates' in x]
      speeds = [x for x in speeds if isinstance(x, float) and x > 0][-5:]
      self.pace = statistics.harmonic_mean(speeds) if speeds else self.pace

  def complete(self):
    """Whether it has trained to the end, with an evaluation there.

    Not if that cannot be read: the training will find out.
    """
    try:
      saved = saved_step.saved_step(self.logdir)
      if saved is not None and saved * self.repeat < self.target:
        return False  # Killed between the evaluation and its checkpoint.
      return (self.logdir / 'config.yaml').exists() and any(
          'eval_return' in x and x['step'] >= self.target
          for x in metrics_file.read(self.logdir))
    except OSError:
      return False
