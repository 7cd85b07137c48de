"""Evaluation: the actor's mode in environments that learn nothing from it."""

import numpy as np

from . import upstream


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
    if state is None:
      count = len(obs['reward'])
      action = np.zeros((count, *agent.act_space.shape), np.float32)
      state = agent.wm.rssm.initial(count), action
    return agent.policy(obs, state, mode=mode)
  return policy


def evaluate(agent, env, episodes, on_step=None):
  """Runs whole episodes with the actor's mode, one environment at a time.

  One at a time because the mode of upstream's tanh_normal is right for a
  batch of one only (SPEC 2, note 5).

  Args:
    agent: upstream's Agent or a subclass.
    env: environment in upstream's interface.
    episodes: int >= 1.
    on_step: function without arguments, called at each step, or None.

  Returns:
    float64 [episodes], undiscounted returns; and the first episode, a dict
    of arrays [T + 1, ...].
  """
  returns: list[float] = []
  first: list[dict] = []

  def on_episode(episode):
    returns.append(episode['reward'].astype(np.float64).sum())
    if not first:
      first.append(episode)

  driver = upstream.common.Driver([env])
  driver.on_episode(on_episode)
  if on_step:
    driver.on_step(lambda transition, worker: on_step())
  driver(act(agent, 'eval'), episodes=episodes)
  return np.array(returns), first[0]
