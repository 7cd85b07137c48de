import errno
import fcntl
import os
import signal
import socket
import threading

import pytest

from dreamer_idm.errors import UsageError
from dreamer_idm.runs import lock
from dreamer_idm.training import signals


def test_the_last_save_is_not_interrupted_and_the_signals_come_back():
  with signals.ignored():
    os.kill(os.getpid(), signal.SIGINT)
  with pytest.raises(KeyboardInterrupt):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


def test_signals_come_back_when_saving_fails():
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(OSError), signals.ignored():
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    raise OSError
  assert signal.getsignal(signal.SIGTERM) == before


def test_threads_leave_signals_alone():
  before = signal.getsignal(signal.SIGINT)
  found = []

  def look():
    with signals.ignored(), signals.ctrl_c():
      found.append(signal.getsignal(signal.SIGINT))

  thread = threading.Thread(target=look)
  thread.start()
  thread.join()
  assert found == [before]


def test_a_folder_is_locked_once_and_free_again(tmp_path):
  with lock.locked(tmp_path / 'new'):
    with pytest.raises(UsageError, match='another run is training'):
      with lock.locked(tmp_path / 'new'):
        pass
  with lock.locked(tmp_path / 'new'):
    pass


def test_a_lock_file_that_a_killed_run_left_is_no_lock(tmp_path):
  (tmp_path / 'lock').write_text('process 1 on elsewhere\n')
  with lock.locked(tmp_path):
    text = (tmp_path / 'lock').read_text()
    assert text == f'process {os.getpid()} on {socket.gethostname()}\n'
    with pytest.raises(UsageError, match=rf'\(process {os.getpid()} on '):
      with lock.locked(tmp_path):
        pass


@pytest.fixture
def listening():
  before = {x: signal.getsignal(x) for x in signals.SIGNALS}
  for signum in signals.SIGNALS:
    signal.signal(signum, signal.SIG_DFL)  # Whatever pytest was started with.
  signals._Signals.left = -float('inf')
  signals.listen()
  yield
  for signum, handler in before.items():
    signal.signal(signum, handler)


@pytest.mark.parametrize('signum', signals.SIGNALS)
def test_signals_wait_for_the_end_of_what_is_held(listening, signum):
  done = []
  with pytest.raises(KeyboardInterrupt):
    with signals.held():
      signal.raise_signal(signum)
      done.append('whole')
    done.append('never')
  assert done == ['whole']


def test_signals_are_heard_where_that_is_allowed(listening):
  done = []
  with pytest.raises(KeyboardInterrupt), signals.held():
    with signals.held():
      signal.raise_signal(signal.SIGTERM)
    done.append('still held')
    with signals.allowed():
      done.append('never')
  with pytest.raises(KeyboardInterrupt), signals.held():
    signals._Signals.left = -float('inf')
    with signals.allowed():
      signal.raise_signal(signal.SIGTERM)
      done.append('never')
  assert done == ['still held']


def test_a_second_signal_says_nothing_new(listening, monkeypatch):
  with pytest.raises(KeyboardInterrupt):
    signal.raise_signal(signal.SIGTERM)
  signal.raise_signal(signal.SIGTERM)
  monkeypatch.setattr(signals, 'AGAIN', 0)
  with pytest.raises(KeyboardInterrupt):
    signal.raise_signal(signal.SIGTERM)


def test_nohup_stays_in_force():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  others = {
      x: signal.getsignal(x) for x in signals.SIGNALS if x != signal.SIGHUP}
  try:
    signals.listen()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
  finally:
    for x, handler in others.items():
      signal.signal(x, handler)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('number', [
    errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_systems_without_locks_are_trained_on(
    tmp_path, monkeypatch, capsys, number):
  def flock(file, operation):
    raise OSError(number, os.strerror(number))
  monkeypatch.setattr(fcntl, 'flock', flock)
  with lock.locked(tmp_path):
    err = capsys.readouterr().err
  assert len(err.splitlines()) == 1
  assert f'cannot lock ({os.strerror(number)})' in err
