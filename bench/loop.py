"""Where the time of a training goes, and how many env steps a second it does.

  python bench/loop.py --configs cpu

Takes the command line of run.py. The run is a real one, in a temporary folder,
of two periods of `eval_every`; its parts are timed from outside, over the
second period: from the end of one evaluation to the end of the next. A part
within another counts as itself alone, but for what an evaluation does.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


class Clock:
  """Exclusive times of nested parts."""

  def __init__(self):
    self._name = 'other'
    self.start()

  def start(self):
    """Begins anew."""
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

  def wrap(self, owner, name, part):
    """Times every call of a method.

    Args:
      owner: object that has the method.
      name: str, the method.
      part: str.
    """
    function = getattr(owner, name)

    def timed(*args, **kwargs):
      with self.part(part):
        result = function(*args, **kwargs)
      if callable(result):  # An environment's promise.
        promise = result

        def result():
          with self.part(part):
            return promise()
      return result

    setattr(owner, name, timed)


def instrument(training, config, clock):
  """Times the parts of a run.

  Args:
    training: loop.Training before its `run`.
    config: its Config.
    clock: Clock, started anew at the end of the second evaluation.
  """
  from dreamer_idm.evaluation import rollout
  collector, folder = training.collector, training.folder
  clock.wrap(rollout, 'evaluate', 'evaluation')
  for env in (*collector.envs, *training.evaluator.envs.values()):
    clock.wrap(env, 'step', 'environment')
    clock.wrap(env, 'reset', 'environment')
  clock.wrap(collector.replay, 'add_step', 'replay')
  clock.wrap(training.progress, 'tick', 'logging')
  for name in ('write', 'report', 'curve', 'update', 'evaluation', 'episode'):
    clock.wrap(folder.log, name, 'logging')
  build, evaluate = training._build, training._evaluate

  def timed_build():
    build()
    learner = training.learner
    clock.wrap(learner.agent, 'policy', 'policy')
    clock.wrap(learner, 'report', 'logging')
    draw = learner.batches.__next__

    def drawn():
      with clock.part('batch'):
        return draw()

    learner.batches = iter(drawn, None)
    clock.wrap(learner, 'update', 'update')
    clock.wrap(training, 'checkpoint', 'checkpoint')

  def timed_evaluate():
    evaluate()
    if int(training.step) == config.eval_every:
      clock.start()

  training._build, training._evaluate = timed_build, timed_evaluate


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--json', type=pathlib.Path)
  arguments, flags = parser.parse_known_args()
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  from dreamer_idm.agent import tf_setup
  from dreamer_idm.config import load as config_lib
  from dreamer_idm.envs import environments
  from dreamer_idm.envs import rendering
  config = config_lib.load(flags)
  with tempfile.TemporaryDirectory() as folder:
    config = config.update({
        'logdir': folder, 'steps': 2 * config.eval_every})
    rendering.choose_backend(environments.renders(config))
    gpus = tf_setup.configure(
        config.precision, config.threads, config.jit, config.fast)
    from dreamer_idm.training import loop
    clock = Clock()
    training = loop.Training(config, pathlib.Path(folder), gpus)
    instrument(training, config, clock)
    try:
      training.run()
    finally:
      training.close()
  total = clock.stop()
  speed = config.eval_every * config.action_repeat / total
  print(f'{speed:.1f} env steps per second over {total:.0f} s')
  print('| part | seconds | share |\n|---|---|---|')
  for name, seconds in clock.seconds.most_common():
    print(f'| {name} | {seconds:.1f} | {seconds / total:.1%} |')
  if arguments.json:
    arguments.json.write_text(json.dumps({
        'flags': flags, 'env_steps_per_second': speed,
        'seconds': dict(clock.seconds)}, indent=1))


if __name__ == '__main__':
  main()
