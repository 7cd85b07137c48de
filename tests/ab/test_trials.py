"""What is read of a trial's folder."""

from ab_runs import make_trial
from ab_runs import save_step
from ab_runs import write_metrics

from dreamer_idm.runs import metrics_file


def test_damaged_steps_are_not_read(tmp_path):
  trial = make_trial(tmp_path)
  write_metrics(
      trial, {'step': 20}, {'step': float('nan')}, {'step': 10 ** 400})
  trial.look()
  assert trial.steps == 20


def test_a_trial_is_complete_with_an_evaluation_at_its_last_step(tmp_path):
  trial = make_trial(tmp_path / 'run')
  assert not trial.complete()
  write_metrics(trial, {'step': 996, 'eval_return': 5.0}, {'step': 1000})
  (trial.logdir / 'config.yaml').touch()
  assert not trial.complete()
  last = {'step': 1000, 'eval_return': 5.0}
  write_metrics(trial, last, end='')
  assert trial.complete()
  write_metrics(trial, last, {'step': 1000}, end='{"st')
  assert trial.complete()
  save_step(trial, 200)  # Agent steps: this one has not been saved yet.
  assert not trial.complete()
  save_step(trial, 250)
  assert trial.complete()
  (trial.logdir / 'config.yaml').unlink()
  assert not trial.complete()


def test_the_pace_is_that_of_training_lately(tmp_path):
  trial = make_trial(tmp_path)
  rows = [{'step': 100, 'fps': 90.0}, {'step': 100, 'train_return': 1.0}]
  write_metrics(trial, *rows)
  trial.look()
  assert trial.steps == 100 and trial.pace is None  # The random steps.
  rows += [
      {'step': 200, 'updates': 1, 'fps': 0.0, 'eval_return': 7.0},
      {'step': 200, 'updates': 1, 'fps': 'fast'}, {'step': 200, 'updates': 1}]
  write_metrics(trial, *rows)
  trial.look()
  assert trial.pace is None and trial.score == 7
  # 200 steps in 10 and 30 seconds are 10 steps per second.
  rows += [{'step': 300, 'updates': 5, 'fps': 20.0},
           {'step': 600, 'updates': 9, 'fps': 20 / 3}]
  write_metrics(trial, *rows)
  trial.look()
  assert round(trial.pace, 6) == 10 and trial.steps == 600
  rows += [{'step': 700, 'updates': 9, 'fps': 50.0}] * 5
  write_metrics(trial, *rows)
  trial.look()
  assert trial.pace == 50


def test_metrics_that_cannot_be_read_now(tmp_path, monkeypatch):
  trial = make_trial(tmp_path)
  write_metrics(trial, {'step': 1000, 'eval_return': 5.0})
  (trial.logdir / 'config.yaml').touch()
  def fail(logdir):
    raise OSError
  with monkeypatch.context() as patch:
    patch.setattr(metrics_file, 'read', fail)
    trial.look()
    assert trial.steps == 0 and not trial.complete()
  trial.look()
  assert trial.steps == 1000 and trial.complete()
