"""World Models: a linear controller, found by evolution (Ha et al., 2018).

Shapes: C candidates, N start states, H horizon, F = S + D feature size, A
action size, P = (F + 1) A weights. The world model is Dreamer's; the actor is

  a = tanh(W [s, h] + b)       discrete actions: the largest of W [s, h] + b

In every update one generation of CMA-ES (`evolution`) draws C controllers, and
each acts in imagination from the same N states of the batch:

  states    z0 --a0--> z1 --a1--> z2 --a2--> z3           H = 3
  rewards              r1         r2         r3
  score = mean over N of sum over t of r_t * product of d_k, k = 0..t-1
          - decay * mean of the squares of the weights

d_k is the discount that the model predicts for z_k, of z0 that of the replay;
without `pred_discount` a constant. There is no gradient. The mean of the search
is what acts.
"""

import functools

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from ...agent.extension import Extension
from ...agent.loop_seeds import own_seeds
from . import evolution


def extensions(config):
  """Builds the controller."""
  return [Controller(config)]


def act(feat, weights, discrete=False):
  """The actions of linear controllers.

  Args:
    feat: float [C, N, F].
    weights: float32 [C, P]; of each the columns W^T [F, A], then b [A].
    discrete: bool, whether actions are one-hot.

  Returns:
    float32 [C, N, A] in [-1, 1], or one-hot.
  """
  feat = tf.cast(feat, tf.float32)
  rows = feat.shape[-1] + 1
  matrix = tf.reshape(
      weights, [weights.shape[0], rows, weights.shape[1] // rows])
  value = tf.matmul(feat, matrix[:, :-1]) + matrix[:, -1:]
  if discrete:
    return tf.one_hot(tf.argmax(value, -1), value.shape[-1])
  return tf.tanh(value)


def imagined_return(step, policy, reward, discount, start, first, horizon):
  """Sums the discounted rewards that a policy gets in imagination.

  Args:
    step: function of a state dict and action [N, A] to the next state.
    policy: function of a state dict to action [N, A].
    reward: function of a state dict to float32 [N].
    discount: function of a state dict to float32 [N].
    start: dict of tensors [N, ...], the states at the beginning.
    first: float32 [N], the discount of these.
    horizon: int H.

  Returns:
    float32 [N].
  """
  def body(_, state, weight, total):
    following = step(state, policy(state))
    state = {k: tf.cast(following[k], v.dtype) for k, v in state.items()}
    return _ + 1, state, weight * discount(state), total + (
        weight * reward(state))

  # One step after the other: side by side, which is the default, they would
  # take their noise in any order.
  return tf.while_loop(
      lambda *_: True, own_seeds(body), (0, start, first, tf.zeros_like(first)),
      parallel_iterations=1, maximum_iterations=horizon)[-1]


class Controller(Extension):
  """A linear policy, and one generation of its search in every update."""

  unused = ('actor', 'critic')

  def __init__(self, config):
    """Leaves the weights, whose number is not known, for the first batch."""
    super().__init__(config)
    self._state: dict = {}

  def model_loss(self, model, data, outs):
    """See `Extension.model_loss`: notes what `train` needs; adds nothing."""
    outs['controller'] = model, data['action'], data['is_terminal']
    return None, {}

  def train(self, outs):
    """See `Extension.train`: one generation."""
    model, action, is_terminal = outs['controller']
    settings, size = self.config.world_models, action.shape[-1]
    if not self._state:
      self._state = {
          k: tf.Variable(v, trainable=False) for k, v in evolution.begun(
              (outs['feat'].shape[-1] + 1) * size,
              settings.sigma)._asdict().items()}
    start, terminal = self._starts(outs['post'], is_terminal)
    noise = tf.random.normal(
        [settings.candidates, self._state['mean'].shape[0]], dtype=tf.float64)
    weights, = self._call(self._begin, [noise], [noise])
    scores = self._scores(
        model, tf.cast(weights, tf.float32), start, terminal)
    shaped = [*self._state.values()]
    # Without it a controller that only knows -1 and 1 grows without bound.
    decayed = scores - settings.decay * tf.reduce_mean(
        tf.cast(weights, tf.float32) ** 2, 1)
    for variable, value in zip(
        shaped, self._call(self._end, [decayed], shaped)):
      variable.assign(value)
    step = tf.maximum(self._state['step_size'], settings.least_sigma)
    self._state['step_size'].assign(step)
    return {
        'world_models_mean': tf.reduce_mean(scores),
        'world_models_best': tf.reduce_max(scores),
        'world_models_std': tf.cast(tf.reduce_mean(
            step * self._state['scaling']), tf.float32)}

  def _starts(self, post, is_terminal):
    """Draws N states of [B, L, ...]: dict of [N, ...] and float32 [N]."""
    count = is_terminal.shape.num_elements()
    number = self.config.world_models.starts
    chosen = tf.random.shuffle(tf.range(count))[:number]
    pick = lambda x: tf.gather(tf.reshape(x, [count, *x.shape[2:]]), chosen)
    return {k: pick(post[k]) for k in ('stoch', 'deter')}, tf.cast(
        pick(is_terminal), tf.float32)

  def _scores(self, model, weights, start, terminal):
    """Tries controllers [C, P] from all starts: float32 [C]."""
    settings, discount = self.config.world_models, self.config.discount
    count = weights.shape[0]
    feat = model.rssm.get_feat
    tile = lambda x: tf.tile(x, [count] + [1] * (len(x.shape) - 1))
    discrete = self.config.actor.dist == 'onehot'

    def policy(state):
      rows = feat(state)
      each = tf.reshape(rows, [count, -1, rows.shape[-1]])
      action = act(each, weights, discrete)
      return tf.reshape(action, [-1, action.shape[-1]])

    def continues(state):
      if 'discount' not in model.heads:
        return discount
      return tf.cast(model.heads['discount'](feat(state)).mean(), tf.float32)

    total = imagined_return(
        functools.partial(model.rssm.img_step, sample=settings.sample), policy,
        lambda x: tf.cast(model.heads['reward'](feat(x)).mode(), tf.float32),
        continues, {k: tile(v) for k, v in start.items()},
        discount * (1 - tile(terminal)), settings.horizon)
    return tf.reduce_mean(tf.reshape(total, [count, -1]), 1)

  def _call(self, function, inputs, like):
    """Runs a function of arrays; its results are shaped as those of `like`."""
    found = tf.nest.flatten(tf.numpy_function(  # A single one is no list.
        function, [*self._state.values(), *inputs], [x.dtype for x in like]))
    for value, other in zip(found, like):
      value.set_shape(other.shape)
    return found

  def _begin(self, *arrays):
    *state, noise = arrays
    self._generation = evolution.Generation(evolution.State(*state), noise)
    return [self._generation.candidates]

  def _end(self, *arrays):
    return [*self._generation.end(arrays[-1])]

  def act(self, model, behavior, feat):
    """See `Extension.act`: the action of the search's mean."""
    weights = tf.cast(self._state['mean'], tf.float32)[None]
    action = act(
        tf.cast(feat, tf.float32)[None], weights,
        self.config.actor.dist == 'onehot')[0]
    return tfd.Independent(tfd.Deterministic(action), 1)
