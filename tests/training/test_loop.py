"""Real runs of run.py on real pixels, in processes of their own."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import part
from conftest import ROOT
from conftest import SMALL
from PIL import Image

from dreamer_idm import __main__
from dreamer_idm.config import load as config_lib
from dreamer_idm.runs import metrics_file
from dreamer_idm.runs import provenance
from dreamer_idm.training import messages
from dreamer_idm.training import signals

DEBUG = [
    '--configs', 'dmc', 'idm', 'debug', '--imag_horizon', '3',
    '--dataset.batch', '8', '--dataset.length', '10', '--replay.minlen', '10',
    '--replay.maxlen', '10']
# Every update is logged by itself; 20 of them after 100 random steps.
EACH = [
    '--steps', '120', '--train_every', '1', '--log_every', '1', '--pretrain',
    '3', '--eval_every', '1000', '--time_limit', '50']


def command(logdir, *flags):
  presets = [] if '--configs' in flags else DEBUG
  return [
      sys.executable, str(ROOT / 'run.py'), *presets, '--logdir', str(logdir),
      *flags]


def run(logdir, *flags):
  return subprocess.run(
      command(logdir, *flags), capture_output=True, text=True, timeout=900,
      check=False)


def refused(capfd, logdir, *flags):
  """Runs a command that does not train, in this process; exit code, texts."""
  capfd.readouterr()
  handlers = {x: signal.getsignal(x) for x in signals.SIGNALS}
  try:
    code = __main__.main(['train', *command(logdir, *flags)[2:]])
  finally:
    for number, handler in handlers.items():
      signal.signal(number, handler)
  return subprocess.CompletedProcess(flags, code, *capfd.readouterr())


def metrics(logdir):
  lines = (logdir / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(x) for x in lines]


@pytest.fixture(scope='module')
def twice(tmp_path_factory):
  """The same command, run twice in folders of its own."""
  folder = tmp_path_factory.mktemp('runs')
  done = {x: run(folder / x, *EACH) for x in ('first', 'second')}
  for name, process in done.items():
    assert process.returncode == 0, name + process.stdout + process.stderr
  return folder, done


def test_the_same_command_gives_the_same_first_updates(twice):
  folder, _ = twice
  first, second = [
      [x for x in metrics(folder / name) if 'model_loss' in x]
      for name in ('first', 'second')]
  assert len(first) >= 20
  assert len({x['model_loss'] for x in first}) == len(first)
  for one, other in zip(first, second, strict=True):
    one.pop('fps', None), other.pop('fps', None)
    assert one == other


def test_a_run_leaves_what_it_promises_and_says_only_that(twice):
  folder, done = twice
  logdir, process = folder / 'first', done['first']
  assert process.stderr == ''
  for line in process.stdout.splitlines():
    assert line.startswith((
        'dreamer-idm ', 'The agent reads', 'The replay will need',
        'Collecting', 'Building', 'Built',
        'An update takes', 'env step', 'Env step', 'Done.')), line
  names = {x.name for x in logdir.iterdir()}
  assert {
      'config.yaml', 'metrics.jsonl', 'provenance.jsonl', 'checkpoints',
      'train_episodes', 'learning_curve.png', 'reconstruction_openl_image.png',
      'policy.gif',
  } <= names
  assert any('tfevents' in x for x in names)
  assert not list(logdir.rglob('*.pkl'))
  with Image.open(logdir / 'policy.gif') as video:
    assert 2 <= video.n_frames <= 51  # Pillow merges equal frames.
    assert video.size == (128, 128)
  with Image.open(logdir / 'reconstruction_openl_image.png') as image:
    assert np.std(np.array(image)) > 1
  rows = metrics(logdir)
  assert [x for x in rows if 'eval_return' in x][-1]['env_step'] == 240
  assert all(
      x['env_step'] == 2 * x['agent_step'] == x['step']
      for x in rows if 'env_step' in x)
  last = [x for x in rows if 'idm_kl' in x][-1]
  assert last['idm_weight_mean'] == pytest.approx(1, abs=1e-5)
  evaluated = [x for x in rows if 'eval_rotated_return' in x]
  assert [x['step'] for x in evaluated] == [200, 240]


def test_a_run_resumes_with_other_settings_only_if_asked(twice):
  folder, done = twice
  logdir = folder / 'second'
  record, = provenance.read(logdir)
  assert messages.start(record) in done['second'].stdout.splitlines()
  assert record.items() >= {
      'step': 0, 'agent_step': 0, 'changed': {}, 'device': 'CPU',
      'precision': '32'}.items()
  assert '--eval_every 1000' in record['command']
  before = metrics(logdir)
  files = {
      x: (logdir / x).read_bytes()
      for x in ('config.yaml', 'metrics.jsonl', 'provenance.jsonl')}
  other = [*EACH, '--steps', '130', '--model_opt.lr', '1e-5']
  process = run(logdir, *other)
  assert process.returncode == 2 and process.stderr.count('\n') == 1
  assert 'model_opt.lr 0.0006 (now 1e-05)' in process.stderr
  assert files == {x: (logdir / x).read_bytes() for x in files}
  process = run(logdir, *other, '--resume_changed', 'True')
  assert process.returncode == 0, process.stderr
  assert 'at first: model_opt.lr 0.0006 (now 1e-05)' in process.stdout
  assert (logdir / 'config.yaml').read_bytes() == files['config.yaml']
  changed = provenance.read(logdir)[1]
  assert (changed['step'], changed['agent_step']) == (240, 120)
  assert changed['changed'] == {
      'model_opt.lr': [6e-4, 1e-5], 'resume_changed': [False, True],
      'steps': [120, 130]}
  assert metrics(logdir)[:len(before)] == before
  assert metrics(logdir)[-1]['agent_step'] == 130
  # The first command would undo it.
  process = run(logdir, *EACH, '--steps', '140')
  assert process.returncode == 2 and process.stderr.count('\n') == 1
  assert 'model_opt.lr 1e-05 (now 0.0006)' in process.stderr


def test_a_complete_run_says_so_and_stays_as_it_is(twice):
  folder, _ = twice
  before = metrics(folder / 'first')
  config = (folder / 'first' / 'config.yaml').read_bytes()
  process = run(folder / 'first', *EACH, '--log_every', '5')
  assert process.returncode == 0
  assert (folder / 'first' / 'config.yaml').read_bytes() == config
  *_, line = process.stdout.splitlines()
  assert line.startswith('This run is complete at env step 240;')
  assert metrics(folder / 'first') == before


def test_flags_of_other_methods_are_named(twice, capfd):
  folder, _ = twice
  process = refused(
      capfd, folder / 'first', *EACH, '--planet.iterations', '3')
  assert process.returncode == 0
  assert process.stderr == (
      'note: --planet.iterations has no effect on the agent idm; is the preset '
      'planet missing behind --configs?\n')


def test_a_run_does_not_resume_with_other_networks(twice, capfd):
  folder, _ = twice
  before = (folder / 'first' / 'config.yaml').read_bytes()
  process = refused(
      capfd, folder / 'first', *EACH, '--rssm.deter', '20', '--discount', '0.5')
  assert process.returncode == 2
  assert process.stderr.count('\n') == 1
  assert 'discount 0.99 (now 0.5), rssm.deter 16 (now 20)' in process.stderr
  assert (folder / 'first' / 'config.yaml').read_bytes() == before


@pytest.mark.slow
def test_a_finished_run_resumes_with_more_steps(twice):
  folder, _ = twice
  logdir = folder / 'first'
  before = metrics(logdir)
  episodes = sorted(x.name for x in (logdir / 'train_episodes').iterdir())
  process = run(logdir, *EACH, '--steps', '130')
  assert process.returncode == 0, process.stderr
  assert 'Resumed at env step 240 after' in process.stdout
  rows = metrics(logdir)
  assert rows[:len(before)] == before
  assert rows[-1]['agent_step'] == 130
  updates = [x['updates'] for x in rows if 'updates' in x]
  assert updates == sorted(updates) and updates[-1] == updates[0] + 30
  assert set(episodes) <= {
      x.name for x in (logdir / 'train_episodes').iterdir()}


def test_interrupted_run_saves_and_resumes_where_it_was(tmp_path):
  process = subprocess.Popen(
      command(
          tmp_path, '--steps', '1e5', '--time_limit', '50', '--log_every', '5'),
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
  try:
    for line in process.stdout:
      if line.startswith('Env step 200'):
        break
    while metrics_file.read(tmp_path)[-1]['step'] <= 200:
      assert process.poll() is None
      time.sleep(0.2)
    process.send_signal(signal.SIGUSR1)  # As Slurm does.
    out, err = process.communicate(timeout=900)
  finally:
    process.kill()
  assert process.returncode == 130, err
  assert 'Traceback' not in err
  line, = [x for x in out.splitlines() if x.startswith('Stopped')]
  stopped = int(line.split()[4].strip(';').replace(',', ''))
  assert stopped > 200
  # An episode from after the checkpoint, as a killed run leaves it.
  folder = tmp_path / 'train_episodes'
  known = sorted(folder.glob('*.npz'))
  late = folder / '29990101T000000-0-50.npz'
  late.write_bytes(known[0].read_bytes())
  process = run(
      tmp_path, '--steps', str(stopped // 2 + 10), '--time_limit', '50')
  assert process.returncode == 0, process.stderr
  assert f'Resumed at env step {stopped:,}' in process.stdout
  assert '1 episode that no checkpoint knows of' in process.stdout
  assert not late.exists()
  assert late.with_name(late.name + '.after_checkpoint').exists()
  assert metrics(tmp_path)[-1]['env_step'] == stopped + 20


def test_resuming_restores_all_that_can_be(eager, tmp_path):
  """Exact: variables, moments, counters, NumPy's draws, hence the batches.

  Not exact: the noise of TensorFlow's operations and the environment's own
  generator, whose states cannot be read. A resumed run is therefore equal to
  an uninterrupted one up to the interruption only.
  """
  from dreamer_idm.envs import rendering
  from dreamer_idm.idm.trajectory_evaluator import TrajectoryEvaluator
  from dreamer_idm.training import loop
  rendering.choose_backend()
  config = config_lib.load([
      '--configs', 'dmc', 'idm', 'debug', *SMALL, '--prefill', '30',
      '--time_limit', '30', '--steps', '40', '--eval_every', '1000'])

  def build():
    training = loop.Training(config, tmp_path)
    training._prefill()
    training._build()
    return training

  first = build()
  for _ in range(3):
    first._update()
  first.learner.to_pretrain = 5
  first.checkpoint(score=12.5)
  second = build()
  try:
    mine = first.learner.agent.variables
    for x, y in zip(mine, second.learner.agent.variables, strict=True):
      np.testing.assert_array_equal(x, y, x.name)
    optimizers = [
        lambda x: x.wm.model_opt, lambda x: x._task_behavior.actor_opt,
        lambda x: x._task_behavior.critic_opt,
        lambda x: part(x, TrajectoryEvaluator)._opt]
    for optimizer in optimizers:
      moments = [
          optimizer(x.learner.agent).variables for x in (first, second)]
      assert len(moments[0]) > 2
      for x, y in zip(*moments, strict=True):
        np.testing.assert_array_equal(x, y, x.name)
    assert int(second.step) == int(first.step) == 30
    assert second.learner.updates == first.learner.updates == 4
    assert second.folder.best == 12.5
    # What was interrupted is still to do: pretraining, and an evaluation.
    assert second.learner.to_pretrain == 5
    assert second.evaluator.due(30)
    for _ in range(5):
      one, other = [next(x.learner.batches) for x in (first, second)]
      for key in one:
        np.testing.assert_array_equal(one[key], other[key])
  finally:
    first.close()
    second.close()


@pytest.mark.slow
def test_vector_observations(trained_run):
  folder = trained_run('vector')
  rows = metrics(folder)
  assert any(x.get('idm_kl', 0) > 0 for x in rows)
  assert not any('eval_rotated_return' in x for x in rows)
  assert not list(folder.glob('reconstruction*'))


def test_two_runs_do_not_share_a_folder(tmp_path, capfd):
  with (tmp_path / 'lock').open('w') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    process = refused(capfd, tmp_path)
  assert process.returncode == 2
  assert process.stderr.count('\n') == 1
  assert 'another run is training' in process.stderr
  assert [x.name for x in tmp_path.iterdir()] == ['lock']


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_unwritable_logdir_is_one_line(tmp_path):
  tmp_path.chmod(0o500)
  process = run(tmp_path / 'run')
  assert process.returncode == 2
  assert process.stderr.count('\n') == 1 and 'logdir' in process.stderr


def test_logdir_that_is_a_file_is_one_line(tmp_path, capfd):
  path = tmp_path / 'file'
  path.write_text('precious')
  process = refused(capfd, path)
  assert process.returncode == 2
  assert process.stderr.count('\n') == 1 and '--logdir' in process.stderr
  assert path.read_text() == 'precious'
