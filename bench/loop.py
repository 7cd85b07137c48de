"""Where the time of a training goes, and how many env steps a second it does.

  python bench/loop.py --configs cpu --steps 2500

Takes the command line of run.py. The run is a real one, in a temporary folder;
its parts are timed from outside. What a part calls counts as that part's only
where no other part is named.
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
    self.seconds = collections.Counter()
    self._running = [('other', time.perf_counter())]

  @contextlib.contextmanager
  def part(self, name):
    """Counts the time within as a part's; evaluation keeps its own.

    Args:
      name: str.
    """
    outer = self._running[-1][0]
    if outer.startswith('evaluation'):
      name = f'evaluation: {name}'
    self._switch(name)
    try:
      yield
    finally:
      self._switch(outer)

  def _switch(self, name):
    now = time.perf_counter()
    last, since = self._running[-1]
    self.seconds[last] += now - since
    self._running[-1] = (name, now)

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


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--json', type=pathlib.Path)
  arguments, flags = parser.parse_known_args()
  import dreamer_idm  # noqa: F401, comes before TensorFlow
  from dreamer_idm import config as config_lib
  from dreamer_idm import evaluation
  from dreamer_idm import rendering
  from dreamer_idm import runtime
  from dreamer_idm import environments
  with tempfile.TemporaryDirectory() as folder:
    config = config_lib.load([*flags, '--logdir', folder])
    rendering.choose_backend(environments.renders(config))
    gpus = runtime.configure(
        config.precision, config.threads, config.jit, config.fast)
    from dreamer_idm import train
    training = train.Training(config, pathlib.Path(folder), gpus)
    clock = Clock()
    clock.wrap(evaluation, 'evaluate', 'evaluation')
    for env in (*training.envs, training.eval_env, training.rotated_env):
      if env is not None:
        clock.wrap(env, 'step', 'environment')
        clock.wrap(env, 'reset', 'environment')
    clock.wrap(training.replay, 'add_step', 'replay')
    for name in ('write', 'report', 'curve', 'update', 'evaluation'):
      clock.wrap(training.log, name, 'logging')
    build = training._build

    def built():
      build()
      clock.wrap(training.agent, 'policy', 'policy')
      clock.wrap(training.agent, 'report', 'logging')
      clock.wrap(training, '_update', 'update')
      clock.wrap(training, 'checkpoint', 'checkpoint')
      draw = training.batches.__next__
      training.batches = iter(lambda: drawn(clock, draw), None)
      # Tracing and the first updates are the business of update.py.
      for _ in range(3):
        training._update()
      clock.seconds.clear()
      clock._running = [('other', time.perf_counter())]
      clock.began = time.perf_counter()

    training._build = built
    try:
      training.run()
    finally:
      training.close()
  clock._switch('other')
  total = time.perf_counter() - clock.began
  steps = (int(config.steps) - config.prefill) * config.action_repeat
  print(f'{steps / total:.1f} env steps per second over {total:.0f} s')
  print('| part | seconds | share |\n|---|---|---|')
  for name, seconds in clock.seconds.most_common():
    print(f'| {name} | {seconds:.1f} | {seconds / total:.1%} |')
  if arguments.json:
    arguments.json.write_text(json.dumps({
        'flags': flags, 'env_steps_per_second': steps / total,
        'seconds': dict(clock.seconds)}, indent=1))


def drawn(clock, draw):
  with clock.part('batch'):
    return draw()


if __name__ == '__main__':
  main()
