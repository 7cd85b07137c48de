import io
import time

from dreamer_idm.training import progress


def test_a_line_whenever_the_interval_is_over(monkeypatch):
  now = [1000.0]
  monkeypatch.setattr(time, 'time', lambda: now[0])
  stream = io.StringIO()
  shown = progress.Progress(50_000, interval=30, stream=stream)
  for second in range(120):
    now[0] += 1
    shown.tick(10 * second, train_return=12.4)
  lines = stream.getvalue().splitlines()
  assert len(lines) == 4
  assert lines[-1].startswith('env step 1,190 of 50,000 | 10.0 env steps/s')
  assert lines[-1].endswith('train return 12')


def test_a_long_call_is_not_silent():
  stream = io.StringIO()
  shown = progress.Progress(10, interval=0.5, stream=stream)
  with shown.during('tracing'):
    time.sleep(2.5)
  assert 'tracing' in stream.getvalue()


class Terminal(io.StringIO):

  def isatty(self):
    return True


def test_a_bar_on_a_terminal():
  stream = Terminal()
  shown = progress.Progress(100, stream=stream)
  shown.tick(50, eval_return=321.0)
  shown.note('a line that stays')
  shown.tick(100)
  shown.close()
  assert 'a line that stays\n' in stream.getvalue()
  assert 'eval return 321' in stream.getvalue()
  assert '100/100' in stream.getvalue()
