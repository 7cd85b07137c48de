"""The config: presets, command line, mistakes, help, and run.py."""

import pathlib
import pickle
import re
import subprocess
import sys

import pytest
from dreamer_idm.patches import ruamel_yaml

from dreamer_idm.config import load as config_lib
from dreamer_idm.config import methods
from dreamer_idm.config import rules
from dreamer_idm.config import sources
from dreamer_idm.config import upstream_keys
from dreamer_idm.errors import UsageError
from dreamer_idm.runs import provenance
from dreamer_idm.upstream.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = ruamel_yaml.safe_load((ROOT / 'configs.yaml').read_text())
UPSTREAM = ruamel_yaml.safe_load(sources.UPSTREAM.read_text())
PRESETS = [
    x for x in {**UPSTREAM, **OURS, **methods.presets()} if x != 'defaults']


def load(line=''):
  return config_lib.load(line.split())


def mistake(line):
  with pytest.raises(UsageError) as info:
    load(line)
  message = str(info.value)
  assert message and '\n' not in message
  return message


def run(*args, code=None):
  command = ['-c', code] if code else ['run.py', *args]
  return subprocess.run(
      [sys.executable, *command], cwd=ROOT, capture_output=True, text=True,
      timeout=900)


# docs/differences.md, "From Dreamer v1", row by row.
DMC = {
    'action_repeat': 2, 'time_limit': 0,
    'prefill': 2500,
    'pretrain': 100,
    'train_every': 5, 'train_steps': 1,
    'eval_every': 5000, 'log_every': 500,
    'dataset.batch': 50, 'dataset.length': 50,
    'replay.minlen': 50, 'replay.maxlen': 50, 'replay.prioritize_ends': False,
    'rssm.ensemble': 1, 'rssm.stoch': 30, 'rssm.discrete': 0,
    'rssm.deter': 200, 'rssm.hidden': 200, 'rssm.std_act': 'softplus',
    'rssm.min_std': 0.1, 'rssm.act': 'elu',
    'encoder.cnn_keys': 'image', 'encoder.mlp_keys': '$^',
    'encoder.act': 'relu', 'encoder.cnn_depth': 32,
    'decoder.cnn_keys': 'image', 'decoder.mlp_keys': '$^',
    'decoder.act': 'relu', 'decoder.cnn_depth': 32,
    'reward_head.layers': 2, 'reward_head.units': 400,
    'reward_head.act': 'elu', 'reward_head.dist': 'mse',
    'critic.layers': 3, 'critic.units': 400, 'critic.act': 'elu',
    'critic.dist': 'mse',
    'actor.layers': 4, 'actor.units': 400, 'actor.act': 'elu',
    'pred_discount': False, 'grad_heads': ('decoder', 'reward'),
    'kl.free': 3.0, 'kl.free_avg': True, 'kl.balance': 0.4999999,
    'kl.forward': False, 'loss_scales.kl': 2.0,
    'model_opt.lr': 6e-4, 'actor_opt.lr': 8e-5, 'critic_opt.lr': 8e-5,
    **{f'{x}_opt.{key}': value
       for x in ('model', 'actor', 'critic')
       for key, value in dict(opt='adam', eps=1e-7, clip=100, wd=0).items()},
    'discount': 0.99, 'discount_lambda': 0.95, 'imag_horizon': 15,
    'slow_target': False,
    'actor.dist': 'tanh_normal', 'actor.min_std': 1e-4,
    'actor.init_std': 4.99324,
    'actor_grad': 'dynamics', 'actor_ent': 0,
    'expl_noise': 0.3, 'eval_noise': 0.0,
    'clip_rewards': 'identity',
    'reward_norm.momentum': 1.0, 'reward_norm.scale': 1.0,
}


@pytest.mark.parametrize('line', ['', '--configs dmc'])
def test_dmc_is_dreamer_v1(line):
  flat = load(line).flat
  assert {key: flat[key] for key in DMC} == DMC


def test_init_std_makes_v1s_standard_deviation():
  # v1: softplus(0 + raw) + 1e-4 = 5 + 1e-4 at a network output of zero.
  import math
  assert math.log1p(math.exp(DMC['actor.init_std'])) == pytest.approx(5, 1e-5)


@pytest.mark.parametrize('name', ['dmc_vision', 'dmc_proprio', 'atari',
                                  'crafter'])
def test_upstreams_presets_are_upstreams(name):
  expected = Config(UPSTREAM['defaults']).update(UPSTREAM[name]).flat
  flat = load(f'--configs {name}').flat
  changed = {'logdir', 'eval_eps', 'precision', 'slow_target_fraction'}
  declared = [x.sources().get('defaults', {}) for x in methods.declared()]
  new = {
      k for x in (OURS['defaults'], *declared) for k in Config(x).flat
  } - changed
  assert set(flat) == set(expected) | new
  assert ({k: v for k, v in flat.items() if k not in new | changed} ==
          {k: v for k, v in expected.items() if k not in changed})


def test_a_preset_of_both_is_upstreams_then_ours(monkeypatch, tmp_path):
  source = (ROOT / 'configs.yaml').read_text()
  source = source.replace('\ndebug:\n', '\ndebug:\n  dataset.batch: 3\n')
  (tmp_path / 'configs.yaml').write_text(source)
  monkeypatch.setattr(sources, 'OURS', tmp_path / 'configs.yaml')
  config = load('--configs debug')
  assert (config.dataset.batch, config.dataset.length) == (3, 10)
  assert config.time_limit == UPSTREAM['debug']['time_limit']
  assert config.steps == OURS['debug']['steps']


@pytest.mark.parametrize('name, agent, constraint, copies, evaluator, batch', [
    ('idm', 'idm', True, 1, True, 1),
    ('wo_eva', 'idm', True, 1, False, 1),
    ('wo_dm', 'idm', True, 0, True, 1),
    ('wo_cst_dm', 'idm', False, 0, True, 1),
    ('doubled', 'dreamer', True, 1, True, 2),
])
def test_ablations(name, agent, constraint, copies, evaluator, batch):
  config = load(f'--configs dmc {name}')
  assert config.agent == agent
  assert config.method == name
  assert bool(config.idm.cst_scale) == constraint
  assert config.idm.copies == copies
  assert config.idm.evaluator == evaluator
  assert config.batch_multiplier == batch
  # And nothing else differs from the vanilla arm.
  before, after = load('--configs dmc').flat, config.flat
  differing = {key for key in before if before[key] != after[key]}
  assert differing <= {
      'agent', 'method', 'idm.cst_scale', 'idm.copies', 'idm.evaluator',
      'batch_multiplier'}


@pytest.mark.parametrize('name', PRESETS)
def test_every_preset_loads(name):
  base = '' if name in ('atari', 'crafter', 'dmc_vision') else 'dmc '
  load(f'--configs {base}{name}')


@pytest.mark.parametrize('name', ['idm', 'wo_eva', 'wo_dm', 'wo_cst_dm'])
def test_idm_goes_with_every_base(name):
  for base in ('cpu', 'dmc cpu', 'dmc dmc_proprio', 'dmc'):
    load(f'--configs {base} {name}')
    load(f'--configs {base} {name} debug')


def test_later_presets_win():
  assert load('--configs dmc debug').dataset.length == 10
  assert load('--configs debug dmc').dataset.length == 50
  assert load('--configs dmc cpu') == load('--configs cpu')


@pytest.mark.parametrize('line, key, value', [
    ('--idm.sigma_h 0.2 --rssm.deter 100', 'idm.sigma_h', 0.2),
    ('--idm.sigma_h 0.2 --rssm.deter 100', 'rssm.deter', 100),
    ('--idm.sigma_h=0.2', 'idm.sigma_h', 0.2),
    ('--idm.sigma_h 0.2 --idm.sigma_h 0.3', 'idm.sigma_h', 0.3),
    ('--idm.sigma_h 0.2 --configs idm dmc', 'idm.sigma_h', 0.2),
    ('--encoder.cnn_kernels 2 3 4', 'encoder.cnn_kernels', (2, 3, 4)),
    ('--encoder.cnn_kernels 2,3,4', 'encoder.cnn_kernels', (2, 3, 4)),
    ('--configs dmc,idm', 'agent', 'idm'),
    (r'--.*\.norm layer', 'encoder.norm', 'layer'),
    (r'--.*\.norm layer', 'idm.eva_head.norm', 'layer'),
    (r'--.*\.norm layer --rssm.norm none', 'rssm.norm', 'none'),
    ('--prefill 1e3', 'prefill', 1000),
    ('--steps 300', 'steps', 300.0),
    ('--dmc_camera -1', 'dmc_camera', -1),
    ('--slow_target True', 'slow_target', True),
    ('--slow_target true', 'slow_target', True),
    ('--slow_target=FALSE', 'slow_target', False),
    ('--render_size [64, 64]', 'render_size', (64, 64)),
    ('--render_size [64,64]', 'render_size', (64, 64)),
    ('--render_size=(64,64)', 'render_size', (64, 64)),
    ("--grad_heads ['decoder', \"reward\"]", 'grad_heads', (
        'decoder', 'reward')),
    ('--logdir [x]', 'logdir', '[x]'),
    ('--precision 16', 'precision', '16'),
    ('--precision auto', 'precision', '32'),
    ('', 'precision', '32'),
    ('--logdir a=b', 'logdir', 'a=b'),
    ('--logdir=a=b', 'logdir', 'a=b'),
])
def test_command_line(line, key, value):
  result = load(line).flat[key]
  assert result == value
  assert type(result) is type(value)


@pytest.mark.parametrize('line, words', [
    ('--configs dmcc', ["'dmcc'", 'dmc', 'presets:', 'wo_cst_dm', 'crafter']),
    ('--configs idm wo_evaluator', ["'wo_evaluator'", 'wo_eva']),
    ('--configs', ['--configs', 'presets', 'dmc']),
    ('--configs dmc --configs idm', ['twice', '--configs dmc idm']),
    ('--config dmc', ['--config is an unknown key', 'mean --configs?']),
    ('dmc idm', ["'dmc'", '--configs']),
    ('--idm', ['section', 'idm.sigma_h']),
    ('--idm 3', ['section', 'idm.sigma_h', 'idm.eva_opt.lr']),
    ('--idm.eva_opt 3', ['section', 'idm.eva_opt.lr']),
    ('--debug', ['preset', '--configs debug']),
    ('--sigma_h 3', ['--sigma_h', '--idm.sigma_h']),
    ('--idm.sigmah 3', ['--idm.sigmah', '--idm.sigma_h']),
    ('--sigmah 3', ['--sigmah', '--idm.sigma_h']),
    ('--rsm.deter 3', ['--rsm.deter', '--rssm.deter']),
    ('--rssm.deterr 3', ['did you mean --rssm.deter ']),
    ('--lr 3', ['--model_opt.lr']),
    ('--task.x 3', ['--task']),
    ('--xyzzy 3', ['--xyzzy', '--help all']),
    ('-- 3', ['unknown key']),
    ('--.*xyzzy 3', ['--.*xyzzy is an unknown key']),
    ('--rssm.( 3', ['--rssm.(', 'nor a regular expression']),
    ('--steps', ['--steps', 'a number', 'no value']),
    ('--steps --task x', ['--steps', 'no value']),
    ('--steps 1 2', ['--steps', 'a number', "2 values: '1' '2'"]),
    ('--idm.copies 1.5', ['--idm.copies', 'an integer', "'1.5'"]),
    ('--idm.copies one', ['--idm.copies', 'an integer', "'one'"]),
    ('--idm.copies inf', ['--idm.copies', 'an integer', "'inf'"]),
    ('--idm.sigma_h x', ['--idm.sigma_h', 'a number', "'x'"]),
    ('--idm.evaluator no', ['--idm.evaluator', 'True or False', "'no'"]),
    ('--idm.evaluator 1', ['--idm.evaluator', 'True or False']),
    ('--encoder.cnn_kernels []', ['list', 'an integer', "'[]'"]),
    ('--encoder.cnn_kernels [4, 4', ['list', 'an integer', "'[4,'"]),
    ('--encoder.cnn_kernels [4, [4]]', ['list', 'an integer', "'[4]]'"]),
    ('--rssm.discrete False', ['--rssm.discrete', 'an integer', '0 switches']),
    ('--encoder.cnn_kernels 4 x', ['list', 'an integer', "'4' 'x'"]),
    (r'--.*\.units x', ['.units expects an integer']),
])
def test_mistakes_are_explained(line, words):
  message = mistake(line)
  for word in words:
    assert word in message


def test_line_breaks_do_not_reach_the_message():
  for argv in (['--a\nb', '3'], ['--steps', '1\n2'], ['a\nb'],
               ['--configs', 'a\nb'], ['--method', 'a\nb']):
    with pytest.raises(UsageError) as info:
      config_lib.load(argv)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('key, values', [
    ('agent', ['IDM', '']),
    ('method', ['', 'a/b', '..']),
    ('precision', ['8', 'float16']),
    ('threads', [-1]),
    ('batch_multiplier', [0]),
    ('checkpoints', [0]),
    ('eval_eps', [-1]),
    ('rotate.degrees', [-1, 181, 'nan', 'inf']),
    ('rotate.per', ['step']),
    ('rotate.fill', ['black']),
    ('idm.sigma_h', [-0.1, 'nan', 'inf']),
    ('idm.sigma_s', [-0.1]),
    ('idm.stoch_mode', ['wide']),
    ('idm.noise', ['cauchy']),
    ('clion.rotation_scale', [-1]),
    ('clion.rotation_degrees', [-1, 181]),
    ('idm.copies', [-1]),
    ('idm.cst_scale', [-1]),
    ('idm.cst_delta', [-1]),
    ('idm.eva_horizon', [-1]),
    ('idm.eva_loss', ['mse']),
    ('idm.eva_head.act', ['eluu']),
    ('idm.eva_opt.opt', ['adamw']),
    ('idm.eva_opt.clip', [0.5]),
    ('drq.opt.opt', ['adamw']),
    ('drq.opt.lr', [-1]),
    ('idm.weight_power', [-1]),
    ('idm.weight_clip', [-1, 0.5]),
    ('seed', [-1]),
    ('envs', [0]),
    ('envs_parallel', ['spawn']),
    ('action_repeat', [0, 50]),
    ('render_size', ['64', '64 64 3', '0 64']),
    ('steps', [0, -1, 'inf', 'nan', 0.5]),
    ('eval_every', [0, 2.5]),
    ('log_every', [0]),
    ('prefill', [0]),
    ('train_every', [0]),
    ('train_steps', [0]),
    ('time_limit', [-1]),
    ('replay.minlen', [0, 51]),
    ('dataset.batch', [0]),
    ('dataset.length', [1, 5]),
    ('log_keys_sum', ['(']),
    ('encoder.cnn_keys', ['(', 'picture']),
    ('encoder.cnn_kernels', ['4 4 4 4 4', '65']),
    ('decoder.cnn_kernels', ['5 6 6', '5 5 6 5', '5 5 6 6 2']),
    ('rssm.std_act', ['sigmoid3']),
    ('rssm.norm', ['batch']),
    ('rssm.stoch', [0]),
    ('actor.dist', ['normal', 'one_hot']),
    ('critic.dist', ['normal']),
    ('grad_heads', ['decoder image', 'discount']),
    ('clip_rewards', ['clip']),
    ('imag_horizon', [1]),
    ('discount', [1.1]),
    ('slow_target_update', [0]),
    ('actor_grad', ['reparam']),
    ('model_opt.opt', ['adamw']),
    ('model_opt.wd', [1, -1]),
    ('model_opt.lr', [-1]),
    ('model_opt.eps', [0]),
    ('kl.balance', [2]),
    ('expl_behavior', ['random', 'plan2explore']),
])
def test_bad_values(key, values):
  for value in values:
    with pytest.raises(UsageError) as info:
      config_lib.load([f'--{key}', *(str(value).split() or [''])])
    message = str(info.value)
    assert '\n' not in message
    assert key in message or key == 'action_repeat'


@pytest.mark.parametrize('line', [
    '--idm.sigma_h 0 --idm.cst_delta 0 --idm.copies 3 --idm.weight_clip 1',
    '--rotate.degrees 0 --rotate.per episode --rotate.fill nearest',
    '--model_opt.clip 0 --replay.maxlen 0 --replay.capacity 0',
    '--replay.minlen 1 --dataset.length 6 --imag_horizon 2',
    '--time_limit 50',
    '--pred_discount True --grad_heads decoder reward discount',
    '--render_size 32 32 --encoder.cnn_kernels 4 4 4 '
    '--decoder.cnn_kernels 5 6 6',
    '--decoder.cnn_keys $^ --dataset.length 2 --render_size 100 80',
    '--expl_behavior Plan2Explore --disag_target feat',
    '--logdir /tmp',
    '--log_keys_max ^log_.*',
])
def test_good_values_at_the_edges(line):
  load(line)


def test_values_that_do_not_go_together(tmp_path):
  file = tmp_path / 'file'
  file.write_text('')
  assert '--render_size 64 64' in mistake('--render_size 64 128')
  assert 'time_limit' in mistake('--time_limit 49')
  assert 'folder of this machine' in mistake('--logdir gs://bucket/run')
  rgb = '--configs cpu --task gym_X-v0 --encoder.cnn_keys rgb'
  load(f'{rgb} --decoder.cnn_keys rgb')  # Images may have any name there.
  assert '--render_size 32 32' in mistake(
      f'{rgb} --decoder.cnn_keys rgb --render_size 64 64')
  assert 'discount' in mistake('--grad_heads reward discount')
  assert 'a file' in mistake(f'--logdir {file}')
  assert 'decoded' in mistake('--configs dmc idm --decoder.cnn_keys $^')
  for grad in ('reinforce', 'both'):
    assert 'critic' in mistake(f'--agent no_value --actor_grad {grad}')
  assert 'entrop' in mistake('--agent soft_bird --actor_grad reinforce')
  assert 'decoded' in mistake('--configs dmc reward_only idm')
  load('--configs dmc contrastive idm')  # Has a constraint of its own.
  assert 'candidates' in mistake('--configs dmc planet --planet.elites 1001')
  assert 'disag_offset' in mistake(
      '--expl_behavior Plan2Explore --disag_offset 50')


@pytest.mark.parametrize('text, words', [
    ('mine: {idm.sigmah: 1}', ["'mine' in", 'idm.sigmah', 'idm.sigma_h']),
    ('mine: {rssm: {deterr: 1}}', ['rssm.deterr', 'did you mean rssm.deter ']),
    ('mine: {idm: 3}', ['section']),
    ('mine: {pred_discount: "no"}', ['pred_discount', 'True or False']),
    ('mine: {pred_discount: 1}', ['pred_discount', 'True or False', 'got 1']),
    ('mine: {grad_heads: reward}', ['grad_heads', 'a list']),
    ('mine: {rssm.deter: 1.5}', ['rssm.deter', 'an integer', '1.5']),
    ('mine: {rssm.deter: true}\nmine: {}', ['line 2', 'duplicate']),
    ('mine: {discount: }', ['discount', 'no value']),
    ('mine: {"rssm.(": 3}', ['rssm.(', 'regular expression']),
    ('mine: 3', ['mapping']),
    ('3', ['mapping']),
    ('mine: {a: [}', ['line 1']),
    ('defaults: {rssm: 3}', ['rssm', 'section']),
    ('defaults: {idm: {x: []}}', ['idm.x', 'no value']),
    ('mine: !!python/object/apply:os.getcwd []', ['line 1']),
])
def test_mistakes_in_the_file(monkeypatch, tmp_path, text, words):
  path = tmp_path / 'configs.yaml'
  monkeypatch.setattr(sources, 'OURS', path)
  path.write_text(text)
  message = mistake('--configs mine')
  for word in [str(path), *words]:
    assert word in message


def test_missing_file(monkeypatch, tmp_path):
  monkeypatch.setattr(sources, 'OURS', tmp_path / 'nothing.yaml')
  assert 'nothing.yaml' in mistake('')


def test_every_rule_is_about_some_key():
  keys = list(load().flat)
  for pattern in (*map(re.escape, rules.RULES), *upstream_keys.KEYS):
    assert any(re.fullmatch(pattern, key) for key in keys), pattern


def test_logdir():
  config = load('--task dmc_cup_catch --configs dmc wo_dm --seed 3')
  assert config_lib.logdir(config) == pathlib.Path(
      'logdir/dmc_cup_catch/wo_dm/3')
  config = load('--logdir ~/runs/1')
  assert config_lib.logdir(config) == pathlib.Path.home() / 'runs/1'


def test_folder_name():
  assert config_lib.folder_name('dmc_cup_catch') == 'dmc_cup_catch'
  assert config_lib.folder_name('gym_a/b:C+d.e-v0') == 'gym_a-b-C+d.e-v0'


def test_saved_says_what_is_wrong_with_a_file(tmp_path):
  path = tmp_path / 'config.yaml'
  for text, words in [
      ('seed: x', 'seed expects an integer'), ('idm: 3', 'idm'),
      ('seed: {a: 1}', 'seed'),
      ('precision: 8', '--precision must be'), ('a: [', 'line 1')]:
    path.write_text(text)
    with pytest.raises(UsageError, match='cannot read') as info:
      config_lib.saved(tmp_path)
    assert words in str(info.value) and str(path) in str(info.value)


def test_saved_does_not_swallow_what_it_does_not_expect(tmp_path, monkeypatch):
  config_lib.save(load(), tmp_path / 'config.yaml')

  def broken(config):
    raise ZeroDivisionError('a mistake of ours')
  monkeypatch.setattr(config_lib, 'check', broken)
  with pytest.raises(ZeroDivisionError):
    config_lib.saved(tmp_path)


def test_saved_config_is_read_back(tmp_path):
  config = load('--configs cpu idm --idm.sigma_h 0.2')
  path = tmp_path / 'new' / 'config.yaml'
  config_lib.save(config, path)
  assert Config.load(path) == config
  assert Config.load(path).flat == config.flat
  assert [x.name for x in path.parent.iterdir()] == ['config.yaml']


def test_a_config_that_is_there_stays(tmp_path):
  path = tmp_path / 'config.yaml'
  config_lib.save(load(), path)
  before = path.read_bytes()
  config_lib.save(load('--seed 1'), path)
  assert path.read_bytes() == before


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
  def full(self, filename):
    pathlib.Path(filename).write_text('half')
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(Config, 'save', full)
  with pytest.raises(OSError, match='No space left on device'):
    config_lib.save(load(), tmp_path / 'config.yaml')
  assert not list(tmp_path.iterdir())


def test_help_names_every_preset_and_key_of_ours():
  text = config_lib.help_text()
  assert max(map(len, text.splitlines())) <= 80
  for name in PRESETS:
    # With something behind the name.
    assert re.search(rf'(?m)^  {name} +\S', text), name
  for key, value in Config(OURS['defaults']).flat.items():
    words = ' '.join(value) if isinstance(value, tuple) else value or ''
    assert re.search(rf'--{re.escape(key)} {words}', text), key


def test_help_takes_its_words_from_the_file(monkeypatch, tmp_path):
  source = (ROOT / 'configs.yaml').read_text()
  line, = re.findall(r'(?m)^  checkpoints: 3 .*$', source)
  path = tmp_path / 'configs.yaml'
  path.write_text(source.replace(line, '  checkpoints: 7 # so # to say'))
  monkeypatch.setattr(sources, 'OURS', path)
  assert re.search(
      r'--checkpoints 7 +so # to say \[>= 1\]', config_lib.help_text())


def test_help_all_names_every_key():
  text = config_lib.help_text(['--help', 'all'])
  for key in load().flat:
    assert f'--{key} ' in text


def test_import_is_free_of_tensorflow():
  result = run(code=(
      'import sys, dreamer_idm.config.load as c; c.load([]); '
      'assert not {"tensorflow", "numpy"} & set(sys.modules)'))
  assert result.returncode == 0, result.stderr


def test_config_reaches_a_process_that_has_not_imported_it():
  data = pickle.dumps(load('--seed 3'))
  result = run(code=f'import pickle; print(pickle.loads({data!r}).seed)')
  assert result.stdout.strip() == '3', result.stderr


def test_run_explains_mistakes_in_one_line():
  result = run('--bogus', '1')
  assert result.returncode == 2
  assert result.stdout == ''
  assert re.fullmatch(r'error: .*--bogus.*\n', result.stderr)
  assert 'Traceback' not in result.stderr


def test_run_help_needs_no_tensorflow():
  result = run('--help')
  assert result.returncode == 0
  assert result.stdout.strip() == config_lib.help_text().strip()
  assert result.stderr == ''
  result = run(code=(
      'import sys, run; code = run.main(["--help"]); '
      'sys.exit(code or ("tensorflow" in sys.modules))'))
  assert result.returncode == 0, result.stderr


def test_run_ends_quietly_when_interrupted(monkeypatch, capsys):
  def interrupted(argv):
    raise KeyboardInterrupt
  monkeypatch.syspath_prepend(str(ROOT))
  monkeypatch.setattr(config_lib, 'load', interrupted)
  import run as run_module
  assert run_module.main([]) == 130
  assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.parametrize('line, method, copies, cst_scale, evaluator, batch', [
    ('dmc wo_dm idm', 'idm', 1, 1, True, 1),
    ('dmc doubled idm', 'idm', 1, 1, True, 1),
    ('dmc wo_eva wo_dm', 'wo_dm', 0, 1, True, 1),
    ('dmc idm doubled', 'doubled', 1, 1, True, 2),
    ('cpu wo_cst_dm wo_eva', 'wo_eva', 1, 1, False, 1)])
def test_the_last_arm_named_is_the_whole_arm(
    line, method, copies, cst_scale, evaluator, batch):
  config = load(f'--configs {line}')
  assert config.method == method
  assert config.agent == ('dreamer' if method == 'doubled' else 'idm')
  assert (config.idm.copies, config.idm.cst_scale) == (copies, cst_scale)
  assert config.idm.evaluator == evaluator
  assert config.batch_multiplier == batch


def test_a_saved_config_is_what_held_last(tmp_path):
  config = config_lib.load(['--configs', 'cpu_proprio'])
  config_lib.save(config, tmp_path / 'config.yaml')
  for changed in ({'discount': (0.98, 0.5)}, {
      'discount': (0.98, 0.9), 'render_size': ([32, 32], [16, 24]),
      'gone': (1, None)}):
    provenance.write(tmp_path, changed, step=0)
  found = config_lib.saved(tmp_path)
  assert found.discount == 0.9 and tuple(found.render_size) == (16, 24)
