"""What runs when: trials on their way through an engine."""

import contextlib
import signal
import time
import traceback

from ..display import duration
from ..runs import lock
from . import trial_process

POLL = 0.5  # Seconds between two looks at the trials.
# Seconds that an interrupted trial has for saving: those of ours before they
# are killed, and those that somebody else interrupted before we take their
# folders for in use.
GOODBYE = 60
# Seconds before the first retry; before each further one, GROWTH times more.
PAUSE, GROWTH, LONGEST = 5, 6, 3600
USAGE = 2  # The training's exit code for what a retry would not mend.


class Comparison:
  """Runs trials, retries what failed, and shows how far they are."""

  def __init__(self, trials, engine, retries, table):
    """Starts nothing yet.

    Args:
      trials: list of Trials in the order in which they are to begin.
      engine: LocalEngine or RayEngine.
      retries: int, how often one that failed is tried again.
      table: trial_table.Table.
    """
    self._trials, self._engine, self._retries = trials, engine, retries
    self._table, self._began = table, time.time()
    # Those that the engine has -> the size of their logs before.
    self._started: dict[int, int] = {}

  def run(self):
    """Runs all trials that wait.

    Whatever happens, no trial is left to be killed before it was asked to
    save.

    Returns:
      int exit code: 0 if all trials are complete, 1 if some are not, also
      because of an error here, which it prints; 130 if interrupted.
    """
    try:
      while True:
        now = time.time()
        self._start(now)
        if not self._started and not self._expected(now):
          break
        self._watch(now)
        self._table.show()
        time.sleep(POLL)
    except KeyboardInterrupt:
      self._stop('Interrupted')
      return 130
    except Exception as error:
      # Not raised: hours of the trials' work are more than an exception here.
      with contextlib.suppress(OSError, ValueError):
        traceback.print_exc()
      self._stop(f'{type(error).__name__} in ab itself')
      return 1
    return self._summary()

  def _start(self, now):
    """Starts what has room; folders in use may be free or complete later."""
    for index, trial in enumerate(self._trials):
      if len(self._started) >= self._engine.limit:
        break
      if (trial.state != 'waiting' or index in self._started
          or now < trial.due or lock.in_use(trial.logdir)):
        continue
      if trial.complete():
        trial.look()
        trial.state = 'complete'
        continue
      trial.attempts += 1
      self._started[index] = trial.log_size()
      self._engine.start(index, trial)

  def _expected(self, now):
    """Whether a trial that has not been started may still be."""
    # A process that was interrupted just now may still be saving.
    return any(
        now < max(x.due, max(x.ended, self._began) + GOODBYE)
        for x in self._trials if x.state == 'waiting')

  def _watch(self, now):
    """Looks at the started ones; each begins its log when it has room."""
    for index, size in self._started.items():
      trial = self._trials[index]
      if trial.state == 'waiting' and trial.log_size() > size:
        trial.state, trial.problem = 'running', ''
        again = f', attempt {trial.attempts}' if trial.attempts > 1 else ''
        start = f' at env step {trial.steps:,}' if trial.steps else ''
        self._table.note(f'{trial}: running{start}{again}')
      trial.look()
    for index, code, why in self._engine.ended():
      del self._started[index]
      self._on_end(self._trials[index], code, why, now)

  def _on_end(self, trial, code, why, now):
    """Decides what follows an attempt."""
    trial.look()
    trial.ended, trial.state = now, 'waiting'
    if code == 0:
      trial.state = 'complete'
      score = '' if trial.score is None else f', return {trial.score:.0f}'
      self._table.note(f'{trial}: complete{score}')
      return
    words, trace = ('', []) if why else trial_process.last_words(trial.logdir)
    # Another `ab` that looks at a folder has its lock for an instant, and on
    # Ray locks may be seen on one machine only.
    busy = code == USAGE and lock.BUSY in words
    trial.problem = why or f'{_ending(code)}: {words}'
    if code == USAGE and not busy or trial.attempts > self._retries:
      trial.state = 'in use' if busy else 'failed'
      then = 'not tried again'
    else:
      pause = min(PAUSE * GROWTH ** (trial.attempts - 1), LONGEST)
      trial.due = now + pause
      then = f'retry {trial.attempts} of {self._retries} in {duration(pause)}'
    log = [f'more in {trial.logdir / trial_process.LOG}'] if trace else []
    self._table.note('\n    '.join(
        [f'{trial}: {trial.problem}; {then}', *trace, *log]))

  def _stop(self, reason):
    """Lets all trials save."""
    self._table.note(
        f'{reason}: the trials save and exit, which takes {GOODBYE}s at '
        'most; a second Ctrl-C cuts it short.')
    try:
      self._engine.stop(GOODBYE)
    except KeyboardInterrupt:
      self._table.note('Cut short.')
    for trial in self._trials:
      if trial.state in ('waiting', 'running'):
        trial.look()
        trial.state = 'complete' if trial.complete() else 'stopped'
    self._table.end()
    self._table.note('Stopped; the same command resumes all of them.')

  def _summary(self):
    """Tells how all trials ended; returns the exit code."""
    for trial in self._trials:
      if trial.state == 'waiting':
        trial.state, trial.problem = 'in use', 'another process trains there'
    self._table.end()
    bad = [x for x in self._trials if x.state != 'complete']
    for trial in bad:
      self._table.note(
          f'{trial}: {trial.state}, {trial.problem} (more in '
          f'{trial.logdir / trial_process.LOG})')
    return 1 if bad else 0


def _ending(code):
  if code < 0:
    return f'killed by signal {-code} ({signal.strsignal(-code)})'
  return f'exit code {code}'
