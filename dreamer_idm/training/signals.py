"""Ending a run at the right time.

Ctrl-C, SIGTERM and SIGUSR1 (of clusters that end a job, such as Slurm) and
SIGHUP (of terminals) end a run. Within `held` they wait for the next `allowed`,
or for its end, so that a step is counted, stored and learned from as a whole or
not at all.
"""

import contextlib
import math
import signal
import threading
import time

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1
AGAIN = 5  # Seconds in which a second signal is ignored.


class _Signals:
  # Process-wide, as handlers are.
  held = False
  pending = False
  left = -math.inf


def listen():
  """Lets the signals raise KeyboardInterrupt, where they may.

  A second one within a few seconds is ignored: a cluster may tell every process
  and a parent its children, while the first signal is about to save.
  """
  for signum in SIGNALS:
    # A program that was started with nohup ignores SIGHUP.
    if signal.getsignal(signum) != signal.SIG_IGN or signum == signal.SIGINT:
      signal.signal(signum, _on_signal)


@contextlib.contextmanager
def ctrl_c():
  """Context of `listen` for Ctrl-C alone, where Python raises it anywhere."""
  if threading.current_thread() is not threading.main_thread() or (
      signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
    yield  # What the program does about it is its own affair.
    return
  signal.signal(signal.SIGINT, _on_signal)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _on_signal(signum, frame):
  _Signals.pending = True
  if not _Signals.held:
    _leave()


def _leave():
  if _Signals.pending:
    _Signals.pending = False
    now = time.monotonic()
    if now - _Signals.left > AGAIN:
      _Signals.left = now
      raise KeyboardInterrupt


@contextlib.contextmanager
def held():
  """Context that is interrupted at its end only, or where it is `allowed`."""
  with _switched(True):
    yield
  if not _Signals.held:
    _leave()


@contextlib.contextmanager
def allowed():
  """Context within `held` that may be interrupted anywhere."""
  with _switched(False):
    _leave()
    yield


@contextlib.contextmanager
def _switched(value):
  before, _Signals.held = _Signals.held, value
  try:
    yield
  finally:
    _Signals.held = before


@contextlib.contextmanager
def ignored():
  """Context in which these signals are ignored, for the last save."""
  if threading.current_thread() is not threading.main_thread():
    yield  # Signals interrupt the main thread alone.
    return
  before = [signal.signal(x, signal.SIG_IGN) for x in SIGNALS]
  try:
    yield
  finally:
    for signum, handler in zip(SIGNALS, before):
      signal.signal(signum, handler)
