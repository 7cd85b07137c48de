"""What runs when: trials on their way through an engine."""

import contextlib
import os
import signal
import time
import traceback

from ..display import duration
from ..runs import lock
from . import trial_process

POLL = 0.5  # Seconds between two checks of the trials.
# Seconds that an interrupted trial has for saving: then it is killed, or its
# folder counts as in use if another process started it.
GRACE = 60
# Seconds before the first retry; before each further one, GROWTH times more.
PAUSE, GROWTH, LONGEST = 5, 6, 3600
USAGE = 2  # The training's exit code for what a retry would not fix.


class Comparison:
  """Runs trials, retries what failed, and shows how far they are."""

  def __init__(self, trials, engine, retries, table):
    """Starts nothing yet.

    Args:
      trials: list of Trials in the order in which they are to begin.
      engine: LocalEngine or RayEngine.
      retries: int, how often a trial that failed is retried.
      table: trial_table.Table.
    """
    self._trials, self._engine, self._retries = trials, engine, retries
    self._table, self._began = table, time.time()
    # Index of those that the engine has -> Future, size of the log before.
    self._started: dict = {}

  def run(self):
    """Runs all trials that wait; whatever happens, they are asked to save.

    Returns:
      int exit code: 0 if all trials are complete, 1 if some are not, also
      because of an error here, which it prints; 130 if interrupted.
    """
    try:
      while True:
        now = time.time()
        self._start(now)
        # A process that was interrupted just now may still be saving.
        if not self._started and not any(
            now < max(x.due, max(x.ended, self._began) + GRACE)
            for x in self._trials if x.state == 'waiting'):
          return self._summary()
        self._watch()
        self._table.show()
        time.sleep(POLL)
    except KeyboardInterrupt:
      return self._stop('Interrupted', 130)
    except Exception as error:
      # Not raised: hours of the trials' work are more than an exception here.
      with contextlib.suppress(OSError, ValueError):
        traceback.print_exc()
      return self._stop(f'{type(error).__name__} in ab itself', 1)

  def _start(self, now):
    """Starts what has room; folders in use may be free later."""
    for index, trial in enumerate(self._trials):
      if len(self._started) >= self._engine.limit:
        break
      if (trial.state != 'waiting' or index in self._started
          or now < trial.due or lock.in_use(trial.logdir)):
        continue
      trial.attempts += 1
      size = _log_size(trial)
      self._started[index] = self._engine.start(trial), size

  def _watch(self):
    """Checks the started ones; each begins its log when it has room."""
    for index, (future, size) in list(self._started.items()):
      trial = self._trials[index]
      if trial.state == 'waiting' and _log_size(trial) > size:
        trial.state = 'running'
        again = f', attempt {trial.attempts}' if trial.attempts > 1 else ''
        start = f' at env step {trial.steps:,}' if trial.steps else ''
        self._table.note(f'{trial}: running{start}{again}')
      trial.look()
      if future.done():
        del self._started[index]
        self._on_end(trial, future)

  def _on_end(self, trial, future):
    """Decides what follows an attempt."""
    if error := future.exception():
      trial_process.log_error(trial.logdir, error)
      last = str(error).strip().rpartition('\n')[2]
      code, why = 1, f'cannot be run, {type(error).__name__}: {last}'[:300]
    else:
      code, why = future.result()
    trial.ended, trial.state = time.time(), 'waiting'
    if code == 0:
      trial.state = 'complete'
      score = '' if trial.score is None else f', return {trial.score:.0f}'
      self._table.note(f'{trial}: complete{score}')
      return
    words, trace = ('', []) if why else trial_process.last_output(trial.logdir)
    # Another `ab` that checks a folder has its lock for an instant, and on
    # Ray locks may be seen on one machine only.
    busy = code == USAGE and lock.BUSY in words
    trial.problem = why or (
        f'exit code {code}' if code > 0 else
        f'killed by signal {-code} ({signal.strsignal(-code)})') + f': {words}'
    if code == USAGE and not busy or trial.attempts > self._retries:
      trial.state, then = 'in use' if busy else 'failed', 'not retried'
    else:
      pause = min(PAUSE * GROWTH ** (trial.attempts - 1), LONGEST)
      trial.due = trial.ended + pause
      then = f'retry {trial.attempts} of {self._retries} in {duration(pause)}'
    log = [f'more in {trial.logdir / trial_process.LOG}'] if trace else []
    self._table.note('\n    '.join(
        [f'{trial}: {trial.problem}; {then}', *trace, *log]))

  def _stop(self, reason, code):
    """Lets all trials save; returns the exit code."""
    self._table.note(
        f'{reason}: the trials save and exit, which takes {GRACE}s at '
        'most; a second Ctrl-C cuts it short.')
    with contextlib.suppress(KeyboardInterrupt):
      self._engine.stop(GRACE)
    for trial in self._trials:
      if trial.state in ('waiting', 'running'):
        trial.look()
        trial.state = 'complete' if trial.complete() else 'stopped'
    self._table.end()
    self._table.note('Stopped; the same command resumes all of them.')
    return code

  def _summary(self):
    """Tells how all trials ended; returns the exit code."""
    for trial in self._trials:
      if trial.state == 'waiting':
        trial.state, trial.problem = 'in use', 'another process trains there'
    self._table.end()
    bad = [x for x in self._trials if x.state not in ('complete', 'pruned')]
    for trial in bad:
      self._table.note(
          f'{trial}: {trial.state}, {trial.problem} (more in '
          f'{trial.logdir / trial_process.LOG})')
    return 1 if bad else 0


def _log_size(trial):
  path = trial.logdir / trial_process.LOG
  return os.path.getsize(path) if os.path.exists(path) else 0
