"""Real trainings that are killed, starved or fed what is not finite."""

import gc
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

sys.path.insert(0, str(ROOT))
from bench import faults  # noqa: E402
from dreamer_idm.agent import tf_setup  # noqa: E402
from dreamer_idm.config import load as config_lib  # noqa: E402
from dreamer_idm.errors import TrainingError  # noqa: E402
from dreamer_idm.errors import UsageError  # noqa: E402
from dreamer_idm.runs import checkpoints  # noqa: E402
from dreamer_idm.runs import metrics_file  # noqa: E402
from dreamer_idm.training import loop  # noqa: E402
from dreamer_idm.training import sanity_checks  # noqa: E402


@pytest.mark.parametrize('kills', [2, pytest.param(6, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_again_and_again_loses_nothing(tmp_path, kills):
  """The short version of `bench/faults.py --kills 20`."""
  found = faults.crash(tmp_path, 300 * kills, kills, seed=9)
  assert found['call'] and found['episodes'] > 5 * kills


@pytest.fixture
def training(tmp_path, monkeypatch):
  """A training in this process, of the tiniest networks."""
  monkeypatch.chdir(ROOT)
  opened = []

  def begin(*flags):
    config = config_lib.load([
        *faults.FLAGS, '--steps', '110', '--prefill', '60',
        '--train_every', '10', '--pretrain', '1', '--time_limit', '30',
        *flags])
    opened.append(loop.Training(config, tmp_path))
    return opened[-1]
  yield begin
  for each in opened:
    each.close()


def at_step(training, number, act):
  training.collector.driver.on_step(
      lambda transition, worker: int(training.step) == number and act())


def test_a_loss_that_is_not_finite_ends_it_with_the_last_state_kept(
    training, tmp_path):
  first = training()

  def poison():  # By a reward whose square no float32 can hold.
    for episode in first.collector.replay._complete_eps.values():
      episode['reward'][:] = 1e30
  at_step(first, 75, poison)
  with pytest.raises(TrainingError, match=(
      r'(model_loss|distribution of actions) is not finite in update 4: '
      r'lower .* Stopped at env step '
      r'80; the same command resumes from the last checkpoint, at env step '
      r'60\.')):
    first.run()
  found = checkpoints.Checkpoints(tmp_path / 'checkpoints')
  assert found.names() == ['60', 'latest', 'best']
  assert sanity_checks.problem(found.state()) == ''


def test_no_checkpoint_is_made_of_parameters_that_are_not_finite(
    training, tmp_path):
  first = training()

  def poison():
    variable = first.learner.agent.wm.model_opt.variables[-1]
    variable.assign(tf.fill(variable.shape, np.float32(np.inf)))
    raise KeyboardInterrupt  # Which would save.
  at_step(first, 65, poison)
  with pytest.raises(TrainingError, match='is not finite after update 2: no '):
    first.run()
  assert checkpoints.Checkpoints(
      tmp_path / 'checkpoints').names() == ['60', 'latest', 'best']


@pytest.mark.slow
def test_steps_that_float16_skips_are_counted(training, tmp_path):
  tf_setup.configure('16')
  try:
    training('--task', 'gym_Pendulum-v1', '--precision', '16',
             '--log_every', '10').run()
  finally:
    tf_setup.configure('32')
  rows = metrics_file.read(tmp_path)
  rows = [x for x in rows if 'model_loss_scale' in x]
  # The first scale, 2^15, is too large for these rewards.
  assert sum(x.get('model_skipped', 0) for x in rows) >= 1
  assert rows[-1]['model_loss_scale'] < 2 ** 15
  assert all(np.isfinite(list(x.values())).all() for x in rows)
  assert not any('critic_skipped' in x for x in rows)


@pytest.mark.slow
def test_evaluations_leave_no_garbage(training):
  first, found = training(), []
  # There is an evaluation at step 60.
  at_step(first, 61, lambda: found.extend(
      [gc.collect(), len(gc.get_objects()), gc.get_freeze_count()]))
  first.run()
  garbage, looked_at, frozen = found
  assert garbage < 1000  # Of a figure there are 3,000.
  # TensorFlow's graphs make no collection slow.
  assert looked_at < frozen
  first.close()
  assert gc.get_freeze_count() == 0


def test_what_only_shows_may_fail(training, tmp_path, capsys):
  (tmp_path / 'learning_curve.png').mkdir()
  first = training()

  def full(*args):
    raise OSError(28, 'No space left on device')
  tensorboard = first.folder.log._logger._outputs[1]
  output = tensorboard.__closure__
  for cell in output:
    if hasattr(cell.cell_contents, '_ensure_writer'):
      cell.cell_contents._ensure_writer = full
  first.run()
  out = capsys.readouterr().out
  assert out.count("TensorBoard's log cannot be written (") == 1
  assert out.count('learning_curve.png cannot be written (') == 1
  assert 'Done. Results are in' in out
  found = checkpoints.Checkpoints(tmp_path / 'checkpoints')
  assert found.path().name == '110'


def test_other_networks_under_the_same_config_are_reported(training, tmp_path):
  training().run()
  config = (tmp_path / 'config.yaml').read_bytes()
  second = training('--steps', '120', '--rssm.deter', '9')
  with pytest.raises(UsageError, match='does not have the networks of .*'):
    second.run()
  assert (tmp_path / 'config.yaml').read_bytes() == config


@pytest.mark.slow
def test_several_environments_step_over_no_evaluation(training, tmp_path):
  training('--envs', '2', '--eval_every', '25', '--steps', '111').run()
  rows = metrics_file.read(tmp_path)
  # Two steps at a time: there is no 75th that anything could end at. Of the
  # last two, one is past the end.
  assert [x['step'] for x in rows if 'eval_return' in x] == [60, 76, 100, 111]
  assert checkpoints.Checkpoints(tmp_path / 'checkpoints').step() == 111


@pytest.mark.slow
def test_the_learning_curve_is_redrawn_at_every_evaluation(training, tmp_path):
  first, drawn = training('--eval_every', '20'), []
  for step in (61, 81, 101):
    at_step(first, step, lambda: drawn.append(
        (tmp_path / 'learning_curve.png').read_bytes()))
  first.run()
  drawn.append((tmp_path / 'learning_curve.png').read_bytes())
  assert len(set(drawn)) == 4


def test_without_evaluations_the_best_goes_by_the_agents_own_episodes(
    training, tmp_path):
  flags = ['--eval_eps', '0', '--eval_every', '20']
  first = training(*flags)

  def interrupt():
    raise KeyboardInterrupt
  at_step(first, 95, interrupt)
  with pytest.raises(KeyboardInterrupt):
    first.run()
  found = checkpoints.Checkpoints(tmp_path / 'checkpoints')
  # Two episodes of the prefill and one of the agent have ended.
  assert found.state()['best'] is None
  first.close()
  training(*flags).run()
  rows = [x for x in metrics_file.read(tmp_path) if 'train_return' in x]
  assert [x['step'] for x in rows] == [30, 60, 90]
  assert found.state('best')['step'] == 100
  assert found.state()['best'] == pytest.approx(rows[-1]['train_return'])


@pytest.mark.slow
def test_a_closed_pipe_saves_and_ends(tmp_path):
  run = faults.Run(tmp_path, 100_000)
  process = run.start()
  for line in process.stdout:
    if line.startswith('Env step 100:'):
      break
  process.stdout.close()
  assert process.wait(timeout=900) == 130
  assert checkpoints.Checkpoints(run.logdir / 'checkpoints').step() > 100


@pytest.mark.slow
def test_a_pipe_closed_before_the_start_ends_likewise(tmp_path):
  run = faults.Run(tmp_path, 100)
  episodes = run.logdir / 'train_episodes'
  episodes.mkdir(parents=True)
  (episodes / '20260101T000000-0-100.npz').write_bytes(b'foreign')
  process = run.start()
  process.stdout.close()  # Nobody reads of the file in quarantine.
  assert process.wait(timeout=900) == 130
  assert not (run.logdir / 'checkpoints').exists()


def small(path, size):
  path.mkdir(parents=True, exist_ok=True)
  done = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', size, 'tmpfs', str(path)],
      capture_output=True, check=False)
  if done.returncode:
    pytest.skip('only root may mount a small file system')


@pytest.mark.parametrize('where', [
    'checkpoints', pytest.param('train_episodes', marks=pytest.mark.slow)])
def test_a_full_disk_is_one_line_and_keeps_what_there_is(
    training, tmp_path, where):
  small(tmp_path / where, 'size=1m')
  filler = tmp_path / where / 'filler'
  try:
    first = training()
    at_step(first, 80, lambda: fill(filler))
    with pytest.raises(TrainingError, match=(
        'No space left.*the same command resumes from the last checkpoint, at '
        'env step 60')) as error:
      first.run()
    assert '\n' not in str(error.value)
    filler.unlink(missing_ok=True)
    assert not list((tmp_path / where).rglob('.*'))
    assert not list((tmp_path / where).rglob('unfinished'))
  finally:
    subprocess.run(['umount', '-l', str(tmp_path / where)], check=True)


def fill(path):
  with path.open('wb') as file:
    try:
      while True:
        file.write(os.urandom(1024))
        file.flush()
    except OSError:
      pass


@pytest.mark.slow
def test_a_folder_that_is_read_only_is_one_line(tmp_path):
  small(tmp_path / 'disk', 'size=64k')
  try:
    subprocess.run(
        ['mount', '-o', 'remount,ro', str(tmp_path / 'disk')], check=True)
    done = subprocess.run(
        [sys.executable, 'run.py', *faults.FLAGS, '--logdir',
         str(tmp_path / 'disk' / 'run')], cwd=ROOT, capture_output=True,
        text=True, check=False)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert re.search('Read-only.*--logdir', done.stderr)
  finally:
    subprocess.run(['umount', '-l', str(tmp_path / 'disk')], check=True)
