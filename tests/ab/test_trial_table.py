"""The table of trials, on a terminal and without."""

import io

import pyte
import pytest
from ab_runs import make_trial

from dreamer_idm.ab import trial_table


def test_forecast(tmp_path):
  def trial(state, steps=0, pace=None):
    return make_trial(tmp_path, state=state, steps=steps, pace=pace)
  waiting = trial('waiting')
  assert trial_table.forecast([trial('running'), waiting]) == {}
  assert trial_table.forecast([trial('complete', 1000, 20)]) == {}
  trials = [
      trial('complete', 1000, 30), trial('running', 500, 10), waiting,
      trial('failed')]
  # What runs, alone; then that and 1000 steps more, at the pace of the one.
  assert trial_table.forecast(trials) == {1: 50, None: 150}
  # A trial without a pace has the mean of those that are known.
  trials.insert(2, trial('running', 0))
  assert trial_table.forecast(trials) == {
      1: 50, 2: 50, None: pytest.approx(2500 / 30)}
  trials[2].pace = 1
  trials[3].steps = 999
  assert trial_table.forecast(trials) == {1: 50, 2: 1000, None: 1000}
  assert trial_table.forecast(
      [trial('complete', 1000, 20), waiting]) == {None: 50 / 1000}


class Terminal(io.StringIO):

  def isatty(self):
    return True

  def screen(self, width, height):
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(self.getvalue().replace('\n', '\r\n'))
    return [x.rstrip() for x in screen.display if x.strip()]


def test_the_table_stays_in_place_and_fits(tmp_path, monkeypatch):
  monkeypatch.setenv('TERM', 'xterm')
  monkeypatch.setenv('COLUMNS', '70')
  monkeypatch.setenv('LINES', '6')
  states = ['complete', 'waiting', 'running', 'waiting']
  trials = [
      make_trial(tmp_path, state=x, seed=i, steps=500)
      for i, x in enumerate(states)]
  stream = Terminal()
  table = trial_table.Table(trials, stream=stream)
  for _ in range(3):
    table.show()
  head = 'task  method  seed  state    env steps  return  ETA'
  # Who runs comes first where there is no room, in the order of the plan.
  shown = [
      head, 't     m          1  waiting  500/1,000       -',
      't     m          2  running  500/1,000       -',
      't     m          3  waiting  500/1,000       -',
      '1 running, 2 waiting, 1 complete']
  assert stream.screen(70, 6) == shown
  table.note('something')
  table.show()
  lines = stream.screen(70, 24)
  assert lines[0].endswith(' something') and lines[1:] == shown
  table.end()
  lines = stream.screen(70, 24)
  assert len(lines) == 1 + 6 and lines[-1] == shown[-1]
  assert lines[2].split()[3] == 'complete'


def test_without_a_terminal_the_table_comes_at_the_end(tmp_path):
  trials = [
      make_trial(tmp_path, state=x, score=12.6, steps=200, pace=2)
      for x in ('waiting', 'running')]
  stream = io.StringIO()
  table = trial_table.Table(trials, stream=stream)
  for _ in range(3):
    table.show()
  table.note('something')
  table.end()
  lines = [x.rstrip() for x in stream.getvalue().splitlines()]
  assert lines[0].endswith(' something')
  assert lines[1:] == [
      'task  method  seed  state    env steps  return  ETA',
      't     m          0  waiting  200/1,000      13',
      't     m          0  running  200/1,000      13   7m',
      '1 running, 1 waiting; ETA 13m']
  assert '\x1b' not in stream.getvalue()


class Gone(Terminal):

  def flush(self):
    raise BrokenPipeError


def test_the_table_falls_silent_when_nobody_reads_it(tmp_path, monkeypatch):
  stream = Gone()
  monkeypatch.setattr('sys.stdout', stream)
  table = trial_table.Table([make_trial(tmp_path)])
  table.show()
  written = stream.getvalue()
  table.note('something')
  table.end()
  assert stream.getvalue() == written and trial_table.sys.stdout is None
  closed = io.StringIO()
  table = trial_table.Table([make_trial(tmp_path)], stream=closed)
  closed.close()
  table.note('something')
  trial_table.Table([make_trial(tmp_path)]).note('something')
