import errno
import os
import types

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dreamer_idm.config import load as config_lib
from dreamer_idm.runs import checkpoints
from dreamer_idm.training import messages

BOX = gymnasium.spaces.Box


def config(*flags):
  return config_lib.load(['--configs', 'cpu', '--steps', '1000', *flags])


@pytest.fixture
def env():
  """A step of 250 bytes: an image, and an action of two float32."""
  return types.SimpleNamespace(
      obs_space={'image': BOX(0, 255, (242,), np.uint8)},
      act_space={'action': BOX(-1, 1, (2,))})


@pytest.mark.parametrize('flags, steps, size', [
    ([], '1,000', '0.00025'),
    (['--replay.capacity', '400'], '400', '0.0001'),
    (['--replay.capacity', '0', '--steps', '2e9'], '2,000,000,000', '5e+02')])
def test_memory_is_that_of_the_steps_that_the_replay_keeps(
    env, flags, steps, size):
  line, *more = messages.memory(config(*flags), env)
  assert f'{steps} agent steps of 0.25 KB' in line
  assert f'up to {size} GB' in line
  assert bool(more) == (steps == '2,000,000,000')


def test_less_memory_than_needed_is_told(env, monkeypatch):
  sizes = {'SC_PHYS_PAGES': 240, 'SC_PAGE_SIZE': 1000}
  monkeypatch.setattr(os, 'sysconf', sizes.get)
  _, line = messages.memory(config(), env)
  assert line == 'This machine has 0.00024 GB: lower --replay.capacity.'


@pytest.mark.parametrize('steps, told', [
    ('499', True), ('500', True), ('501', False)])
def test_a_run_of_random_steps_alone_is_told(steps, told):
  line = messages.random_only(config('--steps', steps, '--prefill', '500'))
  assert bool(line) == told and ('prefill 500' in line) == told


@pytest.mark.parametrize('flags, told', [
    ([], ''),
    (['--log_keys_sum', '^reward$|log_hit'], ''),
    (['--log_keys_sum', 'log_hit|log_tpyo'], '--log_keys_sum log_tpyo matches'),
    (['--log_keys_max', '^log_(a|b)$'], '--log_keys_max ^log_(a|b)$ matches'),
    (['--log_keys_video', 'image', 'front'], ''),
    (['--log_keys_video', 'rear'], '--log_keys_video rear is none of the')])
def test_keys_to_log_that_nothing_has_are_named(flags, told):
  spaces = {
      'front': BOX(0, 255, (8, 8, 3), np.uint8), 'reward': BOX(-1, 1, ()),
      'log_hit': BOX(0, 1, ()), 'action': BOX(-1, 1, (2,))}
  lines = messages.unlogged(config(*flags), spaces)
  assert len(lines) == bool(told) and ''.join(lines).startswith(told)
  # Upstream's default names an image, which vector tasks do not have.
  assert not messages.unlogged(config(), {'action': BOX(-1, 1, (2,))})


def test_forecast_counts_the_updates_that_are_left():
  flags = ['--train_every', '5', '--train_steps', '2']
  line = messages.forecast(config(*flags), 500, 0.5, [])
  assert 'An update takes 0.5s: the 200 updates' in line
  assert 'about 2m' in line and 'GPU' not in line


@pytest.mark.parametrize('gpus, told', [([], True), (['one'], False)])
def test_forecast_of_days_without_a_gpu_names_the_small_preset(gpus, told):
  line = messages.forecast(config(), 0, 36000.0, gpus)
  assert ('No GPU was found; --configs cpu' in line) == told


def test_the_way_on_is_what_the_disk_has(tmp_path):
  saved = checkpoints.Checkpoints(
      tmp_path / 'checkpoints', tf.train.Checkpoint(x=tf.Variable(1.0)), 3)
  told = lambda step: messages.way_on(config(), tmp_path, step)
  assert told(60) == (
      'Stopped at env step 240; the same command starts over, for nothing was '
      'learned yet.')
  saved.save(60, {'step': 60})
  assert told(60).endswith('goes on from there.')
  assert told(75).startswith('Stopped at env step 300;')
  assert told(75).endswith('from the last checkpoint, at env step 240.')


@pytest.mark.parametrize('error, words', [
    (OSError(errno.ENOSPC, 'No space left', 'a/file'), 'a/file: No space left'),
    (OSError(errno.ENOSPC, 'No space left'), 'run: No space left'),
    (tf.errors.AbortedError(None, None, (
        'Trace:\n  File "x.py", line 1\nthe cause \n\t [[node/name]]\n')),
     'the cause'),
    (tf.errors.AbortedError(None, None, 'x' * 999), 'x' * 300),
    (tf.errors.AbortedError(None, None, ''), 'AbortedError')])
def test_last_words(error, words):
  assert messages.last_words(error, 'run') == words
