"""Evaluation: the actor's mode in environments that learn nothing from it."""

import collections
import itertools

import numpy as np
import tensorflow as tf

from .. import upstream
from ..agent.extension import Extension

# The fraction of a return that the time limit may cut off.
MISSING = 0.1

# returns: float64 [episodes], undiscounted. episode: the first one, a dict of
# arrays [T + 1, ...]. episodes: all of them, without images. feat: float32
# [T, S + D], the first one's posterior states.
# predicted, realised: float64 [states], see `compared_values`; empty for an
# agent without a critic of the environment's rewards, see `has_values`.
Evaluation = collections.namedtuple(
    'Evaluation', [
        'returns', 'episode', 'episodes', 'feat', 'predicted', 'realised'])


def act(agent, mode):
  """Turns an agent into the policy that upstream's Driver calls.

  Args:
    agent: upstream's Agent or a subclass.
    mode: `eval` (the actor's mode, eval_noise) or `explore` (a sample,
      expl_noise).

  Returns:
    function of (observations, state) to (outputs, state). It begins with an
    explicit state of zeros, which is what upstream makes of None, so that
    one trace serves the first step and the others.
  """
  def policy(obs, state):
    obs = {k: v for k, v in obs.items() if not k.startswith('log_')}
    if state is None:
      count = len(obs['reward'])
      action = np.zeros((count, *agent.act_space.shape), np.float32)
      state = agent.wm.rssm.initial(count), action
    return agent.policy(obs, state, mode=mode)
  return policy


def compared_values(value, rewards, discount, terminal):
  """Pairs the critic's values with the returns that followed.

  The critic's value of a state includes the reward of arriving there, as in
  upstream's targets. Where the time limit ends an episode the return lacks
  what would have followed, so only states count that lack at most the fraction
  MISSING of their weights.

  Args:
    value: float [T], of the states 0..T-1 of an episode.
    rewards: float [T + 1], of the states 0..T; in the critic's units.
    discount: float in [0, 1].
    terminal: bool, whether state T ends the task and not just the time.

  Returns:
    float64 [n] predicted and float64 [n] realised, n <= T: the sums over
    k >= 0 of discount^k * rewards[t + k].
  """
  steps = len(value)
  backwards = itertools.accumulate(
      np.asarray(rewards, float)[::-1],
      lambda following, reward: reward + discount * following)
  realised = np.array([*backwards])[::-1][:steps]
  missing = discount ** (steps + 1 - np.arange(steps, dtype=float))
  counts = np.full(steps, True) if terminal else missing <= MISSING
  return np.asarray(value, np.float64)[counts], realised[counts]


def evaluate(agent, env, episodes, on_step=None):
  """Runs whole episodes with the actor's mode, one environment at a time.

  One at a time because upstream's `SampleDist.mode` (tanh_normal) picks the
  sample that is likeliest for the first row of a batch, for all its rows.

  Args:
    agent: upstream's Agent or a subclass.
    env: environment in upstream's interface.
    episodes: int >= 1.
    on_step: function without arguments, called at each step, or None.

  Returns:
    Evaluation.
  """
  policy = act(agent, 'eval')
  latents: list = []
  first: list = []
  found: list = []

  def remember(obs, state):
    outputs, state = policy(obs, state)
    latents.append(state[0])
    return outputs, state

  def on_episode(episode):
    feat = np.concatenate(
        [agent.wm.rssm.get_feat(x).numpy() for x in latents])
    latents.clear()
    # Episodes of images are large; the first one is enough to be shown.
    first.extend([] if first else [episode, feat])
    numbers = {k: v for k, v in episode.items() if v.ndim < 4}
    returns = episode['reward'].astype(np.float64).sum()
    found.append((returns, numbers, *_values(agent, feat, episode)))

  driver = upstream.common.Driver([env])
  driver.on_episode(on_episode)
  if on_step:
    driver.on_step(lambda transition, worker: on_step())
  driver(remember, episodes=episodes)
  returns, numbers, predicted, realised = zip(*found)
  return Evaluation(
      np.array(returns), first[0], list(numbers), first[1],
      np.concatenate(predicted), np.concatenate(realised))


def has_values(behavior):
  """Whether a critic predicts the returns that evaluation finds.

  Not if the method trains no critic (without an actor there is none either),
  or rewards imagined states with more than the environment does.
  """
  if {'actor', 'critic'} & getattr(behavior, 'unused', frozenset()):
    return False
  return all(
      type(x).reward is Extension.reward
      and type(x).target is Extension.target
      for x in getattr(behavior, 'extensions', ()))


def _values(agent, feat, episode):
  """The critic's values at feat [T, S + D] beside the returns that followed."""
  config, behavior = agent.config, agent._task_behavior
  if not has_values(behavior):
    return np.zeros(0), np.zeros(0)
  value = behavior.critic(tf.constant(feat)).mode().numpy()
  clip: dict = {'identity': lambda x: x, 'sign': np.sign, 'tanh': np.tanh}
  rewards = clip[config.clip_rewards](episode['reward'])
  rewards = behavior.rewnorm.transform(rewards.astype(np.float32)).numpy()
  return compared_values(
      value, rewards, config.discount, bool(episode['is_terminal'][-1]))
