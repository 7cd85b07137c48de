"""Derived memory: more states to start imagining from.

Shapes: B batch, L chunk length, S stochastic size, D deterministic size, K
copies. A derived state disturbs a posterior state of the replay; with `widen`
the posterior's standard deviation grows by that of the noise, because in the
paper's eq. 2 the VARIANCE of the derived state is (sigma_s + sigma_s')^2:

  h' = h + sigma_h * eps      s' ~ N(mean, (std + sigma_s)^2)
"""

import tensorflow as tf

from .extension import Extension

MODES = ('widen', 'add', 'resample')


def derive(post, copies, sigma_h, sigma_s, mode='widen'):
  """Draws K derived states for each original one.

  Args:
    post: dict of float tensors: stoch, mean, std [B, L, S], deter [B, L, D].
    copies: int K >= 1.
    sigma_h: float >= 0, standard deviation of the noise on deter.
    sigma_s: float >= 0, of the noise on stoch.
    mode: `widen` draws from N(mean, std + sigma_s), eq. 2; `add` adds noise to
      the sample there is, as the constraint does; `resample` draws anew from
      N(mean, std), without sigma_s.

  Returns:
    dict of the same keys and dtypes, [K * B, L, ...]; noise in float32.

  Raises:
    ValueError: for an unknown mode.
  """
  tiled = {k: tile(v, copies) for k, v in post.items()}
  full = {k: tf.cast(v, tf.float32) for k, v in tiled.items()}
  noise = {k: tf.random.normal(tf.shape(full[k])) for k in ('stoch', 'deter')}
  full['deter'] += sigma_h * noise['deter']
  if mode == 'widen':
    full['std'] += sigma_s
    full['stoch'] = full['mean'] + full['std'] * noise['stoch']
  elif mode == 'add':
    full['stoch'] += sigma_s * noise['stoch']
  elif mode == 'resample':
    full['stoch'] = full['mean'] + full['std'] * noise['stoch']
  else:
    raise ValueError(f'stoch_mode is one of {MODES}, not {mode!r}.')
  return {k: tf.cast(v, tiled[k].dtype) for k, v in full.items()}


def tile(value, copies):
  """Repeats a batch as a whole: a, b, a, b, ...

  Args:
    value: tensor [B, ...].
    copies: int K >= 1.

  Returns:
    tensor [K * B, ...].
  """
  return tf.concat([value] * copies, 0)


def extend(post, is_terminal, config):
  """Puts derived states behind the original ones, for a single rollout.

  Args:
    post: dict of float tensors [B, L, ...], posterior states.
    is_terminal: bool tensor [B, L].
    config: the `idm` section: copies K >= 1, sigma_h, sigma_s, stoch_mode.

  Returns:
    dict of tensors [(1 + K) * B, L, ...], the originals first, and bool
    [(1 + K) * B, L].
  """
  derived = derive(
      post, config.copies, config.sigma_h, config.sigma_s, config.stoch_mode)
  # No gradient reaches the world model from here: upstream's imagination
  # loss only ever updates the actor, whose first action comes after z_0.
  start = {k: tf.concat([post[k], derived[k]], 0) for k in post}
  return start, tile(is_terminal, 1 + config.copies)


class DerivedMemory(Extension):
  """Derived states as further starts of imagination."""

  def starts(self, start, is_terminal):
    """See `extend`."""
    return extend(start, is_terminal, self.config.idm)
