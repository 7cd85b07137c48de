"""Any command line and any yaml: one line, no stack trace, no changed file."""

import os
import pickle
import re

import hypothesis
import pytest
from hypothesis import strategies as st

import run
from dreamer_idm import __main__
from dreamer_idm.config import keys as config_keys
from dreamer_idm.config import load as config_lib
from dreamer_idm.config import same_run
from dreamer_idm.config import sources
from dreamer_idm.errors import UsageError

DEFAULT = config_lib.load([])
KEYS = sorted(DEFAULT.flat)
PRESETS = ['dmc', 'cpu', 'cpu_proprio', 'idm', 'debug', 'atari', 'doubled']
YAML = sources.OURS.read_text()

fuzz = hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(hypothesis.HealthCheck))

# What a person, a script or a cat may type.
words = st.one_of(
    st.sampled_from([
        '', '-', '--', '---', '=', ',', ',,', 'nan', 'inf', '-inf', '1e999',
        '-1', '0', '1.5', '1e3', '0x10', '1_000', 'True', 'false', 'None',
        'null', '[]', '{}', '[1,2]', '1 2', "'", '"', '\\', '\n', '\0',
        '\x1b[31m', '\u202e', '\ud800', '\u00b2', '\u0663', '9' * 5000, '*',
        '(', '.*',
        '$^', '~', '%s', '{0}', '../..', '/dev/null', '-9' * 99]),
    st.text(max_size=12), st.integers().map(str), st.floats().map(str))
keys = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(KEYS).map(lambda x: x[:-1]),
    st.sampled_from(KEYS).map(lambda x: x.rsplit('.', 1)[0]),
    st.sampled_from(KEYS).map(lambda x: re.sub(r'^\w+', '.*', x)),
    st.sampled_from(['configs', 'help_me', '(', '[a', '.*', '*', 'idm.*']),
    st.text(max_size=8))
flags = st.one_of(
    st.tuples(keys, st.lists(words, max_size=3)).map(
        lambda x: [f'--{x[0]}', *x[1]]),
    st.tuples(keys, words).map(lambda x: [f'--{x[0]}={x[1]}']),
    st.lists(st.sampled_from(PRESETS), max_size=4).map(
        lambda x: ['--configs', *x]),
    st.lists(words, max_size=2))
lines = st.lists(flags, max_size=4).map(lambda x: [y for z in x for y in z])


def answer(function, *args):
  """What was said, if it was no; None if all was well."""
  try:
    function(*args)
  except UsageError as error:
    message = str(error)
    assert message.strip() and len(message) < 20_000
    assert message.splitlines() == [message]
    assert message.encode('utf-8', 'strict')
    return message
  return None


@pytest.fixture(scope='module', autouse=True)
def nowhere(tmp_path_factory):
  """A working directory in which nothing may appear."""
  folder, before = tmp_path_factory.mktemp('cwd'), os.getcwd()
  os.chdir(folder)
  yield
  os.chdir(before)
  assert not list(folder.iterdir())


@hypothesis.settings(fuzz, max_examples=200)
@hypothesis.given(lines)
def test_any_command_line_is_taken_or_refused_in_one_line(argv):
  answer(config_lib.load, argv)


@fuzz
@hypothesis.given(st.sampled_from(KEYS), st.lists(words, max_size=3))
def test_any_value_of_a_key_keeps_its_type_or_is_refused(key, values):
  argv = [f'--{key}', *values]
  if answer(config_lib.load, argv) is None:
    value = config_lib.load(argv).flat[key]
    value = list(value) if isinstance(value, tuple) else value
    assert config_keys.fits(DEFAULT.flat[key], value), (key, value)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
    st.dates(), st.binary(max_size=5))
documents = st.recursive(scalars, lambda x: st.one_of(
    st.lists(x, max_size=3),
    st.dictionaries(st.one_of(scalars, st.sampled_from(KEYS)), x, max_size=4)),
    max_leaves=12)


@st.composite
def edited(draw):
  """Our configs.yaml, with pieces cut out, doubled or replaced."""
  text = YAML
  for _ in range(draw(st.integers(1, 3))):
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 40)))
    text = text[:start] + draw(st.one_of(
        words, st.just(text[start:end] * 2), st.just(''))) + text[end:]
  return text.encode('utf-8', 'replace')


def dumped(value):
  import io

  import ruamel.yaml
  stream = io.BytesIO()
  try:
    ruamel.yaml.YAML(typ='safe', pure=True).dump(value, stream)
  except Exception:  # Some values cannot even be written.
    return b''
  return stream.getvalue()


yaml_files = st.one_of(
    edited(), documents.map(dumped), st.binary(max_size=60),
    st.dictionaries(st.sampled_from(KEYS), documents, max_size=4).map(dumped))

NASTY = {
    'code': b'!!python/object/apply:os.system ["touch hacked"]',
    'code in a key': b'task: !!python/name:os.system\n',
    'pickle': pickle.dumps({'task': 'x'}),
    'cycle': b'&a [*a]', 'cycle of maps': b'idm: &a {b: *a}',
    'laughs': b'a: &a [x, x, x, x, x, x, x, x, x]\n' + b''.join(
        b'%c: &%c [%s]\n' % (x + 1, x + 1, b', '.join([b'*%c' % x] * 9))
        for x in range(ord('a'), ord('a') + 5)),
    'deep': b'[' * 5000, 'deep maps': b'{a: ' * 3000,
    'long number': b'steps: ' + b'9' * 10000,
    'octal': b'seed: 0o777777777777777777777', 'sexagesimal': b'seed: 1:30',
    'date': b'task: 2020-01-01', 'bad date': b'task: 2020-99-99',
    'merge': b'<<: 3', 'merges': b'<<: [1, 2]', 'two': b'a: 1\n---\nb: 2\n',
    'twice': b'seed: 1\nseed: 2\n', 'tab': b'a:\n\t- b', 'nul': b'a: \0',
    'bom': b'\xef\xbb\xbfseed: 1', 'utf16': 'seed: 1'.encode('utf-16'),
    'not utf8': b'task: \xff\xfe', 'key of keys': b'? [a, b]\n: c\n',
    'map as key': b'? {a: b}\n: c\n', 'null key': b'~: 1', 'number': b'3',
    'nan': b'steps: .nan', 'set': b'!!set {a, b}', 'omap': b'!!omap [a: 1]',
    'unknown tag': b'!x y', 'bad anchor': b'*nothing', 'empty': b'',
    'list for a number': b'seed: [1, 2]', 'text for a number': b'seed: x',
    'section for a value': b'seed: {a: 1}', 'value for a section': b'idm: 3',
    'directive': b'%YAML 9.9\n---\na: 1', 'binary': b'task: !!binary "="',
    'surrogate': b'task: "\\ud800"', 'escape': b'task: "\\e[31m\\n\\n"',
}


def read_in_every_role(folder, data):
  """As a run's config.yaml, and in place of our configs.yaml."""
  path = folder / 'config.yaml'
  path.write_bytes(data)
  answer(config_lib.saved, folder)
  answer(same_run.check, DEFAULT, path)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sources, 'OURS', path)
    sources.read.cache_clear()
    try:
      answer(config_lib.load, ['--configs', 'idm'])
    finally:
      sources.read.cache_clear()
  assert [x.name for x in folder.iterdir()] == ['config.yaml']
  assert path.read_bytes() == data


@fuzz
@hypothesis.given(yaml_files)
def test_any_yaml_is_taken_or_refused_in_one_line(tmp_path_factory, data):
  read_in_every_role(tmp_path_factory.mktemp('yaml'), data)


@pytest.mark.parametrize('name', NASTY)
def test_nasty_yaml(tmp_path, name):
  read_in_every_role(tmp_path, NASTY[name])


@pytest.mark.parametrize('argv', [
    ['--steps', 'nan'], ['--steps', '1e999'], ['--seed', '-1'],
    ['--seed', '9' * 5000], ['--configs'], ['--configs', ''], ['--', 'x'],
    ['--logdir', '/dev/null'], ['--logdir', 'a\0b'], ['--task', ''],
    ['--task', 'gym_'], ['--task', 'gym_../x:Y-v0'], ['--task', 'dmc_\n_'],
    ['--(', '3'], ['--.*', '3'], ['--rssm.deter', '1e3x'],
    ['--replay.capacity', '-1'], ['--render_size', '32'], ['--=', '='],
    ['--encoder.mlp_keys', '('], ['\ud800'], ['--task=\x1b[2J'],
    ['--configs', 'idm', '--configs', 'dmc'], ['--method', '../../x']])
def test_nasty_command_lines(capsys, argv):
  assert run.main(argv) == 2
  out, err = capsys.readouterr()
  assert out == '' and err.startswith('error: ') and err.count('\n') == 1
  assert err[:-1].isprintable(), err


commands = st.tuples(
    st.one_of(st.sampled_from(['evaluate', 'reconstruct', 'report']), words),
    st.lists(st.one_of(words, st.sampled_from([
        '--logdir', '--episodes', '--perturb', '--strength', '--sweep', '--out',
        '--sigma', '--frames', '--checkpoint', '--title'])), max_size=5))


@fuzz
@hypothesis.given(commands)
def test_any_other_command_is_taken_or_refused_in_one_line(capsys, command):
  code = __main__.main([command[0], *command[1]])
  out, err = capsys.readouterr()
  assert code in (0, 2), (code, out, err)
  if code:
    assert err.startswith('error: ') and err.count('\n') == 1, err
  assert 'Traceback' not in out + err
