"""Training as a function of a program."""

import signal
import threading

import numpy as np
import pytest
import tiny
from conftest import ROOT
from conftest import run_script

import dreamer_idm
from dreamer_idm.config import load as config_lib
from dreamer_idm.errors import UsageError
from dreamer_idm.training import learner
from dreamer_idm.training import signals

STEPS = 300


def configured(folder, steps):
  # Another file's tests may have begun with other threads in this process.
  return tiny.config(
      '--steps', str(steps), '--logdir', str(folder), '--threads', '0')


def test_it_returns_what_the_command_writes_and_resumes(tmp_path, capsys):
  config = configured(tmp_path, STEPS)
  before = signal.getsignal(signal.SIGINT)
  found = dreamer_idm.train(config)
  assert signal.getsignal(signal.SIGINT) is before
  assert found['run'] == tmp_path and found['env_step'] == STEPS
  steps, values = found['metrics']['eval_return']
  assert steps.tolist() == [100, 200, 300] and values.shape == (3,)
  assert found['evaluation']['eval_return'] == values[-1]
  assert {*found['evaluation']} < {*found['metrics']}
  assert 'model_loss' in found['metrics'] and 'step' not in found['metrics']
  again: list = []  # In a thread, which no signal interrupts.
  thread = threading.Thread(
      target=lambda: again.append(dreamer_idm.train(config)))
  thread.start()
  thread.join(600)
  assert 'This run is complete' in capsys.readouterr().out
  np.testing.assert_equal(again, [found])


def test_presets_and_keys_are_those_of_the_command(monkeypatch):
  from dreamer_idm.training import command
  words = command._words(['cpu_proprio', 'idm'], {
      'task': 'dmc_walker_walk', 'idm.sigma_h': -0.5, 'steps': 1e3,
      'encoder.mlp_layers': (8, 9), 'slow_target': False, 'rssm.std_act': 'x=y',
      'logdir': ROOT})
  assert words == [
      '--configs', 'cpu_proprio', 'idm', '--task=dmc_walker_walk',
      '--idm.sigma_h=-0.5', '--steps=1000.0', '--encoder.mlp_layers', '8', '9',
      '--slow_target=False', '--rssm.std_act=x=y', f'--logdir={ROOT}']
  config = config_lib.load([*words[:4], *words[5:-2]])
  assert config.encoder.mlp_layers == (8, 9) and config.steps == 1000
  assert config.slow_target is False


@pytest.mark.parametrize('presets, settings, words', [
    (['cpu_propio'], {}, "unknown preset 'cpu_propio'"),
    (['cpu'], {'task': 'dmc_walker_wlak'}, 'Closest: dmc_walker_walk'),
    (['cpu'], {'tsak': 1}, 'tsak'), (['cpu'], {'seed': None}, 'None'),
    (['cpu'], {'render_size': []}, 'render_size')])
def test_mistakes_are_usage_errors(presets, settings, words):
  with pytest.raises(dreamer_idm.UsageError, match=words) as caught:
    dreamer_idm.train(*presets, **settings)
  assert caught.type is UsageError


def test_a_config_comes_alone():
  with pytest.raises(UsageError, match='comes alone'):
    dreamer_idm.train(tiny.config(), steps=3)


def test_ctrl_c_waits_for_the_step_and_saves(tmp_path, monkeypatch, capsys):
  config = configured(tmp_path, 600)
  update, held = learner.Learner.update, []

  def interrupting(self):
    if not held and self.updates > 3:  # Not those of the beginning.
      signal.raise_signal(signal.SIGINT)
      held.append(signals._Signals.pending)  # Nothing was raised here.
    return update(self)

  monkeypatch.setattr(learner.Learner, 'update', interrupting)
  with pytest.raises(KeyboardInterrupt):
    dreamer_idm.train(config)
  assert held == [True]
  assert 'the same command resumes from there' in capsys.readouterr().out


@pytest.mark.slow
def test_a_program_trains_without_sys_exit(tmp_path):
  done = run_script(tmp_path, f'''
import dreamer_idm, sys
sys.path.insert(0, {str(ROOT)!r})
try:
  dreamer_idm.train('cpu', task='gym_Nowhere-v0')
except dreamer_idm.UsageError as error:
  print(error)
assert 'tensorflow' not in sys.modules
found = dreamer_idm.train(
    'cpu_proprio', 'debug', task='gym_Pendulum-v1', steps=70, prefill=60,
    pretrain=1, time_limit=30, logdir={str(tmp_path / 'run')!r}, threads=1)
print(found['evaluation']['eval_return'])
try:
  dreamer_idm.train('cpu_proprio', 'debug', threads=2,
      logdir={str(tmp_path / 'other')!r})
except dreamer_idm.UsageError as error:
  print(error)
''')
  assert done.returncode == 0, done.stderr
  assert 'gym_Nowhere-v0 cannot be made' in done.stdout
  assert 'TensorFlow has already begun' in done.stdout.splitlines()[-1]
