"""The trained agents that come with the repository."""

import json

import pytest
import tensorflow as tf
from conftest import ROOT

from dreamer_idm import __main__ as commands
from dreamer_idm.config import load as config_lib

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
