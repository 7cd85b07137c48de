import contextlib
import io
import os
import threading
import time

import pyte
import pytest

from dreamer_idm.training import progress


class Terminal(io.StringIO):
  """A stream that says it is a terminal, with what such a one shows."""

  def isatty(self):
    return True

  def screen(self):
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(self.getvalue().replace('\n', '\r\n'))
    return [x.rstrip() for x in screen.display if x.strip()]


def test_a_line_whenever_the_interval_is_over(monkeypatch):
  now = [1000.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  stream = io.StringIO()
  shown = progress.Progress(50_000, interval=30, stream=stream)
  for second in range(120):
    now[0] += 1
    shown.tick(10 * second, train_return=12.4)
  lines = stream.getvalue().splitlines()
  assert len(lines) == 4
  assert lines[-1].startswith('env step 1,190 of 50,000 | 10.0 env steps/s')
  assert lines[-1].endswith('train return 12')


def test_the_speed_is_that_of_the_last_interval(monkeypatch):
  now = [1000.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  monkeypatch.setenv('TERM', 'xterm')
  stream = Terminal()
  shown = progress.Progress(50_000, interval=30, stream=stream)
  step = 0
  for second in range(200):
    now[0] += 1
    step += 10 if second < 100 else 20
    shown.tick(step)
  assert '20.0 env steps/s' in stream.screen()[0]
  assert '39m left' in stream.screen()[0]


@pytest.mark.parametrize('terminal', [False, True])
def test_whoever_ticks_learns_that_nobody_reads(monkeypatch, terminal):
  monkeypatch.setenv('TERM', 'xterm')
  reader, writer = os.pipe()
  stream = os.fdopen(writer, 'w')
  stream.isatty = lambda: terminal
  shown = progress.Progress(100, interval=0, stream=stream)
  shown.tick(1)
  os.close(reader)
  time.sleep(progress.REDRAWN)
  with pytest.raises(BrokenPipeError):
    shown.tick(2)
  shown.close()
  with contextlib.suppress(BrokenPipeError):
    stream.close()


def test_the_time_left_is_never_negative(monkeypatch):
  now = [1000.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  stream = io.StringIO()
  shown = progress.Progress(100, interval=0, stream=stream)
  for second, step in ((1, 90), (2, 110), (-5, 120), (-5, 130), (-4, 131)):
    now[0] = 1000 + second
    shown.tick(step)
  lines = stream.getvalue().splitlines()
  assert '| 0s left' in lines[1] and not any('| -' in x for x in lines)


def test_nothing_runs_beside_it():
  before = threading.active_count()
  shown = progress.Progress(100, stream=Terminal())
  shown.tick(50)
  assert threading.active_count() == before
  shown.close()


def test_a_live_line_on_a_terminal(monkeypatch):
  monkeypatch.setenv('TERM', 'xterm')
  now = [1000.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  stream = Terminal()
  shown = progress.Progress(100, stream=stream)
  for step in (40, 50):
    now[0] += 1
    shown.tick(step, eval_return=321.0)
  shown.note('a line that stays')
  line, live = stream.screen()
  assert line == 'a line that stays'
  assert live.endswith(
      'env step 50 of 100 | 25.0 env steps/s | 2s left | eval return 321')
  shown.close()
  assert stream.screen() == ['a line that stays']
