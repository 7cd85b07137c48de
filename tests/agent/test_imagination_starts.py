import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import small_config

from dreamer_idm import upstream
from dreamer_idm.agent import imagination_starts
from dreamer_idm.agent import registry


def states(batch=4, length=5):
  number = np.arange(batch * length, dtype='f').reshape(batch, length)
  start = {'deter': number[..., None] + [0, 100], 'stoch': number[..., None]}
  return {k: tf.constant(v) for k, v in start.items()}, tf.constant(
      number % 3 == 0)


def test_each_start_is_another_state_of_the_batch_with_its_own_end():
  start, end = imagination_starts.some(*states(), 7)
  numbers = start['stoch'].numpy()[0, :, 0]
  assert end.shape == (1, 7) and len({*numbers}) == 7
  assert {*numbers} <= {*range(20)}
  np.testing.assert_array_equal(
      start['deter'][0], numbers[:, None] + [0, 100])
  np.testing.assert_array_equal(end[0], numbers % 3 == 0)


def test_all_states_are_drawn_equally_often():
  tf.random.set_seed(0)
  draw = tf.function(lambda: imagination_starts.some(*states(), 5)[0]['stoch'])
  count = np.zeros(20)
  for _ in range(2000):
    np.add.at(count, draw().numpy().astype(int).ravel(), 1)
  # Standard deviation 19: a quarter of 2000 draws hits each state.
  np.testing.assert_allclose(count, 500, atol=90)


def test_more_starts_than_states_are_all_states_as_they_are():
  given = states()
  found = imagination_starts.some(*given, 20)
  assert found[0] is given[0]
  np.testing.assert_array_equal(found[1], given[1])


@pytest.mark.parametrize('presets, expected', [
    (('dmc',), 6), (('dmc', 'idm'), 12), (('dmc', 'soft_bird'), 6),
    (('dmc', 'doubled'), 12), (('dmc', 'doubled_starts'), 12)])
def test_a_method_works_on_the_subset(
    eager, presets, expected, monkeypatch):
  sizes = []
  imagine = upstream.agent.WorldModel.imagine

  def watch(self, policy, start, is_terminal, horizon):
    sizes.append(is_terminal.shape.num_elements())
    return imagine(self, policy, start, is_terminal, horizon)

  monkeypatch.setattr(upstream.agent.WorldModel, 'imagine', watch)
  agent = make_agent(small_config('--imag_starts', 6, presets=presets))
  agent.train({k: tf.constant(v) for k, v in chunk().items()})
  assert sizes[-1] == expected


def test_switched_off_there_is_no_extension():
  config = small_config(presets=('dmc',))
  assert config.imag_starts == 0 and not registry.extensions(config)
