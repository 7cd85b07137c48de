"""Settings: which make another run, may change, or have no effect."""

import re

import pytest

from dreamer_idm.config import load as config_lib
from dreamer_idm.config import same_run
from dreamer_idm.errors import UsageError
from dreamer_idm.runs import provenance

# Everything that can change what is learned or how it is scored.
CHANGED = [
    '--discount 0.9', '--imag_horizon 7', '--model_opt.lr 1e-5',
    '--actor_opt.clip 10', '--dataset.batch 7', '--dataset.length 20',
    '--kl.free 2', '--expl_noise 0.1', '--eval_noise 0.1', '--pretrain 3',
    '--clip_rewards sign', '--time_limit 100', '--prefill 700', '--envs 2',
    '--train_every 3', '--train_steps 2', '--eval_eps 2', '--idm.sigma_h 0.3',
    '--idm.cst_scale 2', '--rotate.degrees 9', '--batch_multiplier 2',
    '--replay.capacity 1e4', '--replay.prioritize_ends True']
# What the checkpoint and the replay do not fit.
NEVER = [
    '--rssm.deter 9', '--seed 2', '--task dmc_walker_walk', '--agent dreamer',
    '--method x', '--precision 16', '--idm.evaluator False', '--shadows True',
    '--idm.eva_head.units 9', '--model_opt.opt sgd', '--slow_target False',
    '--actor.layers 1', '--action_repeat 2']
INCIDENTAL = [
    '--steps 9', '--logdir x', '--threads 1', '--checkpoints 9',
    '--jit False', '--fast False', '--envs_parallel thread',
    '--eval_every 9', '--log_every 9', '--log_keys_mean x',
    '--resume_changed True']


def load(line='', presets='cpu idm'):
  return config_lib.load(['--configs', *presets.split(), *line.split()])


def refusal(path, line, **kwargs):
  """What is said of a run that is asked for with these flags; '' if nothing."""
  before = path.read_bytes()
  try:
    same_run.check(load(line), path, **kwargs)
  except UsageError as error:
    return str(error)
  finally:
    assert path.read_bytes() == before
  return ''


@pytest.fixture
def path(tmp_path):
  config_lib.save(load(), tmp_path / 'config.yaml')
  return tmp_path / 'config.yaml'


def named(line):
  """What a refusal says of a flag: the key and both values."""
  key, value = line.removeprefix('--').split()
  before, now = load().flat[key], load(line).flat[key]
  assert before != now
  return f'{key} {before} (now {now})'


@pytest.mark.parametrize('line', CHANGED)
def test_what_is_learned_changes_only_if_that_is_asked_for(path, line):
  message = refusal(path, line)
  assert named(line) in message and '--resume_changed True' in message
  asked = f'{line} --resume_changed True'
  assert not refusal(path, asked)
  # One that is complete has been trained with what it began with.
  assert named(line) in refusal(path, asked, resumes=False)


@pytest.mark.parametrize('line', NEVER)
def test_what_the_checkpoint_does_not_fit_never_changes(path, line):
  for more in ('', ' --resume_changed True'):
    message = refusal(path, line + more)
    assert named(line) in message and '--resume_changed' not in message


@pytest.mark.parametrize('line', INCIDENTAL)
def test_what_makes_no_other_run_may_change(path, line):
  assert not refusal(path, line) and not refusal(path, line, resumes=False)


def start(path, line):
  """Notes a start as a training does."""
  changed = same_run.changes(load(line), path)
  provenance.write(path.parent, changed, step=0)


def test_what_held_at_the_latest_start_counts(path):
  changed = '--discount 0.9 --rotate.degrees 9 --log_every 9'
  start(path, '')
  start(path, f'{changed} --resume_changed True')
  assert not refusal(path, changed)
  # The first command would change it again.
  message = refusal(path, '')
  assert 'discount 0.9 (now 0.98)' in message and 'log_every' not in message
  assert '--resume_changed True' in message
  assert not refusal(path, '--resume_changed True')
  start(path, '--resume_changed True')
  assert not refusal(path, '') and 'discount 0.98' in refusal(path, changed)
  # One that is complete was trained with none of them throughout.
  for line in ('', changed):
    assert 'discount' in refusal(path, line, resumes=False)


def test_a_list_is_read_back_as_it_was(path):
  changed = '--log_keys_video x --grad_heads decoder'
  start(path, f'{changed} --resume_changed True')
  assert not refusal(path, changed) and 'grad_heads' in refusal(path, '')


METHOD = '''
from dreamer_idm.agent.declaration import Key, Method, Preset
METHOD = Method(
    keys={'scale': Key(0.1, 'weight')}, presets={'curious': Preset('Curious.')})
def extensions(config):
  return []
'''


def test_keys_of_ones_own_method_count_for_it_alone(tmp_path, monkeypatch):
  (tmp_path / 'same_run_curious.py').write_text(METHOD)
  monkeypatch.syspath_prepend(tmp_path)
  own = 'cpu same_run_curious'
  mine = '--agent same_run_curious --same_run_curious.scale 0.5'
  config_lib.save(load(mine, own.split()[0]), tmp_path / 'a' / 'config.yaml')
  changed = same_run.changes(
      load('--agent same_run_curious', 'cpu'), tmp_path / 'a' / 'config.yaml')
  assert changed == {'same_run_curious.scale': (0.5, 0.1)}
  # A preset behind it may choose another method; its keys stay in the config.
  other = load('--agent same_run_curious --agent idm', 'cpu')
  assert 'same_run_curious.scale' in other.flat
  config_lib.save(other, tmp_path / 'b' / 'config.yaml')
  same_run.check(load('--agent idm', 'cpu'), tmp_path / 'b' / 'config.yaml')


def test_all_keys_are_named(path):
  message = refusal(path, ' '.join([*CHANGED, *NEVER]))
  for line in [*CHANGED, *NEVER]:
    assert named(line) in message
  message = refusal(
      path, ' '.join([*CHANGED, *NEVER, '--resume_changed True']))
  assert named(NEVER[0]) in message and 'discount' not in message


def test_without_a_config_there_is_nothing_to_fit(tmp_path):
  same_run.check(load(), tmp_path / 'config.yaml')


def test_checkpoints_without_their_config_are_refused(tmp_path):
  (tmp_path / 'checkpoints' / '100').mkdir(parents=True)
  for words in ('', '--resume_changed True'):
    with pytest.raises(UsageError, match='has checkpoints but no config.yaml'):
      same_run.check(load(words), tmp_path / 'config.yaml')


def test_an_older_run_resumes_with_defaults_and_what_auto_was(path):
  text = path.read_text()
  text = text.replace("precision: '32'", 'precision: auto')
  text = re.sub(r'(?m)^(fast|batch_multiplier): .*\n', '', text)
  assert 'auto' in text and 'batch_multiplier' not in text
  path.write_text(text)
  assert not refusal(path, '')
  assert 'precision 32 (now 16)' in refusal(path, '--precision 16')


def test_changes_are_all_that_differs_and_has_an_effect(path):
  line = '--steps 9 --discount 0.9 --bird.entropy_scale 1'
  assert same_run.changes(load(line), path) == {
      'discount': (0.98, 0.9), 'steps': (25000, 9)}


def test_a_key_that_is_no_more_is_reported(path):
  path.write_text(path.read_text() + 'gone: 3\n')
  assert 'gone 3 (now None)' in refusal(path, '')
  assert not refusal(path, '--resume_changed True')


@pytest.mark.parametrize('line, names', [
    ('--configs dmc --idm.sigma_h 0.2 --idm.copies=2 --actor.units 8',
     ['--idm.sigma_h', '--idm.copies']),
    ('--configs cpu --expl_until 100', ['--expl_until']),
    ('--configs cpu --imag_starts 0 --expl_until 100 '
     '--expl_behavior Plan2Explore', []),
    ('--configs cpu --idm\\..*units 16', ['--idm\\..*units']),
    ('--configs cpu --.*head.units 16 --shadows True', []),
    ('--configs cpu_proprio --shadows True --supersample 2',
     ['--shadows', '--supersample']),
    ('--configs cpu_proprio --rotate.per episode --dmc_camera 1',
     ['--rotate.per', '--dmc_camera']),
    ('--configs cpu --rotate.per episode --dmc_camera 1', []),
    ('--configs cpu --task gym_Pendulum-v1 --shadows True --dmc_camera 1 '
     '--atari_grayscale False', ['--shadows', '--dmc_camera',
                                 '--atari_grayscale']),
    ('--configs cpu --task atari_pong --atari_grayscale False', []),
    ('--configs dmc wo_eva --idm.sigma_h 0.2', []),
    ('--configs dmc clion --idm.sigma_h 0.2 --clion.rotation_degrees 3', [])])
def test_flags_without_effect_are_named(line, names):
  notes = same_run.idle_flags(
      line.split(), config_lib.load(line.split()))
  assert [x.split()[1] for x in notes] == names
  assert all(('preset idm' in x) == ('idm' in x.split()[1]) for x in notes)


def test_a_run_of_drq_keeps_its_optimizer(tmp_path):
  config_lib.save(load(presets='cpu drq'), tmp_path / 'config.yaml')
  changed = load('--drq.opt.opt sgd --resume_changed True', 'cpu drq')
  with pytest.raises(UsageError) as info:
    same_run.check(changed, tmp_path / 'config.yaml')
  assert 'drq.opt.opt adam (now sgd)' in str(info.value)


@pytest.mark.parametrize('presets, replaced', [
    ('cpu idm drq', ['idm']), ('cpu,wo_eva,planet', ['wo_eva']),
    ('cpu planet world_models', ['planet']), ('cpu dreamer idm', []),
    ('cpu idm wo_eva', []), ('cpu rad idm', []), ('cpu bird curl', [])])
def test_methods_that_a_later_one_replaces_are_named(presets, replaced):
  line = ['--configs', *presets.split()]
  notes = same_run.idle_flags(line, config_lib.load(line))
  assert [x.split()[3] for x in notes] == replaced


def test_what_was_changed_on_resuming_is_described():
  starts = [
      {'step': 0, 'changed': {}},
      {'step': 400, 'changed': {'discount': [0.99, 0.5], 'steps': [5, 9]}},
      {'step': 800, 'changed': {}}]
  assert same_run.resumed(starts[:1]) == {}
  assert same_run.resumed(starts) == {
      'discount': '0.99, then 0.5 from 400, then 0.99 from 800'}
