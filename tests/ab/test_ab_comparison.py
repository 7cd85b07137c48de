"""What runs when, by trials that only pretend (quick_trial)."""

import concurrent.futures
import fcntl

import ab_runs
import pytest
from ab_runs import attempts
from ab_runs import run_quick
from ab_runs import steps
from ab_runs import TASK

from dreamer_idm import ab
from dreamer_idm.ab import comparison
from dreamer_idm.ab import engine
from dreamer_idm.ab import plan
from dreamer_idm.ab import trial_table


@pytest.fixture(autouse=True)
def retries_at_once(monkeypatch):
  monkeypatch.setattr(comparison, 'PAUSE', 0)


def test_trials_run_in_order_and_no_more_than_asked_for(tmp_path, capsys):
  code, folders = run_quick(
      'train', tmp_path, '--jobs', '1', methods=('dreamer', 'idm'),
      seeds=(1, 0))
  assert code == 0
  times = [
      [float(x) for x in (y / 'times').read_text().split()] for y in folders]
  assert [x for pair in times for x in pair] == sorted(
      x for pair in times for x in pair)
  assert [str(x.relative_to(tmp_path)) for x in folders] == [
      f'{TASK}/dreamer/1', f'{TASK}/idm/1', f'{TASK}/dreamer/0',
      f'{TASK}/idm/0']
  out = capsys.readouterr().out
  assert '4 trials, 0 of them complete; 1 at a time' in out
  assert f'{TASK} idm seed 1: complete, return 123' in out
  assert '1,600/1,600     123' in out


def test_complete_trials_are_skipped(tmp_path, capsys):
  run_quick('train', tmp_path, seeds=(0,))
  code, folders = run_quick('train', tmp_path, seeds=(0, 1))
  assert code == 0 and [attempts(x) for x in folders] == [1, 1]
  code, _ = run_quick('fail', tmp_path, seeds=(0, 1))
  assert code == 0 and [attempts(x) for x in folders] == [1, 1]
  assert 'All 2 trials are complete' in capsys.readouterr().out


def test_a_killed_trial_is_resumed_where_it_was(tmp_path, capsys):
  code, (folder,) = run_quick('die', tmp_path)
  assert code == 0 and attempts(folder) == 2
  assert steps(folder) == list(range(80, 1601, 80))
  out = capsys.readouterr().out
  assert 'killed by signal 9 (Killed): Begun.; retry 1 of 2 in 0s' in out
  assert 'running at env step 800, attempt 2' in out


def test_a_trial_that_fails_is_tried_so_often_and_the_others_are_not(
    tmp_path, capsys):
  code, folders = run_quick(
      'fail,train', tmp_path, '--retries', '1', seeds=(0, 1))
  assert code == 1 and [attempts(x) for x in folders] == [2, 1]
  out = capsys.readouterr().out
  lines = out.splitlines()
  assert lines[-2] == '1 failed, 1 complete'
  assert lines[-1].endswith(
      f'{TASK} dreamer seed 0: failed, exit code 1: RuntimeError: no luck '
      f'(more in {folders[0]}/ab.log)')
  assert steps(folders[1])[-1] == 1600
  # What the user's own code raised is shown with where it did.
  shown = out[out.index('File "'):]
  assert shown.split('\n')[0].endswith('in train')
  assert "    raise RuntimeError('no luck')" in shown
  assert f'\n    more in {folders[0]}/ab.log' in shown


def test_mistakes_of_the_users_are_not_tried_again(tmp_path, capsys):
  code, (folder,) = run_quick('usage', tmp_path)
  assert code == 1 and attempts(folder) == 1
  out = capsys.readouterr().out
  assert 'exit code 2: error: --x must be y; not retried' in out


def test_folders_that_are_in_use_for_an_instant(tmp_path, capsys):
  code, folders = run_quick('late,busy', tmp_path, seeds=(0, 1))
  assert code == 1 and [attempts(x) for x in folders] == [2, 3]
  assert steps(folders[0])[-1] == 1600
  lines = capsys.readouterr().out.splitlines()
  assert lines[-2] == '1 in use, 1 complete'
  assert 'dreamer seed 1: in use, exit code 2: error: another ' in lines[-1]
  assert not any('failed' in x for x in lines)


class Clock:
  """Time that passes only while somebody sleeps."""

  now = 1000.0

  def time(self):
    return self.now

  def sleep(self, seconds):
    self.now += seconds


class FailingEngine:
  """Whose trials all fail at once."""

  limit = 1

  def __init__(self, clock):
    self.clock, self.starts = clock, []

  def start(self, trial):
    self.starts.append(self.clock.now)
    future = concurrent.futures.Future()
    try:
      raise OSError('full')
    except OSError as error:
      future.set_exception(error)
    return future


def test_the_pause_before_a_retry_grows(tmp_path, capsys, monkeypatch):
  clock = Clock()
  monkeypatch.setattr(comparison, 'time', clock)
  monkeypatch.setattr(comparison, 'PAUSE', 5)
  trials = [ab_runs.make_trial(tmp_path)]
  failing = FailingEngine(clock)
  code = comparison.Comparison(
      trials, failing, 3, trial_table.Table(trials)).run()
  assert code == 1
  assert failing.starts == [1000, 1005, 1035, 1215]
  out = capsys.readouterr().out
  assert 'OSError: full; retry 1 of 3 in 5s' in out
  assert 'OSError: full; retry 3 of 3 in 3m' in out
  assert 'OSError: full; not retried' in out
  log = (trials[0].logdir / 'ab.log').read_text()
  assert log.count('Traceback (most recent call last)') == 4
  assert "in start\n    raise OSError('full')" in log


def test_folders_that_cannot_be_made(tmp_path, capsys):
  args = ab_runs.arguments(tmp_path, '--retries', '1')
  (tmp_path / TASK).touch()
  assert ab.run(args, [*ab_runs.QUICK, 'train']) == 1
  out = capsys.readouterr().out
  assert 'cannot be run, NotADirectoryError: ' in out
  assert 'retry 1 of 1' in out and 'not retried' in out


def test_a_folder_in_use_is_left_alone(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(comparison, 'GRACE', 0)
  args = ab_runs.arguments(tmp_path, seeds=(0, 1, 2))
  trials = plan.plan(args, [*ab_runs.QUICK, 'train'])
  locks = []
  for trial in trials[:2]:
    trial.logdir.mkdir(parents=True)
    locks.append((trial.logdir / 'lock').open('w'))
    fcntl.flock(locks[-1], fcntl.LOCK_EX)
  class Engine(engine.LocalEngine):
    def start(self, trial):
      future = super().start(trial)  # Whoever had the other is done then.
      future.add_done_callback(lambda _: locks[1].close())
      return future
  code = comparison.Comparison(
      trials, Engine(args), 2, trial_table.Table(trials)).run()
  locks[0].close()
  assert code == 1
  assert [x.state for x in trials] == ['in use', 'complete', 'complete']
  assert [x.attempts for x in trials] == [0, 1, 1]
  out = capsys.readouterr().out
  assert f'{TASK} dreamer seed 0: in use, another process trains' in out


def test_trials_save_when_the_comparison_itself_fails(
    tmp_path, capsys, monkeypatch):
  folder = tmp_path / TASK / 'dreamer' / '0'
  show = trial_table.Table.show
  def fail(self):
    show(self)
    if (folder / 'metrics.jsonl').exists():
      raise BrokenPipeError('whatever')
  monkeypatch.setattr(trial_table.Table, 'show', fail)
  code, _ = run_quick('wait', tmp_path)
  assert code == 1
  assert len((folder / 'saved').read_text().split()) == 1
  out, err = capsys.readouterr()
  assert 'BrokenPipeError in ab itself: the trials save' in out
  assert out.splitlines()[-2] == '1 stopped'
  assert err.splitlines()[-1] == 'BrokenPipeError: whatever'
