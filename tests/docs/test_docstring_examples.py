"""The examples in the docstrings of what users call print what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize('name', [
    'config.load', 'envs.distortions', 'perturbations', 'runs.metrics_file',
    'agent.loss_weights', 'idm.decoding_constraint',
    'idm.reliability_weights', 'idm.trajectory_evaluator'])
def test_examples(name):
  module = importlib.import_module(f'dreamer_idm.{name}')
  found = doctest.testmod(module)
  assert found.attempted and not found.failed
