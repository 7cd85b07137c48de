"""The trained agents that come with the repository."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import dreamer_idm
from dreamer_idm import __main__ as commands
from dreamer_idm.config import load as config_lib
from dreamer_idm.envs import environments
from dreamer_idm.envs import rendering
from dreamer_idm.envs import workers
from dreamer_idm.errors import UsageError
from dreamer_idm.evaluation import exported_model

AGENTS = sorted(x.parent for x in ROOT.glob('agents/*/agent.json'))


@pytest.mark.parametrize('agent', AGENTS, ids=lambda x: x.name)
def test_an_agent_acts_and_says_where_it_comes_from(agent):
  facts = json.loads((agent / 'agent.json').read_text())
  config = config_lib.saved(agent)
  assert facts['task'] == config.task and facts['method'] == config.method
  assert len(facts['scores']['returns']) >= 5
  assert facts['provenance'] and not facts['provenance'][-1]['dirty']
  assert config.logdir == ''  # Nobody's machine.
  model = tf.saved_model.load(str(agent / 'saved_model'))
  observation = {
      k: tf.zeros(shape, dtype)
      for k, (shape, dtype) in facts['interface']['observation'].items()}
  first, state = model.act(observation, model.initial())
  second, _ = model.act(observation, state)
  assert first.shape == second.shape and len(first.shape) == 2
  assert not (first.numpy() == second.numpy()).all()  # It remembers.


def test_they_are_small_and_in_the_table():
  assert len(AGENTS) >= 3
  files = [x for x in (ROOT / 'agents').rglob('*') if x.is_file()]
  assert sum(x.stat().st_size for x in files) < 8e6
  table = (ROOT / 'agents' / 'README.md').read_text()
  for agent in AGENTS:
    scores = json.loads((agent / 'agent.json').read_text())['scores']
    mean = sum(scores['returns']) / len(scores['returns'])
    line, = (x for x in table.splitlines() if x.startswith(f'| `{agent.name}`'))
    assert f'| {mean:.0f} |' in line, line


def test_the_readme_s_first_command(tmp_path, capsys):
  """It gets the return that it has on export, and shows it."""
  agent = ROOT / 'agents' / 'walker_walk_vectors_dreamer'
  returns = json.loads((agent / 'agent.json').read_text())['scores']['returns']
  video = tmp_path / 'walk.gif'
  assert commands.main([
      'evaluate', '--agent', str(agent), '--episodes', '1', '--video',
      str(video)]) in (0, None)
  assert video.stat().st_size > 100_000
  out = capsys.readouterr().out
  found = float(out.partition('episode 1 of 1: return ')[2].split()[0])
  assert found > 0.7 * min(returns), out


def test_it_acts_in_a_process_of_its_own():
  policy = loaded()
  config = policy.config.update({'time_limit': 40})
  env = workers.Worker(
      functools.partial(environments.make_env, config, 0), 'process')
  try:
    episode = exported_model.episode(
        lambda obs, state, noise: policy._act(obs, state),
        policy._facts['interface'], env, np.random.default_rng(0))
  finally:
    env.close()
  assert len(episode['reward']) == 41 and episode['is_last'][-1]


def loaded():
  """A policy of the repository, with zeros in place of the latents' noise."""
  policy = dreamer_idm.load(ROOT / 'agents' / 'cheetah_run_vectors_dreamer')
  act, noise = policy._act, policy._facts['interface']['noise'][0]
  policy._act = lambda obs, state: act(obs, state, np.zeros(noise, np.float32))
  return policy


def test_it_is_loaded_to_act_as_a_run_is():
  policy = dreamer_idm.load(ROOT / 'agents' / 'cheetah_run_vectors_dreamer')
  rendering.choose_backend(required=False)
  from dm_control import suite
  env = suite.load('cheetah', 'run', {'random': 3})
  step, score = env.reset(), 0
  while not step.last():
    action = policy(step.observation)
    assert policy.action_space.contains(action)
    for _ in range(policy.config.action_repeat):
      if not step.last():
        step = env.step(action)
        score += step.reward
  facts = json.loads((ROOT / 'agents' / 'cheetah_run_vectors_dreamer' /
                      'agent.json').read_text())
  assert score > 0.7 * min(facts['scores']['returns'])
  with pytest.raises(ValueError, match='no critic and no world model'):
    policy.imagine(3)
  with pytest.raises(UsageError, match='one checkpoint and mode'):
    dreamer_idm.load(ROOT / 'agents' / 'cheetah_run_vectors_dreamer', 'best')


def test_a_batch_of_it_is_several_environments():
  single, batch = loaded(), loaded()
  space = single.observation_space
  space.seed(0)
  first, second, other = space.sample(), space.sample(), space.sample()
  wanted = [single(first), single(second)]
  single.reset()
  third = single(other)
  both = lambda a, b: {k: np.stack([a[k], b[k]]) for k in a}
  np.testing.assert_allclose(
      batch(both(first, second))[0], wanted[0], atol=1e-6)
  batch.reset([False, True])
  np.testing.assert_allclose(
      batch(both(second, other)), [wanted[1], third], atol=1e-6)


def test_what_needs_a_run_says_so(capsys):
  folder = ROOT / 'agents' / 'walker_stand_vectors_dreamer'
  with pytest.raises(UsageError, match='is an exported agent'):
    dreamer_idm.evaluate(folder)
  assert commands.main(['export', str(folder), '--out', '/nowhere/x']) == 2
  assert 'is an exported agent' in capsys.readouterr().err
  with pytest.raises(UsageError, match='expects presets or settings'):
    dreamer_idm.train()
