"""Lines that stay, and the part that is redrawn below them."""

import errno
import io
import sys

import pyte
import pytest
import rich.table

from dreamer_idm import display


@pytest.mark.parametrize('seconds, text', [
    (0, '0s'), (45, '45s'), (12 * 60, '12m'), (3 * 3600 + 300, '3h 05m'),
    (4 * 86400 + 11 * 3600, '4d 11h')])
def test_duration(seconds, text):
  assert display.duration(seconds) == text


@pytest.mark.parametrize('number, text', [
    (0, '0 runs'), (1, '1 run'), (1.0, '1 run'), (1234, '1,234 runs')])
def test_counted(number, text):
  assert display.counted(number, 'run') == text


def table():
  made = rich.table.Table('task', 'steps', box=None)
  made.add_row('x' * 200, '1 [red]')
  return made


def test_without_a_terminal_there_are_plain_whole_lines():
  stream = io.StringIO()
  shown = display.Display(stream)
  assert not shown.live
  shown.note('[bold] ' + 'y' * 300 + ' :smile: 3.14')
  shown.show('never seen')
  shown.note(table())
  shown.close()
  lines = stream.getvalue().splitlines()
  assert lines[0] == '[bold] ' + 'y' * 300 + ' :smile: 3.14'
  assert 'x' * 200 in lines[2] and '1 [red]' in lines[2]
  assert len(lines) == 3 and '\x1b' not in stream.getvalue()


class Terminal(io.StringIO):
  """A stream that says it is a terminal, with what such a one shows."""

  def isatty(self):
    return True

  def screen(self, width=80, height=24):
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(self.getvalue().replace('\n', '\r\n'))
    return [x.rstrip() for x in screen.display if x.strip()]


def test_lines_stay_above_what_is_redrawn(monkeypatch):
  monkeypatch.setenv('TERM', 'xterm')
  stream = Terminal()
  shown = display.Display(stream)
  assert shown.live
  shown.note('first')
  shown.show('one\ntwo')
  assert stream.screen() == ['first', 'one', 'two']
  shown.note('second')
  shown.show('three')
  assert stream.screen() == ['first', 'second', 'three']
  shown.close()
  assert stream.screen() == ['first', 'second']
  shown.show('four')
  assert stream.screen() == ['first', 'second', 'four']
  assert stream.getvalue().rfind('\x1b[?25h') > (
      stream.getvalue().rfind('\x1b[?25l'))  # The cursor is never hidden.


def test_a_table_fits_the_terminal(monkeypatch):
  monkeypatch.setenv('TERM', 'xterm')
  monkeypatch.setenv('COLUMNS', '40')
  monkeypatch.setenv('LINES', '6')
  stream = Terminal()
  shown = display.Display(stream)
  shown.note('y' * 50)
  shown.show(table())
  assert shown.height == 6
  lines = stream.screen(40, 6)
  assert lines[:2] == ['y' * 40, 'y' * 10]
  assert max(map(len, lines)) <= 40 and len(lines) <= 6


def test_a_terminal_that_redraws_nothing_gets_lines(monkeypatch):
  monkeypatch.setenv('TERM', 'dumb')
  assert not display.Display(Terminal()).live


@pytest.mark.parametrize('number', [errno.EPIPE, errno.EIO])
@pytest.mark.parametrize('terminal', [False, True])
def test_whoever_writes_learns_that_nobody_reads(
    monkeypatch, number, terminal):
  monkeypatch.setenv('TERM', 'xterm')
  class Gone(io.StringIO):
    def isatty(self):
      return terminal
    def flush(self):
      raise OSError(number, 'gone')
  shown = display.Display(Gone())
  with pytest.raises(BrokenPipeError):
    shown.note('something')
  if terminal:
    with pytest.raises(BrokenPipeError):
      shown.show('something')


def test_without_any_output_nothing_happens(monkeypatch):
  monkeypatch.setattr(sys, 'stdout', None)
  display.Display().note('something')
