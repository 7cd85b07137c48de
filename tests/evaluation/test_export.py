"""Exported agents act as the agents do, with TensorFlow or ONNX alone."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from conftest import chunk
from conftest import make_agent
from conftest import ROOT
from conftest import small_config
from PIL import Image

from dreamer_idm import __main__
from dreamer_idm.config import load as config_lib
from dreamer_idm.evaluation import export
from dreamer_idm.evaluation import exported
from dreamer_idm.evaluation import exported_model
from dreamer_idm.evaluation import load as load_lib
from dreamer_idm.evaluation import rollout

# Neither the package nor its Keras: what a robot has.
ALONE = '''
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
steps = np.load(sys.argv[2])
observed = [x[len('obs '):] for x in steps if x.startswith('obs ')]
found = []
for t, noise in enumerate(steps['noise']):
  if steps['first'][t]:
    state = model.initial()
  observation = {k: steps[f'obs {k}'][t] for k in observed}
  action, state = model.act_given(observation, state, noise)
  found.append(action[0].numpy())
np.testing.assert_allclose(found, steps['action'], atol=1e-4)
first, _ = model.act(observation, model.initial())
other, _ = model.act(observation, model.initial())
assert (first.numpy() != other.numpy()).any(), 'no noise of its own'
assert not {'dreamer_idm', 'dreamerv2', 'tf_keras'} & {*sys.modules}
print(len(found), 'steps')
'''


@pytest.fixture(scope='module')
def agents(trained_run, tmp_path_factory):
  """Folder of two exported agents: idm from pixels, and vector."""
  folder = tmp_path_factory.mktemp('agents') / 'in' / 'here'
  for name in ('idm', 'vector'):
    assert __main__.main([
        'export', str(trained_run(name)), '--out', str(folder / name),
        '--episodes', '2']) == 0
  return folder


def test_the_models_act_as_the_agent_on_real_steps(
    agents, trained_run, tmp_path):
  for name in ('idm', 'vector'):
    out = agents / name
    assert {x.name for x in out.iterdir()} == {
        'agent.json', 'config.yaml', 'policy.onnx', 'saved_model',
        'spaces.json'}
    facts = json.loads((out / 'agent.json').read_text())
    assert facts['env_step'] == 280 and len(facts['scores']['returns']) == 2
    assert facts['task'] == config_lib.saved(out).task == 'dmc_cheetah_run'
    assert max(facts['check'].values()) < 1e-4 and not facts['no_onnx']
    assert str(pathlib.Path.home()) not in (out / 'agent.json').read_text()
    steps = recorded(trained_run(name), facts['interface'])
    np.savez(tmp_path / 'steps.npz', **steps)
    (tmp_path / 'alone.py').write_text(ALONE)
    done = subprocess.run(
        [sys.executable, str(tmp_path / 'alone.py'), str(out / 'saved_model'),
         str(tmp_path / 'steps.npz')], cwd=tmp_path, text=True,
        capture_output=True, timeout=300, check=False, env={
            k: v for k, v in os.environ.items()
            if k not in ('PYTHONPATH', 'TF_USE_LEGACY_KERAS')})
    assert done.returncode == 0, done.stderr
    assert done.stdout == '100 steps\n'
    act = exported_model.load_onnx(out / 'policy.onnx')
    for t, noise in enumerate(steps['noise']):
      if steps['first'][t]:
        state = exported_model.zeros(facts['interface'])
      observation = {
          k: steps[f'obs {k}'][t] for k in facts['interface']['observation']}
      action, state = act(observation, state, noise)
      np.testing.assert_allclose(action[0], steps['action'][t], atol=1e-4)
    # Weights and nothing of the optimizers.
    read = sum(x.stat().st_size for x in out.rglob('variables.data*'))
    agent = load_lib.load_trained(trained_run(name)).agent
    acting = [agent.wm.encoder, agent.wm.rssm, agent._task_behavior.actor]
    assert read < 1.3 * sum(
        4 * v.shape.num_elements() for x in acting for v in x.variables)


def evaluate(capsys, *words):
  capsys.readouterr()
  code = __main__.main(['evaluate', *map(str, words)])
  return code, *capsys.readouterr()


@pytest.mark.parametrize('name, kind', [
    ('idm', 'camera_roll'), ('vector', 'sensor_noise')])
def test_an_exported_agent_is_evaluated_and_shown(
    agents, tmp_path, capsys, name, kind):
  facts = json.loads((agents / name / 'agent.json').read_text())
  code, out, err = evaluate(
      capsys, '--agent', agents / name, '--episodes', 2, '--perturb', kind,
      '--video', tmp_path / 'out.gif')
  assert code == 0 and not err, err
  # The same episodes as on export.
  for number, score in enumerate(facts['scores']['returns']):
    assert f'clean, episode {number + 1} of 2: return {score:.1f}\n' in out
  assert out.count(f'  {kind}') == 3
  assert sorted(x.name for x in tmp_path.iterdir()) == [
      'out.gif', f'out_{kind}.gif']
  with Image.open(tmp_path / 'out.gif') as gif:
    assert gif.n_frames == 61
    assert gif.size == ((128, 128) if name == 'idm' else (256, 256))
    gif.seek(30)
    assert np.std(gif.convert('L')) > 10


def test_what_cannot_be_evaluated_is_one_line(agents, tmp_path, capsys):
  broken = shutil.copytree(agents / 'idm', tmp_path / 'broken')
  (broken / 'agent.json').write_text('[]')
  for words, part in (
      [('--agent', tmp_path), 'is not an exported agent'],
      [('--agent', broken), 'is not an exported agent'],
      [('--agent', agents / 'idm', '--video', 'x.mp4'), 'must end in .gif'],
      [('--agent', agents / 'idm', '--video', tmp_path / 'no' / 'x.gif'),
       f'there is no folder {tmp_path / "no"}'],
      [('--agent', agents / 'idm', '--seed', '-1'), '--seed must be >= 0'],
      [('--agent', agents / 'idm', '--out', 'x'), '--out is for --logdir'],
      [('--agent', agents / 'idm', '--logdir', 'x'), 'not allowed with'],
      [('--agent', agents / 'idm', '--perturb', 'dead_sensor'), 'observes im'],
      [('--logdir', tmp_path, '--video', 'x.gif'), '--video is for --agent'],
      [(), '--logdir']):
    code, _, err = evaluate(capsys, *words)
    assert code == 2 and part in err and err.count('\n') == 1, err


def recorded(run, interface):
  """100 steps of the agent itself: what it saw, drew and did."""
  from dreamer_idm.envs import environments
  trained = load_lib.load_trained(run)
  env, = environments.make_envs(trained.config, 'eval', 1, 7)
  policy, obs = rollout.act(trained.agent, 'eval'), {'is_last': True}
  found: dict = {'first': [], 'noise': [], 'action': []}
  for _ in range(100):
    found['first'].append(obs['is_last'])
    if obs['is_last']:
      state, obs = None, env.reset()
    rows = {k: np.stack([v]) for k, v in obs.items()}
    outputs, state = policy(rows, state)
    latent = {k: v.numpy() for k, v in state[0].items()}
    for key in interface['observation']:
      found.setdefault(f'obs {key}', []).append(rows[key])
    found['noise'].append(
        (latent['stoch'] - latent['mean']) / latent['std'])
    found['action'].append(outputs['action'][0].numpy())
    obs = env.step({'action': found['action'][-1]})
  env.close()
  return {k: np.array(v) for k, v in found.items()}


SPACE = gymnasium.spaces.Box(np.float32([-2, 0]), np.float32([4, np.inf]))


@pytest.mark.slow
@pytest.mark.parametrize('flags, presets, batch', [
    (['--rssm.discrete', '4'], ['dmc', 'idm'], 2),
    (['--actor.dist', 'trunc_normal', '--eval_state_mean', 'True'], ['dmc'], 3),
    ([], ['dmc'], 1), (['--rssm.ensemble', '2'], ['dmc'], 1),
    (['--planet.candidates', '9', '--planet.iterations', '2', '--planet.elites',
      '3', '--planet.horizon', '3'], ['dmc', 'planet'], 1),
    (['--world_models.candidates', '5', '--world_models.horizon', '3'],
     ['dmc', 'world_models'], 1),
    (['--normalize_vectors', 'True', '--encoder.mlp_keys', '.*'], ['dmc'], 1)])
def test_any_latents_and_actors(flags, presets, batch, tmp_path):
  import tensorflow as tf
  agent = make_agent(small_config(*flags, presets=presets))
  agent.train(chunk())
  trained = load_lib.Trained(agent.config, agent, 0, 'latest')
  module = exported.Exported(trained, SPACE, batch)
  tf.saved_model.save(module, str(tmp_path / 'model'))
  module.to_onnx(tmp_path / 'policy.onnx')
  models = {
      'saved_model': exported_model.load(tmp_path / 'model'),
      'policy.onnx': exported_model.load_onnx(tmp_path / 'policy.onnx')}
  interface, data = module.describe(), chunk(batch, 6)
  policy, state, steps = rollout.act(agent, 'eval'), None, []
  for t in range(6):
    rows = {k: v[:, t] for k, v in data.items()}
    outputs, state = policy(rows, state)
    steps.append(export.step(interface, t == 0, rows, outputs, state))
  assert steps[1][2].std() > 0.1 or agent.config.eval_state_mean
  for name, act in models.items():
    _, worst = export.compared(act, interface, steps, name, agent)
    assert worst < 1e-4
    action, _ = act(
        *steps[0][1:2], exported_model.zeros(interface), steps[0][2])
    assert action.shape == (batch, 2) and all(x in SPACE for x in action)


def test_bfloat16_is_for_tensorflow_alone(tmp_path):
  from dreamer_idm.agent import tf_setup
  tf_setup.configure('bf16')
  try:
    agent = make_agent(small_config('--precision', 'bf16', presets=('dmc',)))
    module = exported.Exported(
        load_lib.Trained(agent.config, agent, 0, 'latest'), SPACE)
    models, why = export.write_models(module, tmp_path)
    interface, data = module.describe(), chunk(1, 6)
    policy, state, steps = rollout.act(agent, 'eval'), None, []
    for t in range(6):
      rows = {k: v[:, t] for k, v in data.items()}
      outputs, state = policy(rows, state)
      steps.append(export.step(interface, t == 0, rows, outputs, state))
  finally:
    tf_setup.configure('32')
  assert 'it cannot be converted' in why and 'bfloat16' in why
  (name, act), = models.items()
  _, worst = export.compared(act, interface, steps, name, agent)
  assert name == 'saved_model' and worst < 0.05
  assert [x.name for x in tmp_path.iterdir()] == ['saved_model']


def test_a_model_that_acts_otherwise_is_not_written(
    trained_run, tmp_path, monkeypatch, capsys):
  given = exported.Exported._act_given

  def wrong(self, observation, state, noise):
    action, state = given(self, observation, state, noise)
    return action, {**state, 'deter': state['deter'] + 1e-3}

  monkeypatch.setattr(exported.Exported, '_act_given', wrong)
  code = __main__.main([
      'export', str(trained_run('vector')), '--out', str(tmp_path / 'out')])
  assert code == 1
  assert 'saved_model does not act as the agent' in capsys.readouterr().err
  assert not [*tmp_path.iterdir()]


def test_without_tf2onnx_there_is_a_line(
    trained_run, tmp_path, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'tf2onnx', None)
  code = __main__.main([
      'export', str(trained_run('vector')), '--out', str(tmp_path / 'out'),
      '--episodes', '1', '--batch', '2'])
  told = capsys.readouterr()
  assert code == 0, told.err
  assert 'No policy.onnx: tf2onnx is not installed (pip install' in told.out
  assert not (tmp_path / 'out' / 'policy.onnx').exists()


def test_what_cannot_be_exported_is_one_line(trained_run, tmp_path, capsys):
  run = trained_run('vector')
  old = shutil.copytree(run, tmp_path / 'old')
  (old / 'spaces.json').unlink()
  for words, part in (
      [(run, '--out', ROOT), 'exists'], [(run,), '--out'],
      [(tmp_path, '--out', tmp_path / 'new'), 'is not a run'],
      [(run, '--out', tmp_path / 'new', '--batch', 0), '--batch must be >= 1'],
      [(run, '--out', tmp_path / 'new', '--seed', -1), '--seed must be >= 0'],
      [(run, '--out', tmp_path / 'new', '--checkpoint', 7), 'no checkpoint 7'],
      [(old, '--out', tmp_path / 'new'), 'has no spaces.json']):
    assert __main__.main(['export', *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert part in error and error.count('\n') == 1
  assert not (tmp_path / 'new').exists()
