"""The recurrent model with only the recurrence in the loop.

Slow: `observe` runs everything at each of the chunk's steps, on a batch of a
few rows: the prior's head, which no later step reads, the products of actions
and embeddings, which depend on no state, and distribution objects of dozens
of operations; the loop is unrolled. Tracing and optimising that graph takes
most of the time from the start to the first update.
Does: the loop, a `tf.while_loop`, keeps the state's part of both layers, the
GRU and the posterior's head; all else runs once, on all steps. Noise is drawn
for the whole chunk at once.
Equal: up to the order of the sums, given the same noise. For Gaussian latents
with one prior head, without normalisation, once the variables exist; other
settings run as published.
"""

from . import fast


def apply(common):
  """Gives upstream's RSSM the faster steps."""
  fast.replace(common.EnsembleRSSM, 'observe', _observe)
  fast.replace(common.EnsembleRSSM, 'img_step', _img_step)


def _fits(rssm):
  layers = getattr(rssm, '_modules', {})
  return rssm._ensemble == 1 and not rssm._discrete and (
      rssm._norm == 'none') and 'obs_dist' in layers


def _observe(published, self, embed, action, is_first, state=None):
  if not _fits(self):
    return published(self, embed, action, is_first, state)
  import tensorflow as tf
  if state is None:
    state = self.initial(tf.shape(action)[0])
  swap = lambda x: tf.transpose(x, [1, 0, *range(2, len(x.shape))])
  embed, action, is_first = swap(embed), swap(action), swap(is_first)
  mask = self._cast(1.0 - tf.cast(is_first, tf.float32)[..., None])
  from_state, from_action = _halves(self, 'img_in', self._stoch)
  out_state, out_embed = _halves(self, 'obs_out', self._deter)
  gru = _gru(self._cell, action.shape[1] or tf.shape(action)[1])
  noise = tf.random.normal([2, *_shape(action)[:2], self._stoch])
  inputs = (
      mask, from_action(self._cast(action) * mask),
      out_embed(self._cast(embed)), noise[0])

  def step(state, keep, action_part, embed_part, eps):
    x = self._act(from_state(self._cast(state['stoch']) * keep) + action_part)
    deter = gru(x, state['deter'] * keep)
    x = self._act(out_state(deter) + embed_part)
    stats = self._suff_stats_layer('obs_dist', x)
    return {'stoch': _sample(stats, eps), 'deter': deter, **stats}

  post = _scan(step, state, inputs)
  prior = _prior(self, post['deter'], noise[1])
  return tuple({k: swap(v) for k, v in x.items()} for x in (post, prior))


def _img_step(published, self, prev_state, prev_action, sample=True):
  if not _fits(self):
    return published(self, prev_state, prev_action, sample)
  import tensorflow as tf
  x = tf.concat([
      self._cast(prev_state['stoch']), self._cast(prev_action)], -1)
  x = self._act(self._modules['img_in'](x))
  gru = _gru(self._cell, _shape(x)[0])
  deter = gru(x, prev_state['deter'])
  noise = tf.random.normal([*_shape(x)[:-1], self._stoch]) if sample else 0.0
  return _prior(self, deter, noise)


def _prior(self, deter, noise):
  x = self._act(self._modules['img_out_0'](deter))
  stats = self._suff_stats_layer('img_dist_0', x)
  return {'stoch': _sample(stats, noise), 'deter': deter, **stats}


def _sample(stats, noise):
  import tensorflow as tf
  return tf.cast(stats['mean'], tf.float32) + tf.cast(
      stats['std'], tf.float32) * noise


def _shape(x):
  """The static shape where it is known, else the dynamic one."""
  import tensorflow as tf
  return [
      tf.shape(x)[i] if size is None else size
      for i, size in enumerate(x.shape)]


def _halves(rssm, name, size):
  """Splits a dense layer between the inputs that it concatenates."""
  import tensorflow as tf
  layer = rssm._modules[name]
  kernel, bias = rssm._cast(layer.kernel), rssm._cast(layer.bias)
  first, second = kernel[:size], kernel[size:]
  return (
      lambda x: tf.matmul(x, first),
      lambda x: tf.nn.bias_add(tf.tensordot(x, second, 1), bias))


def _gru(cell, rows):
  """Upstream's GRU cell, its layer norm without Keras around the kernel.

  Args:
    cell: upstream's GRUCell, built.
    rows: int or int tensor N.

  Returns:
    function of an input [N, hidden] and a state [N, D] to the next state.
  """
  import tensorflow as tf
  norm = cell._norm
  if not norm:
    return lambda x, state: cell.call(x, [state])[0]
  ones, zeros = tf.ones([rows]), tf.zeros([rows])
  width = 3 * cell._size

  def step(x, state):
    parts = cell._layer(tf.concat([x, state], -1))
    parts = tf.reshape(tf.cast(parts, tf.float32), [1, -1, width, 1])
    # One channel a row: mean and variance are each row's own.
    parts = tf.raw_ops.FusedBatchNormV3(
        x=parts, scale=ones, offset=zeros, mean=[], variance=[],
        epsilon=norm.epsilon, data_format='NCHW').y
    parts = tf.reshape(parts, [-1, width]) * norm.gamma + norm.beta
    reset, cand, update = tf.split(tf.cast(parts, state.dtype), 3, -1)
    cand = cell._act(tf.sigmoid(reset) * cand)
    update = tf.sigmoid(update + cell._update_bias)
    return state + update * (cand - state)

  return step


def _scan(step, state, inputs):
  """Runs a step again and again, traced once, and keeps all its states.

  Args:
    step: function of a state and one element of each input to a state.
    state: dict of tensors, the state before the first step; what the step
      returns may have more keys.
    inputs: sequence of tensors [T, ...], T static.

  Returns:
    dict of tensors [T, ...], what the steps returned.
  """
  import tensorflow as tf
  length = inputs[0].shape[0]
  arrays = [_array(length, x[0]).unstack(x) for x in inputs]
  # Outside of the loop, because it tells what the step returns.
  first = step(state, *[x.read(0) for x in arrays])
  outs = {k: _array(length, v).write(0, v) for k, v in first.items()}

  def body(index, state, outs):
    state = step(state, *[x.read(index) for x in arrays])
    return index + 1, state, {
        k: outs[k].write(index, v) for k, v in state.items()}

  _, _, outs = tf.while_loop(
      lambda index, *args: index < length, body, (1, first, outs),
      maximum_iterations=length)
  return {k: v.stack() for k, v in outs.items()}


def _array(length, example):
  import tensorflow as tf
  return tf.TensorArray(
      example.dtype, length, element_shape=example.shape,
      clear_after_read=False)
