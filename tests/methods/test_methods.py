"""Every method in every command: real pixels, short runs of one comparison."""

import contextlib
import csv
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from dreamer_idm import __main__
from dreamer_idm.agent import tf_setup
from dreamer_idm.config import load as config_lib
from dreamer_idm.runs import metrics_file
from dreamer_idm.training import start

TASK = 'dmc_cartpole_balance'
# Methods and what their metrics have beside the world model's.
METHODS = {
    'clion': ['clion_rotation_loss', 'idm_cst_loss', 'evaluator_loss'],
    'bird': ['bird_weight_mean', 'bird_entropy', 'critic_loss'],
    'soft_bird': ['actor_loss', 'critic_loss'],
    'bird_soft': ['bird_weight_mean', 'bird_entropy', 'critic_loss'],
    'doubled_starts': ['actor_loss', 'critic_loss'],
    'planet': [],
    'world_models': ['world_models_mean', 'world_models_std'],
    'no_value': ['actor_target', 'actor_loss'],
    'contrastive': ['contrastive_loss', 'contrastive_accuracy', 'critic_loss'],
    'idm+contrastive': ['contrastive_loss', 'idm_cst_loss', 'evaluator_loss'],
    'idm+curl': ['curl_loss', 'curl_accuracy', 'idm_cst_loss', 'critic_loss'],
    'idm+rad': ['idm_cst_loss', 'evaluator_loss', 'critic_loss'],
    'reward_only': ['actor_loss', 'critic_loss']}
QUICK = ('planet', 'contrastive', 'idm+curl')
VALUES = (  # Of plain returns.
    'clion', 'bird', 'doubled_starts', 'contrastive', 'reward_only',
    'idm+contrastive', 'idm+curl', 'idm+rad')
BLIND = ('contrastive', 'reward_only', 'idm+contrastive')
# Episodes of 10 steps: one of random actions, one with two updates. Discounted
# by a half, their first states' returns are known, to compare values with.
BRIEF = [
    '--steps', '20', '--prefill', '10', '--pretrain', '1', '--time_limit', '10',
    '--eval_eps', '1', '--train_every', '5', '--log_every', '10',
    '--dataset.batch', '2', '--dataset.length', '6', '--replay.minlen', '6',
    '--replay.maxlen', '6', '--imag_horizon', '3', '--discount', '0.5',
    '--jit', 'False']


def python(*argv):
  return subprocess.run(
      [sys.executable, *map(str, argv)], capture_output=True, text=True,
      timeout=900, check=False, cwd=ROOT)


def train(folder, method, *flags):
  """Trains in this process, which saves loading TensorFlow; what it said."""
  told = io.StringIO()
  try:
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
      start.run(config_lib.load([
          '--configs', 'cpu', 'debug', *method.split('+'), '--task', TASK,
          *BRIEF, *flags, '--logdir', str(folder)]))
  finally:
    tf_setup.configure('32')
  (folder / 'ab.log').write_text(told.getvalue())
  return told.getvalue()


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """Function of a method that returns the folder of its run, trained once."""
  logdir = tmp_path_factory.mktemp('methods')

  def find(method):
    folder = logdir / TASK / method / '0'
    if not folder.exists():
      train(folder, method)
    return folder
  return find


def of(methods):
  """Parameters of a test; the slow ones are left out of `make test`."""
  return pytest.mark.parametrize('method', [
      x if x in QUICK else pytest.param(x, marks=pytest.mark.slow)
      for x in methods])


@of(METHODS)
def test_metrics_are_finite_and_the_method_s(runs, method):
  rows = metrics_file.read(runs(method))
  assert rows[-1]['step'] == 80 and rows[-1]['updates'] == 4
  for row in rows:
    for key, value in row.items():
      assert np.isfinite(value), key
  names = {y for x in rows for y in x}
  assert {
      'model_loss', 'kl_loss', 'reward_loss', 'eval_return',
      'eval_rotated_return', 'train_return', *METHODS[method]} <= names
  assert ('image_loss' in names) == (method not in BLIND)
  assert ('eval_value_predicted' in names) == (method in VALUES)
  having = lambda word: [x for x in names if word in x]
  if method in ('planet', 'world_models', 'no_value'):
    assert not having('critic') and not having('value')
  if method in ('planet', 'world_models'):
    assert not having('actor')
  for own in ('clion_', 'bird_', 'contrastive_', 'curl_', 'world_models_'):
    assert bool(having(own)) == any(own in x for x in METHODS[method]), own


@of(METHODS)
def test_the_log_has_no_complaints(runs, method):
  log = (runs(method) / 'ab.log').read_text()
  assert 'Done. Results are in' in log
  assert 'Traceback' not in log and 'WARNING' not in log.upper(), log
  assert ('It decodes nothing' in log) == (method in BLIND)
  picture = runs(method) / 'reconstruction_openl_image.png'
  assert picture.exists() == (method not in BLIND)


@pytest.mark.slow
def test_ab_and_report_take_all(runs, tmp_path, capsys):
  logdir = [runs(x) for x in METHODS][0].parents[2]
  done = python(
      '-m', 'dreamer_idm', 'ab', '--configs', 'cpu', 'debug', '--tasks', TASK,
      '--methods', *METHODS, '--seeds', '0', '--retries', '0', '--logdir',
      logdir, '--', *BRIEF)
  assert done.returncode == 0, done.stdout + done.stderr
  assert f'{len(METHODS)} complete' in done.stdout.splitlines()[-1], done.stdout
  assert __main__.main([
      'report', '--logdir', str(logdir), '--out', str(tmp_path)]) == 0
  assert capsys.readouterr().out.startswith(f'{len(METHODS)} runs, ')
  with (tmp_path / 'runs.csv').open() as f:
    assert sorted(x['method'] for x in csv.DictReader(f)) == sorted(METHODS)
  page = (tmp_path / 'index.html').read_text()
  for method in METHODS:
    assert re.search(fr'\b{re.escape(method)}\b', page), method
  for method in METHODS:
    assert (f'{method} was trained on perturbed images' in page) == (
        method in ('clion', 'idm+curl', 'idm+rad')), method


@of(['planet', 'world_models', 'contrastive', 'idm+rad'])
def test_evaluate(eager, runs, tmp_path, capsys, method):
  # `eager`, since the run is, and what it sets would stay.
  assert __main__.main([
      'evaluate', '--logdir', str(runs(method)), '--episodes', '1',
      '--perturb', 'rotation', '--out', str(tmp_path)]) == 0
  found = json.loads((tmp_path / 'evaluation.json').read_text())
  assert found['method'] == method and found['env_step'] == 80
  assert [x['kind'] for x in found['conditions']] == ['clean', 'rotation']
  for condition in found['conditions']:
    assert len(condition['returns']) == 1
    assert np.isfinite(condition['returns']).all()
  assert ('value' in found) == (method in VALUES)
  blind, told = method in BLIND, capsys.readouterr().out
  assert (tmp_path / 'rotation.gif').exists() != blind
  assert ('No videos' in told) == blind
  seen = 'shifts up to 2 pixels, rotations up to 5°' * ('rad' in method)
  assert found['seen_in_training'] == seen
  assert ('trained on perturbed images: ' + seen in told) == bool(seen)


def test_there_is_nothing_to_reconstruct(runs, capfd):
  assert __main__.main(['reconstruct', str(runs('contrastive'))]) == 2
  error = capfd.readouterr().err
  assert error.startswith('error: ') and error.count('\n') == 1
  assert 'nothing to reconstruct' in error


def test_an_optimizer_of_more_modules_goes_on(runs, tmp_path):
  shutil.copytree(runs('contrastive'), tmp_path / 'run')
  told = train(tmp_path / 'run', 'contrastive', '--steps', '25')
  assert 'Resumed at env step 80 after 4 updates' in told
  last = metrics_file.read(tmp_path / 'run')[-1]
  assert last['step'] == 100 and last['updates'] == 5
  assert np.isfinite(last['contrastive_loss'])
