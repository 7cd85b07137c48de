"""Derived memory: more states to start imagining from.

Shapes: B batch, L chunk length, S stochastic size, C classes of a discrete
latent, D deterministic size, K copies. A derived state perturbs a posterior
state of the replay; with `widen` the posterior's standard deviation grows by
that of the noise, because in the paper's eq. 2 the VARIANCE of the derived
state is (sigma_s + sigma_s')^2:

  h' = h + sigma_h * eps      s' ~ N(mean, (std + sigma_s)^2)

Two things are ours, not the paper's. Noise of other kinds, eps with the same
variance: see `latent_noise`. And discrete latents, which have no standard
deviation: their logits get the noise, and s' is one-hot again:

  logit' = logit + sigma_s * eps      s' ~ Categorical(softmax(logit'))
"""

import tensorflow as tf

from .. import upstream
from ..agent.extension import Extension
from . import latent_noise

MODES = ('widen', 'add', 'resample')


def derive(post, copies, sigma_h, sigma_s, mode='widen', noise='gaussian'):
  """Draws K derived states for each original one.

  Args:
    post: dict of float tensors: deter [B, L, D] and stoch, mean, std
      [B, L, S], or stoch, logit [B, L, S, C] of discrete latents.
    copies: int K >= 1.
    sigma_h: float >= 0, standard deviation of the noise on deter.
    sigma_s: float >= 0, of the noise on stoch, or on the logits.
    mode: `widen` draws from N(mean, std + sigma_s), eq. 2; `add` adds noise to
      the sample itself, as the constraint does; `resample` draws again from
      N(mean, std), without sigma_s. Discrete latents are always drawn again:
      from the logits as they are with `resample`, else from the noisy ones.
    noise: a kind of `latent_noise`. `interpolate` is always `add`; the draw
      of `resample` is the posterior's own, Gaussian.

  Returns:
    dict of the same keys and dtypes, [K * B, L, ...]; noise in float32.

  Raises:
    ValueError: for an unknown mode or kind of noise.
  """
  if mode not in MODES:
    raise ValueError(f'stoch_mode is one of {MODES}, not {mode!r}.')
  tiled = {k: tile(v, copies) for k, v in post.items()}
  full = {k: tf.cast(v, tf.float32) for k, v in tiled.items()}
  discrete = 'logit' in full
  part = 'logit' if discrete else 'stoch'
  if noise == 'interpolate':
    mode = 'add'
    eps = latent_noise.towards_others(
        {k: full[k] for k in (part, 'deter')},
        {part: sigma_s, 'deter': sigma_h})
  else:
    own = 'gaussian' if mode == 'resample' else noise
    eps = {
        k: latent_noise.draw(kind, tf.shape(full[k]))
        for k, kind in ((part, own), ('deter', noise))}
  full['deter'] += sigma_h * eps['deter']
  draw = _discrete if discrete else _gaussian
  full.update(draw(full, sigma_s, mode, eps[part]))
  return {k: tf.cast(v, tiled[k].dtype) for k, v in full.items()}


def _gaussian(post, sigma_s, mode, eps):
  if mode == 'add':
    return {'stoch': post['stoch'] + sigma_s * eps}
  std = post['std'] + sigma_s if mode == 'widen' else post['std']
  return {'std': std, 'stoch': post['mean'] + std * eps}


def _discrete(post, sigma_s, mode, eps):
  if mode == 'resample':
    return {'stoch': upstream.common.OneHotDist(post['logit']).sample()}
  logit = post['logit'] + sigma_s * eps
  return {'logit': logit, 'stoch': upstream.common.OneHotDist(logit).sample()}


def tile(value, copies):
  """Repeats a batch as a whole, [B, ...] to [K * B, ...]: a, b, a, b, ..."""
  return tf.concat([value] * copies, 0)


def extend(post, is_terminal, config):
  """Puts derived states behind the original ones, for a single rollout.

  Args:
    post: dict of float tensors [B, L, ...], posterior states.
    is_terminal: bool tensor [B, L].
    config: the `idm` section: copies K >= 1, sigma_h, sigma_s, stoch_mode,
      noise.

  Returns:
    dict of tensors [(1 + K) * B, L, ...], the originals first, and bool
    [(1 + K) * B, L].
  """
  derived = derive(
      post, config.copies, config.sigma_h, config.sigma_s, config.stoch_mode,
      config.noise)
  # No gradient reaches the world model from here: upstream's imagination
  # loss only ever updates the actor, whose first action comes after z_0.
  start = {k: tf.concat([post[k], derived[k]], 0) for k in post}
  return start, tile(is_terminal, 1 + config.copies)


class DerivedMemory(Extension):
  """Derived states as further starts of imagination."""

  def starts(self, start, is_terminal):
    """See `Extension.starts` and `extend`."""
    return extend(start, is_terminal, self.config.idm)
