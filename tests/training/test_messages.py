import os
import types

import gymnasium
import numpy as np
import pytest

from dreamer_idm.config import load as config_lib
from dreamer_idm.training import messages

BOX = gymnasium.spaces.Box


def config(*flags):
  return config_lib.load(['--configs', 'cpu', '--steps', '1000', *flags])


@pytest.fixture
def env():
  """A step of 250 bytes: an image, and an action of two float32."""
  return types.SimpleNamespace(
      obs_space={'image': BOX(0, 255, (242,), np.uint8)},
      act_space={'action': BOX(-1, 1, (2,))}, log_names=())


def test_the_start_names_settings_that_change_and_those_that_change_back():
  record = {
      'version': '1', 'commit': None, 'device': 'CPU', 'precision': '32',
      'threads': 1, 'changed': {'discount': [0.99, 0.5]}}
  before = {'changed': {
      'discount': [0.99, 0.7], 'seed': [1, 2], 'resume_changed': [False, True]}}
  line = messages.start(record)
  assert line.endswith('first: discount 0.99 (now 0.5).')
  line = messages.start(record, before)
  assert line.endswith('(now 0.5). As at first again: seed (was 2).')
  for damaged in ({}, {'changed': None}, {'changed': {'seed': 3}}):
    assert messages.start(record, damaged) == line.partition(' As at')[0]


@pytest.mark.parametrize('flags, steps, size', [
    ([], '1,000', '0.00025'),
    (['--replay.capacity', '400'], '400', '0.0001'),
    (['--replay.capacity', '0', '--steps', '2e9'], '2,000,000,000', '5e+02')])
def test_memory_is_that_of_the_steps_that_the_replay_keeps(
    env, flags, steps, size):
  line, *more = messages.beginning(config(*flags), env)
  assert f'{steps} agent steps of 0.25 KB' in line
  assert f'up to {size} GB' in line
  assert bool(more) == (steps == '2,000,000,000')


def test_less_memory_than_needed_is_reported(env, monkeypatch):
  sizes = {'SC_PHYS_PAGES': 240, 'SC_PAGE_SIZE': 1000}
  monkeypatch.setattr(os, 'sysconf', sizes.get)
  _, line = messages.beginning(config(), env)
  assert line == 'This machine has 0.00024 GB: lower --replay.capacity.'


@pytest.mark.parametrize('steps, told', [
    ('499', True), ('500', True), ('501', False)])
def test_a_run_of_random_steps_alone_is_reported(env, steps, told):
  _, *line = messages.beginning(
      config('--steps', steps, '--prefill', '500'), env)
  assert bool(line) == told and ('prefill 500' in str(line)) == told


@pytest.mark.parametrize('flags, told', [
    ([], ''),
    (['--log_keys_sum', '^reward$|log_hit'], ''),
    (['--log_keys_max', '^log_success$', '--log_keys_mean', 'log_s.*'], ''),
    (['--log_keys_sum', 'log_hit|log_tpyo'], '--log_keys_sum log_tpyo matches'),
    (['--log_keys_max', '^log_(a|b)$'], '--log_keys_max ^log_(a|b)$ matches'),
    (['--log_keys_video', 'image', 'front'], ''),
    (['--log_keys_video', 'rear'], '--log_keys_video rear is not among')])
def test_keys_to_log_that_nothing_has_are_named(flags, told):
  spaces = {
      'front': BOX(0, 255, (8, 8, 3), np.uint8), 'reward': BOX(-1, 1, ()),
      'log_hit': BOX(0, 1, ()), 'action': BOX(-1, 1, (2,))}
  envs = types.SimpleNamespace(
      obs_space=spaces, act_space={}, log_names=('log_success',))
  _, *lines = messages.beginning(config(*flags), envs)
  assert len(lines) == bool(told) and ''.join(lines).startswith(told)
  # Upstream's default names an image, which vector tasks do not have.
  del spaces['front']
  assert len(messages.beginning(config(), envs)) == 1


def test_forecast_counts_the_updates_that_are_left():
  flags = ['--train_every', '5', '--train_steps', '2']
  line = messages.forecast(config(*flags), 500, 0.5, [])
  assert 'An update takes 0.5s: the 200 updates' in line
  assert 'about 2m' in line and 'GPU' not in line


@pytest.mark.parametrize('gpus, told', [([], True), (['one'], False)])
def test_forecast_of_days_without_a_gpu_names_the_small_preset(gpus, told):
  line = messages.forecast(config(), 0, 36000.0, gpus)
  assert ('No GPU was found; --configs cpu' in line) == told
