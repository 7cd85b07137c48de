"""evaluate and reconstruct on runs that were really trained, if briefly."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from matplotlib.figure import Figure
from PIL import Image

import dreamer_idm
from dreamer_idm import __main__
from dreamer_idm.evaluation import evaluate
from dreamer_idm.evaluation import pictures as evaluation_pictures
from dreamer_idm.evaluation import reconstruct
from dreamer_idm.runs import checkpoints
from dreamer_idm.runs import plots


def python(*argv):
  return subprocess.run(
      [sys.executable, *argv], capture_output=True, text=True, timeout=900,
      check=False, cwd=ROOT)


def command(*argv):
  return python('-m', 'dreamer_idm', *map(str, argv))


@pytest.fixture
def here(capfd):
  """Runs a command in this process, which saves loading TensorFlow."""
  def run(*argv):
    capfd.readouterr()
    code = __main__.main([str(x) for x in argv])
    return subprocess.CompletedProcess(argv, code, *capfd.readouterr())
  return run


@pytest.fixture(scope='module')
def runs(trained_run):
  """Folder of short runs: dreamer and idm from pixels, idm from vectors."""
  return [trained_run(x) for x in ('dreamer', 'idm', 'vector')][0].parent


def one_line(done, *parts):
  assert done.returncode == 2, done.stdout + done.stderr
  assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
  for part in parts:
    assert part in done.stderr, done.stderr


# What is trained without images has none.


def test_vector_runs_store_and_render_no_frames(runs):
  episodes = list((runs / 'vector' / 'train_episodes').glob('*.npz'))
  assert episodes
  with np.load(episodes[0]) as episode:
    assert 'image' not in episode and 'position' in episode
  assert not list((runs / 'vector').glob('*.gif'))


# evaluate


def test_evaluate_writes_numbers_figure_and_videos(runs, tmp_path):
  done = command(
      'evaluate', '--logdir', runs / 'idm', '--episodes', 2, '--out', tmp_path,
      '--perturb', 'rotation', 'noise')
  assert done.returncode == 0 and done.stderr == '', done.stderr
  assert sorted(x.name for x in tmp_path.iterdir()) == [
      'clean.gif', 'evaluation.json', 'noise.gif', 'robustness.png',
      'rotation.gif']
  result = json.loads((tmp_path / 'evaluation.json').read_text())
  assert result['task'] == 'dmc_cheetah_run' and result['method'] == 'idm'
  assert result['env_step'] == 280 and result['episodes'] == 2
  assert [(x['kind'], x['strength'], x['per']) for x in result['conditions']
      ] == [('clean', 0, ''), ('rotation', 5, 'frame'), ('noise', .05, 'frame')]
  assert all(len(x['returns']) == 2 for x in result['conditions'])
  with Image.open(tmp_path / 'rotation.gif') as gif:
    # 60 frames of what it saw beside what it made of it, each 32x32, enlarged.
    assert gif.n_frames == 60 and gif.size == (2 * 4 * 32, 4 * 32)


def test_evaluating_again_gives_the_same_numbers(here, runs, tmp_path):
  results = []
  for name, out in (('idm', tmp_path / 'a'), ('idm', tmp_path / 'b')):
    done = here(
        'evaluate', '--logdir', runs / name, '--episodes', 1, '--out', out,
        '--perturb', 'rotation', '--strength', 20, '--per', 'episode')
    assert done.returncode == 0, done.stderr
    results.append(json.loads((out / 'evaluation.json').read_text()))
  assert results[0] == results[1]
  assert results[0]['conditions'][1]['strength'] == 20
  assert results[0]['conditions'][1]['per'] == 'episode'


@pytest.mark.slow
def test_scenes_are_perturbed_at_their_levels(here, runs, tmp_path):
  for name in ('a', 'b'):
    (tmp_path / 'photos').mkdir(exist_ok=True)
    Image.new('RGB', (9, 9), 'red').save(tmp_path / 'photos' / f'{name}.png')
  out = tmp_path / 'out'
  done = here(
      'evaluate', '--logdir', runs / 'idm', '--episodes', 1, '--out', out,
      '--perturb', 'camera_roll', 'background', '--sweep', '--background',
      tmp_path / 'photos')
  assert done.returncode == 0 and done.stderr == '', done.stderr
  assert sorted(x.name for x in out.iterdir()) == [
      'background.gif', 'camera_roll.gif', 'clean.gif', 'evaluation.json',
      'robustness.png']
  clean, *found = json.loads(
      (out / 'evaluation.json').read_text())['conditions']
  assert [(x['kind'], x['strength'], x['per'], x['fill']) for x in found] == [
      *[('camera_roll', x, 'walk', 'zero') for x in (0, 5, 10, 20)],
      *[('background', x, 'episode', str(tmp_path / 'photos'))
        for x in (0, 0.25, 0.5, 1)]]
  # The agent sees it: it acts otherwise than on clean frames.
  assert found[0]['returns'] == clean['returns'] != found[3]['returns']
  again = dreamer_idm.evaluate(
      runs / 'idm', episodes=1, perturbation='camera_roll', strength='hard')
  assert again['condition']['strength'] == 20
  np.testing.assert_allclose(
      again['returns'], found[3]['returns'], atol=6e-4)


def test_the_function_returns_what_the_command_writes(here, runs, tmp_path):
  done = here(
      'evaluate', '--logdir', runs / 'vector', '--episodes', 2, '--out',
      tmp_path, '--perturb', 'sensor_noise', '--seed', 3)
  assert done.returncode == 0, done.stderr
  written = json.loads((tmp_path / 'evaluation.json').read_text())
  before = sorted((runs / 'vector').rglob('*'))
  for condition in written['conditions']:
    kind = condition['kind'] if condition['kind'] != 'clean' else None
    found = dreamer_idm.evaluate(
        runs / 'vector', episodes=2, perturbation=kind, seed=3)
    np.testing.assert_allclose(
        found['returns'], condition['returns'], atol=6e-4)
    assert found['lengths'].tolist() == [60, 60]
    assert found['env_step'] == 280
    assert found['condition'].items() <= condition.items()
    assert found['episode']['position'].shape == (61, 8)
    np.testing.assert_allclose(
        found['episode']['reward'].sum(), found['returns'][0], rtol=1e-4)
    assert found['values'].shape == found['realised'].shape
  assert sorted((runs / 'vector').rglob('*')) == before
  for kind in ('rotation', 'camera_roll'):
    with pytest.raises(dreamer_idm.UsageError, match=f'{kind} changes nothing'):
      dreamer_idm.evaluate(runs / 'vector', perturbation=kind)
  for name, wrong in (('episodes', 0), ('episodes', '3'), ('seed', 'a'),
                      ('seed', -1), ('strength', 'x'), ('per', 3)):
    with pytest.raises(dreamer_idm.UsageError, match=f'{name}.* must be'):
      dreamer_idm.evaluate(
          str(runs / 'vector'), perturbation='sensor_noise', **{name: wrong})


def test_evaluations_add_up_and_those_of_another_kind_stay(
    here, runs, tmp_path):
  def evaluate(episodes, *words):
    done = here(
        'evaluate', '--logdir', runs / 'vector', '--episodes', episodes,
        '--out', tmp_path, '--perturb', *words)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / 'evaluation.json').read_text())
    return done.stdout, {
        x['kind']: x['returns'] for x in result['conditions']}
  _, first = evaluate(1, 'dead_sensor')
  _, both = evaluate(1, 'sensor_noise')
  assert list(both) == ['clean', 'dead_sensor', 'sensor_noise']
  assert both['dead_sensor'] == first['dead_sensor']
  out, other = evaluate(2, 'sensor_noise', '--strength', '0')
  assert list(other) == ['clean', 'sensor_noise']
  assert other['sensor_noise'] == other['clean'], 'strength 0 is clean'
  aside, = tmp_path.glob('evaluation.json.*')
  assert str(aside) in out
  assert len(json.loads(aside.read_text())['conditions']) == 3


@pytest.mark.parametrize('content', [
    b'[]', b'null', b'\xff', b'{"conditions": 3}', b'{"conditions": [{}]}',
    b'[' * 100_000])
def test_no_earlier_evaluation_is_overwritten(tmp_path, content):
  path = tmp_path / 'evaluation.json'
  settings = {
      'env_step': 100, 'episodes': 2, 'training': 'a', 'seen_in_training': ''}
  condition = {
      'kind': 'clean', 'strength': 0.0, 'per': '', 'fill': '',
      'returns': [1.0, 2.0]}
  whole = json.dumps({**settings, 'conditions': [condition], 'value': {}})
  for number in range(3):
    path.write_text(whole)
    assert evaluate._earlier(path, settings) == [condition]
    assert evaluate._earlier(path, {**settings, 'episodes': 9}) == []
    assert len(list(tmp_path.glob('evaluation.json.step_100*'))) == number + 1
  older = {k: settings[k] for k in ('env_step', 'episodes')}
  path.write_text(json.dumps({**older, 'conditions': [condition]}))
  assert evaluate._earlier(path, {**settings, 'training': None}) == [condition]
  path.write_bytes(content)
  assert evaluate._earlier(path, settings) == []
  aside, = tmp_path.glob('evaluation.json.damaged*')
  assert aside.read_bytes() == content and not path.exists()
  for bad in ({'returns': []}, {'returns': 'x'}, {'returns': [[1], [1, 2]]}):
    path.write_text(json.dumps(
        {**settings, 'conditions': [{**condition, **bad}]}))
    assert evaluate._earlier(path, settings) == []


def test_perturbations_of_the_same_kind_have_panels_of_their_own(
    tmp_path, monkeypatch):
  shown = []
  saved = Figure.savefig

  def look(self, *args, **kwargs):
    shown.extend([x.get_xlabel() for x in self.axes])
    return saved(self, *args, **kwargs)
  monkeypatch.setattr(Figure, 'savefig', look)
  def condition(strength, fill):
    return {'kind': 'rotation', 'strength': strength, 'per': 'frame',
            'fill': fill, 'returns': [1.0, 2.0]}
  several = [condition(x, y) for x in (0.0, 5.0) for y in ('zero', 'nearest')]
  clean = {'kind': 'clean', 'strength': 0.0, 'per': '', 'fill': '',
           'returns': [3.0]}
  about = {'task': 't', 'method': 'idm', 'seed': 0, 'env_step': 1,
           'episodes': 2}
  evaluation_pictures.draw(
      {**about, 'conditions': [clean, *several]}, tmp_path / 'a.png')
  evaluation_pictures.draw(
      {**about, 'conditions': [clean, *several[::2]]}, tmp_path / 'a.png')
  assert [x.partition('\n')[0] for x in shown] == [
      'rotation (fill zero)', 'rotation (fill nearest)', 'rotation']


def test_sweep_goes_to_four_times_the_default_and_takes_vectors(
    here, runs, tmp_path):
  shutil.copytree(runs / 'vector', tmp_path / 'run')
  done = here(
      'evaluate', '--logdir', tmp_path / 'run', '--episodes', 1, '--sweep',
      '--checkpoint', 'best')
  assert done.returncode == 0, done.stderr
  assert 'a new evaluation' in done.stdout
  folder = tmp_path / 'run' / 'evaluation'
  assert sorted(x.name for x in folder.iterdir()) == [
      'evaluation.json', 'robustness.png']
  found = json.loads((folder / 'evaluation.json').read_text())['conditions']
  for kind in ('sensor_noise', 'sensor_scale', 'dead_sensor'):
    first = next(x['returns'] for x in found)
    mine = [x for x in found if x['kind'] == kind]
    strengths = [x['strength'] for x in mine]
    np.testing.assert_allclose(
        strengths, np.arange(5) * strengths[1], rtol=1e-6)
    assert mine[0]['returns'] == first, 'strength 0 changes nothing'
  assert {x['kind'] for x in found[1:]} == {
      'sensor_noise', 'sensor_scale', 'dead_sensor'}


@pytest.mark.parametrize('arguments, parts', [
    (['--perturb', 'wind'], ["unknown perturbation 'wind'", 'rotation']),
    (['--perturb', 'dead_sensor'], ['changes nothing here', 'image']),
    (['--checkpoint', '7'], ['no checkpoint 7', '70', 'latest', 'best']),
    (['--episodes', '0'], ['--episodes must be >= 1']),
    (['--episodes', 'x'], ["invalid int value: 'x'"]),
    (['--strength', '5', '--sweep'], ['exclude each other']),
    (['--perturb', 'rotation', '--strength', '-5'], ['0 to 180']),
    (['--perturb', 'colors', '--strength', '2'], ['0 to 1', 'easy']),
    (['--strength', 'wild'], ["'wild'", 'easy, medium or hard']),
    (['--perturb', 'noise', '--per', 'walk'], ['frame or episode for noise']),
    (['--background', 'nowhere'], ['nowhere', 'folder of pictures']),
    (['--perturb', 'light', '--background', '.'], ['--perturb background']),
    (['--per', 'day'], ['frame', 'episode']),
    (['--speed', '3'], ['--speed', '--help'])])
def test_bad_evaluations_are_one_line(here, runs, arguments, parts):
  before = sorted((runs / 'idm').rglob('*'))
  one_line(
      here('evaluate', '--logdir', runs / 'idm', *arguments), *parts)
  assert sorted((runs / 'idm').rglob('*')) == before


def test_folders_that_are_no_trained_run_are_one_line(here, runs, tmp_path):
  (tmp_path / 'file').touch()
  for place in (tmp_path, tmp_path / 'nowhere', tmp_path / 'file'):
    one_line(
        here('evaluate', '--logdir', place), 'is not a run', 'config.yaml')
    one_line(here('reconstruct', place), 'is not a run', 'config.yaml')
  shutil.copy(runs / 'idm' / 'config.yaml', tmp_path)
  one_line(
      here('evaluate', '--logdir', tmp_path), 'no checkpoint latest',
      'none yet')
  (tmp_path / 'config.yaml').write_text('task: [')
  one_line(here('evaluate', '--logdir', tmp_path), 'cannot read')
  one_line(here('evaluate'), '--logdir')


def test_a_damaged_checkpoint_is_one_line(here, runs, tmp_path):
  copy = tmp_path / 'run'
  shutil.copytree(runs / 'idm', copy)
  for path in (copy / 'checkpoints').rglob('*.data*'):
    path.write_bytes(path.read_bytes()[:100])
  one_line(
      here('evaluate', '--logdir', copy, '--perturb', 'none'), 'damaged')


@pytest.mark.parametrize('old, new', [
    ('layers: 3', 'layers: 4'), ('units: 16', 'units: 24')])
def test_networks_that_are_not_the_checkpoints_are_one_line(
    here, runs, tmp_path, old, new):
  shutil.copytree(runs / 'vector', tmp_path / 'run')
  path = tmp_path / 'run' / 'config.yaml'
  text = path.read_text()
  assert old in text
  path.write_text(text.replace(old, new))
  one_line(
      here('evaluate', '--logdir', tmp_path / 'run'),
      'does not have the networks')


def test_axes_begin_at_zero_unless_returns_are_negative():
  for values, low in ([3, 5], 0), ([-3, 5], -3):
    axes = Figure().subplots()
    axes.plot(values)
    plots.from_zero(axes, values)
    assert (axes.get_ylim()[0] == 0) == (low == 0)
    assert axes.get_ylim()[0] <= low


def test_an_unwritable_folder_is_one_line(here, runs, tmp_path):
  (tmp_path / 'file').write_text('')
  one_line(here(
      'evaluate', '--logdir', runs / 'idm', '--out', tmp_path / 'file' / 'x'),
      'cannot write', '--out')


def test_conditions_are_named():
  label = evaluation_pictures.label
  assert label({'kind': 'clean', 'strength': 0.0}) == 'clean'
  assert label({'kind': 'shift', 'strength': .1}) == 'shift 0.1'


# reconstruct


def test_reconstruct_compares_decoders(here, runs, tmp_path):
  done = here(
      'reconstruct', runs / 'dreamer', runs / 'idm', '--out', tmp_path,
      '--frames', 20)
  assert done.returncode == 0 and done.stderr == '', done.stderr
  assert sorted(x.name for x in tmp_path.iterdir()) == [
      'drift.json', 'drift.png', 'figure1.png']
  result = json.loads((tmp_path / 'drift.json').read_text())
  np.testing.assert_allclose(result['sigma'], np.arange(11) / 10)
  assert [x['label'] for x in result['runs']] == ['dreamer', 'idm']
  for drift in result['runs']:
    assert drift['kl'][0] == drift['pixel_error'][0] == 0
    assert drift['kl'][-1] > drift['kl'][1] > 0
    # The KL is half the squares of 32 * 32 * 3 outputs, on average.
    np.testing.assert_allclose(
        drift['pixel_error'], np.sqrt(2 * np.array(drift['kl']) / 3072),
        rtol=1e-5)
  for name in ('drift.png', 'figure1.png'):
    assert np.array(Image.open(tmp_path / name).convert('L')).std() > 10


def test_drift_is_what_numpy_makes_of_the_decodings(eager, runs):
  import tensorflow as tf

  from dreamer_idm.evaluation import load
  wm = load.load_trained(runs / 'idm').agent.wm
  stoch, deter = tf.random.normal((6, 8)), tf.random.normal((6, 16))
  tf.random.set_seed(3)
  result = reconstruct.measure(wm, stoch, deter, [0.5], 1)
  tf.random.set_seed(3)
  noise = [tf.random.normal(x.shape) for x in (stoch, deter)]

  def decode(s, h):
    return wm.heads['decoder'](tf.concat([s, h], -1))['image'].mean().numpy()

  change = decode(stoch + .5 * noise[0], deter + .5 * noise[1]) - decode(
      stoch, deter)
  square = (change ** 2).reshape(6, -1)
  np.testing.assert_allclose(
      result['kl'], [.5 * square.sum(1).mean()], rtol=1e-4)
  np.testing.assert_allclose(
      result['pixel_error'], [np.sqrt(square.mean())], rtol=1e-4)


@pytest.mark.slow
def test_each_run_has_its_own_precision_and_bodies(
    here, runs, tmp_path, monkeypatch):
  import tensorflow as tf
  from dreamer_idm.patches import fast

  from dreamer_idm.evaluation import rollout
  for name in ('a', 'b'):
    shutil.copytree(runs / 'idm', tmp_path / name)
  path = tmp_path / 'b' / 'config.yaml'
  text = path.read_text()
  path.write_text(text.replace('fast: true', 'fast: false').replace(
      "precision: '32'", "precision: 'bf16'").replace(
          'precision: auto', "precision: 'bf16'"))
  assert path.read_text() != text
  found = []

  def watched(function):
    def watch(*args, **kwargs):
      found.append((
          fast.ENABLED,
          tf.keras.mixed_precision.global_policy().compute_dtype))
      return function(*args, **kwargs)
    return watch

  monkeypatch.setattr(rollout, 'evaluate', watched(rollout.evaluate))
  monkeypatch.setattr(reconstruct, 'measure', watched(reconstruct.measure))
  out = tmp_path / 'out'
  done = here(
      'reconstruct', tmp_path / 'a', tmp_path / 'b', '--out', out,
      '--frames', 4)
  assert done.returncode == 0, done.stderr
  settings = [(True, 'float32'), (False, 'bfloat16')]
  assert found == 2 * settings
  found.clear()
  for name in ('b', 'a'):
    done = here(
        'evaluate', '--logdir', tmp_path / name, '--episodes', 1, '--perturb',
        'none', '--out', out)
    assert done.returncode == 0, done.stderr
  assert found == settings[::-1]


def test_vectors_have_a_drift_but_no_figure(here, runs, tmp_path):
  done = here(
      'reconstruct', runs / 'vector', runs / 'vector', '--out', tmp_path,
      '--frames', 20)
  assert done.returncode == 0 and done.stderr == '', done.stderr
  first, second = json.loads((tmp_path / 'drift.json').read_text())['runs']
  assert first == second, 'the same noise for all runs'
  assert sorted(x.name for x in tmp_path.iterdir()) == [
      'drift.json', 'drift.png']


def test_two_trainings_of_a_folder_and_step_are_not_mixed(
    here, runs, tmp_path):
  from dreamer_idm.evaluation import load
  run = shutil.copytree(runs / 'vector', tmp_path / 'run')
  paths = [run / 'evaluation' / 'evaluation.json',
           run / 'reconstruct' / 'drift.json']
  with (run / 'provenance.jsonl').open('a') as file:
    file.write('{"step": 60, "changed": {"discount": [0.98, 0.9]}}\n')

  def both(kind):
    for words in (
        ('evaluate', '--logdir', run, '--episodes', 1, '--perturb', kind),
        ('reconstruct', run, '--frames', 5)):
      done = here(*words)
      assert done.returncode == 0, done.stderr
      assert words[0] != 'evaluate' or (
          'on resuming: discount 0.98, then 0.9 from 60.' in done.stdout)
    return [json.loads(x.read_text()) for x in paths]

  before = both('dead_sensor')
  trained = load.load_trained(run)
  assert before[0]['training'] == trained.training
  assert before[1]['runs'][0]['training'] == trained.training
  state = checkpoints.Checkpoints(run / 'checkpoints').state()
  shutil.rmtree(run / 'checkpoints')
  for variable in trained.agent.variables:
    if variable.dtype.is_floating:
      variable.assign(variable * 0.5)
  checkpoints.Checkpoints(run / 'checkpoints', trained.agent).save(
      state['step'], {**state, 'id': 'another'})
  after = both('none')
  assert [x['kind'] for x in after[0]['conditions']] == ['clean']
  assert after[0]['training'] == 'another'
  assert after[1]['runs'][0]['kl'] != before[1]['runs'][0]['kl']
  for path, was in zip(paths, before):
    aside, = path.parent.glob(f'{path.name}.step_{trained.env_step}')
    assert json.loads(aside.read_text()) == was


def test_a_drift_of_other_settings_is_quarantined(here, runs, tmp_path):
  def again(*words):
    done = here('reconstruct', runs / 'vector', '--out', tmp_path, *words)
    assert done.returncode == 0 and done.stderr == '', done.stderr
    return done.stdout, sorted(
        x.name for x in tmp_path.iterdir() if x.name != 'drift.png')
  path = tmp_path / 'drift.json'
  _, names = again('--frames', 5)
  first = path.read_text()
  out, names = again('--frames', 5, '--sigma', 0.2)
  assert names == ['drift.json'] and path.read_text() == first
  assert 'other settings' not in out
  step = json.loads(first)['runs'][0]['env_step']
  out, names = again('--frames', 5, '--seed', 1)
  aside = tmp_path / f'drift.json.step_{step}'
  assert names == ['drift.json', aside.name] and aside.read_text() == first
  assert f'other settings or trainings; it is now {aside}.' in out
  second = path.read_text()
  again('--frames', 6, '--seed', 1)
  assert (tmp_path / f'{aside.name}.2').read_text() == second


@pytest.mark.parametrize('content', [
    b'[]', b'null', b'\xff', b'{"runs": []}', b'{"runs": [3]}',
    b'[' * 100_000])
def test_a_damaged_drift_is_quarantined(tmp_path, content):
  path = tmp_path / 'drift.json'
  path.write_bytes(content)
  reconstruct._quarantine_another(path, {'runs': [{'env_step': 1}]})
  assert [x.read_bytes() for x in tmp_path.iterdir()] == [content]
  assert (tmp_path / 'drift.json.damaged').exists()


@pytest.mark.parametrize('arguments, parts', [
    (['idm', 'nothing'], ['is not a run']),
    (['idm', '--sigma', '-1'], ['--sigma must be from 0']),
    (['idm', '--frames', '0'], ['--frames must be >= 1']),
    (['idm', '--checkpoint', 'first'], ['no checkpoint first'])])
def test_bad_reconstructions_are_one_line(
    here, runs, tmp_path, arguments, parts):
  names = [
      str(runs / x) if x in ('idm', 'nothing') else x for x in arguments]
  one_line(here('reconstruct', *names, '--out', tmp_path), *parts)
  assert not list(tmp_path.iterdir())


def test_runs_that_observe_different_things_are_not_compared(
    here, runs, tmp_path):
  one_line(
      here('reconstruct', runs / 'idm', runs / 'vector', '--out', tmp_path),
      'encoder.cnn_keys', 'same task and observations')


def test_runs_of_different_tasks_are_not_compared(here, runs, tmp_path):
  shutil.copytree(runs / 'dreamer', tmp_path / 'other')
  path = tmp_path / 'other' / 'config.yaml'
  path.write_text(path.read_text().replace('cheetah_run', 'walker_walk'))
  one_line(
      here('reconstruct', runs / 'idm', tmp_path / 'other'),
      'dmc_walker_walk', 'dmc_cheetah_run', 'same task')


# The command line.


def test_commands_are_listed_and_explained(here):
  done = here('--help')
  assert done.returncode == 0
  for name in ('evaluate', 'reconstruct', 'ab', 'report'):
    assert name in done.stdout
    helped = here(name, '--help')
    assert helped.returncode == 0 and 'usage:' in helped.stdout, helped.stderr
  assert here().returncode == 2


def test_unknown_commands_are_one_line(here):
  one_line(here('evalaute'), "unknown command 'evalaute'", 'evaluate')
