"""What runs when: trials on their way through an engine."""

import contextlib
import signal
import time
import traceback

from ..runs import lock
from . import trial_process
from . import trial_table
from . import trials as trials_lib

POLL = 0.5  # Seconds between two looks at the trials.
# Seconds that an interrupted trial has for saving: those of ours before they
# are killed, and those that somebody else interrupted before we take their
# folders for in use.
GOODBYE = 60
USAGE = 2  # run.py's exit code for what trying again would not mend.
# How often a trial may find its folder in use where we find it free. Another
# `ab` that looks has the lock for an instant; but where locks are seen on one
# machine only, it may be one of Ray's that sees it, and for days.
COLLISIONS = 5


class Comparison:
  """Runs trials, tries again what failed, and shows how far they are."""

  def __init__(self, trials, engine, retries, table=None, patience=GOODBYE):
    """Starts nothing yet.

    Args:
      trials: list of Trials in the order in which they are to begin.
      engine: LocalEngine or RayEngine.
      retries: int, how often one that failed is tried again.
      table: trial_table.Table, or None for one on standard output.
      patience: float, seconds to wait for a folder to become free.
    """
    self._trials, self._engine, self._retries = trials, engine, retries
    self._table = table or trial_table.Table(trials, engine.slots)
    self._patience = patience
    self._began = time.time()
    self._started: set[int] = set()

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
        self._start()
        if not self._started and not self._expected():
          break
        self._watch(time.time())
        self._table.show(time.time())
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
    for trial in self._trials:
      if trial.state == 'waiting':
        self._pass_over(trial)
    return self._summary()

  def _pass_over(self, trial):
    trial.state = 'in use'
    self._table.note(
        f'{trial}: in use elsewhere, another process trains in '
        f'{trial.logdir}')

  def _start(self):
    # Folders in use elsewhere are passed over, again and again: in the end
    # they may be free, or complete.
    for index, trial in enumerate(self._trials):
      if not self._engine.room():
        break
      if trial.state != 'waiting' or index in self._started:
        continue
      if trials_lib.in_use(trial.logdir):
        continue
      if trial.complete():
        trial.look(time.time())
        trial.state = 'complete'
        continue
      trial.attempts += 1
      try:
        self._engine.start(index, trial)
      except OSError as error:
        self._on_end(trial, 1, f'cannot be started, {error}', time.time())
        continue
      self._started.add(index)

  def _expected(self):
    # A process that was interrupted just now may still be saving.
    now = time.time()
    return any(
        x.state == 'waiting' and
        now - max(x.ended, self._began) < self._patience
        for x in self._trials)

  def _watch(self, now):
    for index in self._started:
      trial = self._trials[index]
      if trial.state == 'waiting' and self._engine.begun(index):
        trial.begin(now)
        again = f', attempt {trial.attempts}' if trial.attempts > 1 else ''
        start = f' at env step {trial.steps:,}' if trial.steps else ''
        self._table.note(f'{trial}: running{start}{again}')
      trial.look(now)
    for index, code, why in self._engine.ended():
      self._started.remove(index)
      self._on_end(self._trials[index], code, why, now)

  def _on_end(self, trial, code, why, now):
    trial.look(now)
    trial.ended, trial.state = now, 'waiting'
    if code == 0:
      trial.state = 'complete'
      score = '' if trial.score is None else f', return {trial.score:.0f}'
      self._table.note(f'{trial}: complete{score}')
      return
    words = trial_process.last_words(trial.logdir)
    in_use = trials_lib.in_use(trial.logdir)
    if code == USAGE and (in_use or lock.BUSY in words):
      trial.attempts -= 1  # Somebody else was faster.
      trial.collisions += not in_use
      if trial.collisions > COLLISIONS:
        self._pass_over(trial)
      return
    trial.problem = why or f'{_ending(code)}: {words}'
    if code == USAGE or trial.attempts > self._retries:
      trial.state = 'failed'
      self._table.note(f'{trial}: failed for good, {trial.problem}')
    else:
      self._table.note(
          f'{trial}: {trial.problem}; trying again, {trial.attempts} of '
          f'{self._retries}')

  def _stop(self, reason):
    self._table.note(
        f'{reason}: the trials save and exit, which takes {GOODBYE}s at '
        'most; a second Ctrl-C cuts it short.')
    try:
      self._engine.stop(GOODBYE)
    except KeyboardInterrupt:
      self._table.note('Cut short.')
    for trial in self._trials:
      if trial.state in ('waiting', 'running'):
        trial.look(time.time())
        trial.state = 'complete' if trial.complete() else 'stopped'
    self._table.end(time.time())
    self._table.note('Stopped; the same command goes on from there.')

  def _summary(self):
    self._table.end(time.time())
    bad = [x for x in self._trials if x.state != 'complete']
    for trial in bad:
      if trial.state == 'failed':
        self._table.note(
            f'{trial}: failed, {trial.problem} (more in '
            f'{trial.logdir / trial_process.LOG})')
    return 1 if bad else 0


def _ending(code):
  if code < 0:
    return f'killed by signal {-code} ({signal.strsignal(-code)})'
  return f'exit code {code}'
