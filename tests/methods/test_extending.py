"""docs/extending.md, followed to the letter by somebody with a clone."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

RUN = [
    '--configs', 'dmc', 'curious', 'debug', '--task', 'dmc_cartpole_balance',
    '--steps', '60', '--prefill', '50', '--pretrain', '1', '--time_limit', '50',
    '--eval_every', '60', '--log_every', '20']


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
  folder = tmp_path_factory.mktemp('clone')
  for name in ('run.py', 'configs.yaml'):
    shutil.copy(ROOT / name, folder)
  for name in ('dreamer_idm', 'patches'):
    shutil.copytree(ROOT / name, folder / name, symlinks=True)
  page = (ROOT / 'docs' / 'extending.md').read_text()
  text, = re.findall(r'```python\n(.*?)```', page, re.S)
  (folder / 'curious.py').write_text(text)
  return folder


def call(folder, *args):
  return subprocess.run(
      [sys.executable, *args], cwd=folder, capture_output=True, text=True,
      timeout=900)


@pytest.mark.slow
def test_the_page_s_example_trains_and_is_explained(clone):
  done = call(clone, 'run.py', *RUN, '--logdir', 'logdir')
  assert done.returncode == 0, done.stdout + done.stderr
  rows = [
      json.loads(x) for x in (clone / 'logdir/metrics.jsonl').open()]
  losses = [x['curious_loss'] for x in rows if 'curious_loss' in x]
  assert losses and np.isfinite(losses).all() and min(losses) > 0
  done = call(
      clone, 'run.py', *RUN, '--logdir', 'logdir', '--curious.scale', '0')
  assert done.returncode == 2 and 'curious.scale' in done.stderr, done.stderr
  done = call(
      clone, '-m', 'dreamer_idm', 'evaluate', '--logdir', 'logdir',
      '--episodes', '1', '--perturb', 'none')
  assert done.returncode == 0, done.stdout + done.stderr
  done = call(clone, 'run.py', '--configs', 'curious', '--help')
  words = ' '.join(done.stdout.split())
  assert '--curious.scale 0.1 weight of the bonus, 0: none [>= 0]' in words
  assert 'curious Dreamer with a reward for new states.' in words
  assert 'curious' not in call(clone, 'run.py', '--help').stdout
  done = call(clone, '-m', 'dreamer_idm', 'report', '--logdir', '.')
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'curious' in (clone / 'report/runs.csv').read_text()


@pytest.mark.slow
def test_mistakes_in_the_page_s_example_are_one_line(clone):
  for flags, words in [
      (['--curious.scale', '-1'], '--curious.scale must be >= 0, but is -1'),
      (['--curious.scal', '1'], 'did you mean --curious.scale'),
      (['--curious.opt.lr', 'x'], '--curious.opt.lr expects a number'),
      (['--agent', 'dreamer', '--configs', 'curios'], 'curios')]:
    flags = flags if '--configs' in flags else [
        '--configs', 'dmc', 'curious', *flags]
    done = call(clone, 'run.py', *flags, '--logdir', 'nothing')
    assert done.returncode == 2, flags
    assert words in done.stderr and done.stderr.count('\n') == 1, done.stderr


def test_the_page_s_example_does_what_it_says(clone):
  done = call(clone, '-c', """
import dreamer_idm
import numpy as np, tensorflow as tf
from dreamer_idm.config import load as config_lib
from dreamer_idm.agent import registry
part, = registry.extensions(config_lib.load(['--configs', 'dmc', 'curious']))
feat = np.random.RandomState(0).normal(size=(3, 4, 6)).astype('f')
reward = tf.zeros((3, 4)) + 2.0
before = part.reward(None, {'feat': tf.constant(feat)}, reward) - 2.0
mean = lambda net: np.float64(net(tf.constant(feat)).mode())
error = ((mean(part._learned) - mean(part._fixed)) ** 2).mean(-1)
np.testing.assert_allclose(before, 0.1 * error, rtol=1e-3)
fixed = [x.numpy() for x in part._fixed.variables]
for _ in range(300):
  part.train({'feat': tf.constant(feat)})
direction = np.random.RandomState(1).normal(size=feat.shape).astype('f')
with tf.GradientTape() as tape:
  step = tf.Variable(0.0)
  total = tf.reduce_sum(part.error(feat + step * direction))
slope = sum(
    sign * part.error(tf.constant(
        feat + sign * 0.01 * direction)).numpy().sum()
    for sign in (1, -1)) / 0.02
np.testing.assert_allclose(tape.gradient(total, step), slope, rtol=0.02)
after = part.reward(None, {'feat': tf.constant(feat)}, reward) - 2.0
assert after.numpy().mean() < 0.2 * before.numpy().mean()
for x, y in zip(part._fixed.variables, fixed):
  np.testing.assert_array_equal(x, y)
off = config_lib.load(['--configs', 'dmc', 'curious', '--curious.scale', '0'])
assert registry.extensions(off) == []
""")
  assert done.returncode == 0, done.stderr


def test_a_method_that_is_none_is_one_line(clone):
  (clone / 'empty.py').write_text('')
  (clone / 'half.py').write_text(
      'from dreamer_idm.agent.declaration import Method\nMETHOD = Method()\n')
  (clone / 'idm2').mkdir()
  (clone / 'idm2/idm.py').write_text((clone / 'half.py').read_text().replace(
      '()', "(keys={'x': 1})"))
  for name, words in [
      ('nowhere', 'must be dreamer | idm'), ('empty', 'METHOD = Method'),
      ('half', 'extensions(config)'), ('idm2.idm', 'another name')]:
    done = call(clone, 'run.py', '--agent', name, '--logdir', 'nothing')
    assert done.returncode == 2, name
    assert words in done.stderr and done.stderr.count('\n') == 1, done.stderr
