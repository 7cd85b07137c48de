"""The collector by itself, on an environment that keeps books."""

import json

import numpy as np
import pytest
import tiny

from bench import ledger
from dreamer_idm import upstream
from dreamer_idm.errors import UsageError
from dreamer_idm.runs import episode_files


@pytest.fixture
def collect(tmp_path):
  """Opens collectors, which are closed after the test."""
  opened = []

  def begin(*flags, **kwargs):
    opened.append(tiny.make_collector(tmp_path / 'episodes', *flags, **kwargs))
    return opened[-1]
  yield begin
  for each in opened:
    each.close()


def random_agent(collector):
  return upstream.common.RandomAgent(collector.act_space)


def test_prefill_ends_behind_its_steps_and_drops_what_is_unfinished(collect):
  collector = collect()
  collector.prefill(tiny.STEPS + 10)
  assert int(collector.step) == tiny.STEPS + 10
  assert collector.replay.stats['loaded_episodes'] == 2
  collector.collect(random_agent(collector), ledger.LENGTH)
  found = list(collector.replay._complete_eps.values())
  assert [len(x['reward']) - 1 for x in found] == 3 * [ledger.LENGTH]


def test_prefill_needs_a_whole_episode_however_few_its_steps(collect):
  collector = collect()
  collector.prefill(1)
  assert int(collector.step) == ledger.LENGTH
  collector.check()


@pytest.mark.parametrize('envs', ['1', '2'])
def test_nothing_goes_past_the_last_step(collect, envs):
  last = tiny.STEPS + 1
  collector = collect('--envs', envs, '--steps', str(last))
  collector.prefill(10 * last)
  collector.collect(random_agent(collector), 10)
  assert int(collector.step) == last
  assert len(collector.replay.loaded) == 2
  assert collector.replay.stats['total_steps'] == tiny.STEPS


def test_a_run_that_is_shorter_than_an_episode_is_one_line(collect):
  collector = collect('--steps', '30')
  collector.prefill(1)
  with pytest.raises(UsageError, match=(
      'No episode has ended in 30 agent steps, as many as .* raise --steps')):
    collector.check()


def test_a_broken_episode_is_none_of_the_prefill(collect, monkeypatch):
  monkeypatch.setenv('LEDGER_FAULT', f'raise:{ledger.LENGTH + 20}')
  collector = collect(note=lambda text: None)
  collector.prefill(2 * ledger.LENGTH)
  # 19 steps that are counted and dropped, and the second whole episode.
  assert int(collector.step) == 2 * ledger.LENGTH
  assert len(collector.replay.loaded) == 1


def test_numbers_that_no_info_has_are_named_behind_the_first_episode(collect):
  notes = []
  collector = collect('--log_keys_max', 'log_tpyo', note=notes.append)
  collector.prefill(tiny.STEPS)
  assert len([x for x in notes if 'has log_tpyo, which --log' in x]) == 1


def test_episodes_that_are_too_short_are_one_line(collect):
  collector = collect('--replay.minlen', '50', '--replay.maxlen', '50')
  collector.prefill(tiny.STEPS)
  with pytest.raises(
      UsageError, match=r'\(50 agent steps; the longest had 40\): lower --rep'):
    collector.check()


@pytest.mark.parametrize('limit, advice', [
    (12, ' or raise --time_limit 12'), (30, '')])  # Long enough is no cause.
def test_the_cause_of_short_episodes_is_reported_once(collect, limit, advice):
  notes = []
  collector = collect(
      '--replay.minlen', '15', '--replay.maxlen', '15', '--action_repeat', '4',
      '--time_limit', str(limit), note=notes.append)
  collector.prefill(tiny.STEPS)
  told = [x for x in notes if 'not learned from' in x]
  assert told == [
      'An episode of 10 agent steps is not learned from, nor will others be '
      'that are shorter than replay.minlen (15): lower --replay.minlen or '
      f'lower --action_repeat 4{advice}.']


def test_episodes_of_others_are_learned_from(collect, tmp_path):
  length = 20
  flags = {k: np.zeros(length + 1, bool)
           for k in ('is_first', 'is_last', 'is_terminal')}
  (tmp_path / 'mine').mkdir()
  np.savez(
      tmp_path / 'mine' / 'demonstration.npz', **flags,
      action=np.zeros((length + 1, 1)), reward=np.full(length + 1, 99.0),
      vector=np.zeros((length + 1, 4)))
  notes = []
  collector = collect('--offline', str(tmp_path / 'mine'), note=notes.append)
  assert '1 episode' in notes[-1] and 'no steps of this run' in notes[-1]
  assert collector.replay.stats['total_steps'] == 0
  collector.prefill(tiny.STEPS)
  batch = next(collector.replay.batches(50, 8))
  assert (batch['reward'] == 99).any() and (batch['reward'] < 2).any()
  state = json.loads(json.dumps(collector.state()))
  assert len(state['loaded']) == 2
  again = collect('--offline', str(tmp_path / 'mine'), saved=state)
  assert again.state() == state
  with pytest.raises(UsageError, match='--offline must be a folder'):
    collect('--offline', str(tmp_path / 'nothing'))


def test_every_step_and_every_episode_is_reported(collect):
  collector, steps, scores = collect('--envs', '2'), [], []
  collector.on_step = lambda: steps.append(int(collector.step))
  collector.on_episode = lambda x: scores.append(x['reward'].sum())
  collector.collect(random_agent(collector), 2 * tiny.STEPS)
  assert steps == list(range(1, 2 * tiny.STEPS + 1))
  assert len(scores) == 4
  kept = [x['reward'].sum() for x in collector.replay._complete_eps.values()]
  np.testing.assert_allclose(sorted(scores), sorted(kept), rtol=1e-6)


def test_a_broken_episode_is_neither_counted_nor_reported(collect, monkeypatch):
  monkeypatch.setenv('LEDGER_FAULT', f'raise:{ledger.LENGTH + 20}')
  collector, episodes = collect(), []
  collector.on_episode = episodes.append
  collector.collect(random_agent(collector), ledger.LENGTH + 30)
  # The failing step is not counted, those before it are.
  assert int(collector.step) == ledger.LENGTH + 29
  assert collector.restarts == len(episodes) == 1
  assert len(collector.replay.loaded) == 1


def test_it_reopens_what_its_state_names(collect, tmp_path):
  collector = collect()
  collector.prefill(tiny.STEPS)
  state = json.loads(json.dumps(collector.state()))
  assert state['loaded'] == collector.replay.loaded
  collector.collect(random_agent(collector), ledger.LENGTH)
  notes = []
  reopened = collect(saved=state, step=tiny.STEPS, note=notes.append)
  assert reopened.state() == state
  assert '1 episode that no checkpoint knows' in notes[0]
  # A new run takes none of what it finds for its own.
  notes.clear()
  assert collect(note=notes.append).replay.loaded == []
  assert notes[0].startswith('2 episodes')
  assert episode_files.names(tmp_path / 'episodes') == []
