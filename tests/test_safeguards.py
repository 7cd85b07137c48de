import errno
import fcntl
import os
import signal

import pytest

from dreamer_idm import safeguards
from dreamer_idm.errors import UsageError


def test_the_last_save_is_not_interrupted_and_the_signals_come_back():
  with safeguards.undisturbed():
    os.kill(os.getpid(), signal.SIGINT)
  with pytest.raises(KeyboardInterrupt):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


def test_signals_come_back_when_saving_fails():
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(OSError), safeguards.undisturbed():
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    raise OSError
  assert signal.getsignal(signal.SIGTERM) == before


def test_a_folder_is_locked_once_and_free_again(tmp_path):
  with safeguards.locked(tmp_path / 'new'):
    with pytest.raises(UsageError, match='another run is at work'):
      with safeguards.locked(tmp_path / 'new'):
        pass
  with safeguards.locked(tmp_path / 'new'):
    pass


@pytest.mark.parametrize('number', [
    errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_systems_without_locks_are_trained_on(
    tmp_path, monkeypatch, capsys, number):
  def flock(file, operation):
    raise OSError(number, os.strerror(number))
  monkeypatch.setattr(fcntl, 'flock', flock)
  with safeguards.locked(tmp_path):
    err = capsys.readouterr().err
  assert len(err.splitlines()) == 1
  assert f'cannot lock ({os.strerror(number)})' in err
