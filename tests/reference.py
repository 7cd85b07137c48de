"""Imagined sequences, and the losses on them computed with NumPy."""

import numpy as np
import tensorflow as tf
from conftest import chunk

H = 5


def imagined(agent, seed=0):
  """A sequence from upstream's imagination, with rewards."""
  data = {k: tf.constant(v) for k, v in chunk().items()}
  post = agent.wm.loss(data)[2]['post']
  behavior = agent._task_behavior
  tf.random.set_seed(seed)
  seq = agent.wm.imagine(behavior.actor, post, data['is_terminal'], H)
  seq['reward'] = agent.wm.heads['reward'](seq['feat']).mode()
  # Discounts that differ, so that an index that is off by one shows.
  random = np.random.RandomState(seed)
  weight = random.uniform(0.2, 1, seq['weight'].shape).astype('f')
  seq['weight'] = tf.constant(weight)
  return seq


def log_prob_of(action, logits):
  """The log probability of a one-hot action [A]."""
  choice, = np.flatnonzero(np.array(action) > 0.5)
  return logits[choice] - np.log(np.exp(logits).sum())


def numpy_losses(agent, seq, target, weight):
  """Eq. 4's losses as loops over steps and trajectories.

  With `actor_grad` reinforce the log probability of the action times the
  advantage stands where the target does, with both a mixture of the two.
  """
  behavior = agent._task_behavior
  target = np.array(target, np.float64)
  discount = np.array(seq['weight'], np.float64)
  mean = np.array(behavior.critic(seq['feat']).mean(), np.float64)
  entropy = np.array(behavior.actor(seq['feat']).entropy(), np.float64)
  count = target.shape[1]
  if agent.config.actor_grad != 'dynamics':
    logits = np.array(behavior.actor(seq['feat']).logits, np.float64)
  critic = []
  for t in range(H):
    for n in range(count):
      log_prob = -0.5 * (target[t, n] - mean[t, n]) ** 2
      log_prob -= 0.5 * np.log(2 * np.pi)
      critic.append(-discount[t, n] * weight[t, n] * log_prob)
  mix = {'dynamics': 1.0, 'reinforce': 0.0}.get(
      agent.config.actor_grad, agent.config.actor_grad_mix)
  actor = []
  for t in range(1, H):
    for n in range(count):
      gain = 0.05 * entropy[t - 1, n]
      if mix > 0:
        gain += mix * target[t, n]
      if mix < 1:
        chosen = log_prob_of(seq['action'][t, n], logits[t - 1, n])
        gain += (1 - mix) * chosen * (target[t, n] - mean[t - 1, n])
      actor.append(-discount[t - 1, n] * weight[t, n] * gain)
  return np.mean(actor), np.mean(critic)
