"""Learning from experience: the agent, its batches and its updates."""

import re
import time

import numpy as np
import tensorflow as tf

from .. import upstream
from ..agent import build
from ..errors import TrainingError
from ..evaluation import rollout
from . import messages
from . import replay as replay_lib
from . import sanity_checks

TIMED = 10  # Updates before the length of the training is forecast.


class Learner:
  """Updates an agent with batches from a replay."""

  def __init__(self, config, replay, obs_space, act_space, step, gpus=(),
               note=print):
    """Builds the agent; nothing is learned yet.

    Args:
      config: upstream's Config with our keys.
      replay: SeededReplay with at least one episode.
      obs_space: dict of gymnasium spaces.
      act_space: dict with the gymnasium space of `action`.
      step: upstream's Counter of agent steps.
      gpus: sequence of the GPUs in use.
      note: function of str, called once with how long the updates will take.
    """
    self._config, self._replay, self._step = config, replay, step
    self._gpus, self._note = gpus, note
    self.agent = build.build_agent(config, obs_space, act_space, step)
    self._batch = config.dataset.batch * config.batch_multiplier
    draw = getattr(self.agent, 'batches', None)
    self.batches = draw(replay) if draw else replay.batches(
        self._batch, config.dataset.length)
    self.updates = 0
    self.to_pretrain = config.pretrain  # Updates of pretraining still to do.
    # Whether the agent can be saved: False during an update.
    self.sound = False
    self._timed: list | None = None  # Seconds of the first updates.
    self._forget_latent()

  def _forget_latent(self):
    # An explicit first state, so that the update is traced once.
    self._latent = self.agent.wm.rssm.initial(self._batch)

  def trace(self):
    """Makes the first update, which traces its graph; returns its metrics."""
    metrics = self.update()
    self._forget_latent()
    self._timed = []
    return metrics

  def restored(self, state):
    """Takes over a plain state of `state`; the parameters are loaded."""
    self.updates, self.to_pretrain = state['updates'], state['to_pretrain']
    for_numpy, for_replay = state['random']
    replay_lib.set_random_state(np.random, for_numpy)
    self._replay.random_state = for_replay

  def policy(self):
    """Builds the policy that collects, of (observations, state).

    It explores until agent step `expl_until`, always if that is 0, and acts as
    the task's actor afterwards.
    """
    explores = upstream.common.Until(self._config.expl_until)
    modes = {
        x: rollout.act(self.agent, 'explore' if x else 'train')
        for x in (True, False)}
    return lambda obs, state: modes[explores(self._step)](obs, state)

  def update(self):
    """Updates the agent with one batch.

    Returns:
      dict of scalar tensors, upstream's metrics of the update.

    Raises:
      TrainingError: if a loss or gradient is not finite.
    """
    began, data = time.time(), next(self.batches)
    self.sound = False
    try:
      self._latent, metrics = self.agent.train(data, self._latent)
    except tf.errors.InvalidArgumentError as error:
      # Upstream checks its losses and gradients, all but float16's.
      # Drawing actions with a mean that is not finite has invalid parameters.
      name = re.search(r'(\w+) : Tensor had|Invalid parameters', str(error))
      if not name:
        raise
      raise TrainingError(
          f'{name[1] or "the distribution of actions"} is not finite in '
          f'update {self.updates + 1}: lower the learning rates, or look at '
          'the rewards') from error
    self.updates += 1
    self.sound = True
    if self._timed is not None:
      float(next(iter(metrics.values())))  # Waits for a GPU to finish.
      self._timed.append(time.time() - began)
      if len(self._timed) == TIMED:
        self._note(messages.forecast(
            self._config, int(self._step), np.median(self._timed), self._gpus))
        self._timed = None
    return metrics

  def report(self):
    """Predicts six sequences of a fresh batch in open loop.

    Returns:
      dict of float [T, 3 * h, n * w, C] in [0, 1], upstream's report.
    """
    return self.agent.report({k: v[:6] for k, v in next(self.batches).items()})

  def check(self):
    """Raises TrainingError if a parameter or a moment is not finite."""
    bad = sanity_checks.not_finite(self.agent)
    if bad:
      self.sound = False
      raise TrainingError(
          f'{bad} is not finite after update {self.updates}: no checkpoint '
          'was written')

  def state(self):
    """Describes as plain data what is not in the agent's variables."""
    return {
        'updates': self.updates,
        'to_pretrain': self.to_pretrain,
        'random': [
            replay_lib.plain_random_state(np.random),
            self._replay.random_state]}
