import numpy as np
import tensorflow as tf

from dreamer_idm.agent.loop_seeds import own_seeds

REPEATS = 3


def draws(wrap, seed=5):
  """Noise of a graph with two loops, one of which has a loop in it."""
  found = {}

  def loop(name, inner=None):
    def body(total):
      noise = tf.random.normal([50])
      tf.numpy_function(
          lambda x: found.setdefault(name, []).append(x), [noise], [])
      return (inner(total + noise) if inner else total + noise,)
    return lambda start: tf.while_loop(
        lambda *_: True, wrap(body), (start,), parallel_iterations=1,
        maximum_iterations=REPEATS)[0]

  def graph():
    before = tf.random.normal([50])
    found['before'] = [before]
    total = loop('second')(loop('first', loop('inner'))(before))
    return before, tf.random.normal([50]), total

  tf.random.set_seed(seed)
  before, after, total = tf.function(graph, autograph=False)()
  return {
      **{k: np.stack(v) for k, v in found.items() if k != 'before'},
      'before': before.numpy(), 'after': after.numpy()}, total.numpy()


def test_no_loop_repeats_the_noise_of_its_graph_or_of_another_loop():
  found, _ = draws(own_seeds)
  assert [len(found[x]) for x in ('first', 'second', 'inner')] == [3, 3, 9]
  every = np.concatenate([x.ravel() for x in found.values()])
  assert len(np.unique(every)) > 0.999 * every.size
  # Without, all three loops begin with the graph's own first noise.
  repeated, _ = draws(lambda body: body)
  for name in ('first', 'second', 'inner'):
    np.testing.assert_array_equal(repeated[name][0], repeated['before'])


def test_the_noise_follows_the_seed():
  one, again, other = draws(own_seeds), draws(own_seeds), draws(own_seeds, 6)
  np.testing.assert_array_equal(one[1], again[1])
  assert not np.isin(one[1], other[1]).any()


def test_eager_loops_draw_as_they_did():
  body = lambda x: (x + tf.random.normal([3]),)
  assert own_seeds(body) is body


def test_without_a_seed_nothing_is_seeded(monkeypatch):
  monkeypatch.setattr(tf.compat.v1, 'get_seed', lambda _: (None, None))
  body, seen = (lambda x: (x,)), []
  tf.function(lambda: seen.append(own_seeds(body)), autograph=False)()
  assert seen == [body]
