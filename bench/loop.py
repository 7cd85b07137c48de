"""Where the time of a training goes, and how many env steps a second it does.

  python bench/loop.py -- --configs cpu

The run is a real one, in a temporary folder, of two periods of `eval_every`;
its parts are timed over the second period: from the end of one evaluation to
the end of the next. A part within another counts as itself alone, except that
the parts of an evaluation are kept apart.
"""

import collections
import contextlib
import pathlib
import tempfile
import time

import harness


class Clock:
  """Exclusive times of nested parts."""

  def __init__(self):
    self._name = 'other'
    self.start()

  def start(self):
    """Starts again."""
    self.seconds = collections.Counter()
    self._began = self._since = time.perf_counter()

  def stop(self):
    """Returns the seconds since the start."""
    self._switch('other')
    return self._since - self._began

  @contextlib.contextmanager
  def part(self, name):
    """Counts the time within as a part's; evaluation keeps its own.

    Args:
      name: str.
    """
    outer = self._name
    if outer.startswith('evaluation'):
      name = f'evaluation: {name}'
    self._switch(name)
    try:
      yield
    finally:
      self._switch(outer)

  def _switch(self, name):
    now = time.perf_counter()
    self.seconds[self._name] += now - self._since
    self._name, self._since = name, now

  def timed(self, function, part):
    """Makes a function whose calls are timed.

    Args:
      function: callable; if it returns a callable, a promise or a policy, the
        calls of that count as well.
      part: str.

    Returns:
      function.
    """
    def call(*args, **kwargs):
      with self.part(part):
        result = function(*args, **kwargs)
      return self.timed(result, part) if callable(result) else result
    return call

  def wrap(self, owner, part, *names):
    """Times every call of some methods.

    Args:
      owner: object or class that has them.
      part: str.
      *names: str, the methods.
    """
    for name in names:
      setattr(owner, name, self.timed(getattr(owner, name), part))


def instrument(training, every, clock):
  """Times the parts of a run.

  Args:
    training: loop.Training before its `run`.
    every: int, its `eval_every`.
    clock: Clock, started again at the end of the second evaluation.
  """
  from dreamer_idm.evaluation import rollout
  from dreamer_idm.training import learner
  clock.wrap(training.evaluator, 'evaluation', 'evaluate')
  for env in (*training.collector.envs, *training.evaluator.envs.values()):
    clock.wrap(env, 'environment', 'step', 'reset')
  clock.wrap(training.collector.replay, 'replay', 'add_step')
  clock.wrap(training.progress, 'logging', 'tick')
  clock.wrap(
      training.folder.log, 'logging', 'write', 'report', 'curve', 'update',
      'evaluation', 'episode')
  clock.wrap(rollout, 'policy', 'act')
  clock.wrap(learner.Learner, 'update', 'update')
  clock.wrap(learner.Learner, 'logging', 'report')
  batches = training.collector.replay.batches

  def timed_batches(*args):
    drawn = batches(*args)
    while True:
      with clock.part('batch'):
        batch = next(drawn)
      yield batch

  training.collector.replay.batches = timed_batches
  save = clock.timed(training.checkpoint, 'checkpoint')

  def checkpoint(score=None):
    save(score)
    if int(training.step) == every:
      clock.start()

  training.checkpoint = checkpoint


def main():
  parser = harness.parser(__doc__)
  arguments = parser.parse_args()
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  from dreamer_idm.agent import tf_setup
  from dreamer_idm.config import load as config_lib
  from dreamer_idm.envs import environments
  from dreamer_idm.envs import rendering
  config = config_lib.load(arguments.flags)
  with tempfile.TemporaryDirectory() as folder:
    config = config.update({
        'logdir': folder, 'steps': 2 * config.eval_every})
    rendering.choose_backend(environments.renders(config))
    gpus = tf_setup.configure(
        config.precision, arguments.threads or config.threads, config.jit,
        config.fast)
    from dreamer_idm.training import loop
    clock = Clock()
    training = loop.Training(config, pathlib.Path(folder), gpus)
    instrument(training, config.eval_every, clock)
    try:
      training.run()
    finally:
      training.close()
  total = clock.stop()
  speed = config.eval_every * config.action_repeat / total
  print(f'{speed:.1f} env steps per second over {total:.0f} s')
  print('| part | seconds | fraction |\n|---|---|---|')
  for name, seconds in clock.seconds.most_common():
    print(f'| {name} | {seconds:.1f} | {seconds / total:.1%} |')
  harness.write(arguments, {
      'env_steps_per_second': speed, 'seconds': dict(clock.seconds)})


if __name__ == '__main__':
  main()
