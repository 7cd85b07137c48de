"""CMA-ES as arrays: one generation at a time, for checkpoints and graphs.

`cma` keeps its state in an object. Here every generation begins with a new one
that gets the state from arrays, so that these are all that has to be saved, and
a resumed search is the same to the bit. The covariance is diagonal (Ros and
Hansen, 2008): a controller has hundreds of weights, whose full covariance would
take longer to decompose than all the rest of an update, and to learn than a
training has generations. The step size is adapted by the length of its path.

P number of weights, C candidates of a generation.
"""

from typing import NamedTuple

import cma
import numpy as np
from cma.sigma_adaptation import CMAAdaptSigmaCSA
from cma.transformations import DiagonalDecoding


class State(NamedTuple):
  """All that a search goes on from, float64 arrays.

  Attributes:
    mean: [P], of the distribution.
    step_size: scalar.
    scaling: [P]; times the step size the standard deviations.
    path: [P], evolution path of the covariance.
    step_path: [P], that of the step size.
    generations: scalar, so far.
  """

  mean: np.ndarray
  step_size: np.ndarray
  scaling: np.ndarray
  path: np.ndarray
  step_path: np.ndarray
  generations: np.ndarray


def begun(size, sigma):
  """Makes the State of a search around zero.

  Args:
    size: int P.
    sigma: float, standard deviation.

  Returns:
    State.
  """
  zeros = np.zeros(size)
  return _state(zeros, sigma, np.ones(size), zeros, zeros, 0)


def _state(*values):
  return State(*(np.asarray(x, np.float64) for x in values))


class Generation:
  """One generation of a search: candidates, then their scores."""

  def __init__(self, state, noise):
    """Draws the candidates.

    Args:
      state: State.
      noise: float64 [C, P], standard normal.
    """
    self._search = search = cma.CMAEvolutionStrategy(
        state.mean, float(state.step_size), dict(
            popsize=len(noise), CMA_diagonal=True, verbose=-9,
            AdaptSigma=CMAAdaptSigmaCSA, randn=lambda *_: noise,
            seed=np.nan))  # It would seed NumPy, for everybody.
    search.sigma_vec = DiagonalDecoding(state.scaling)
    self.candidates = np.array(search.ask())
    # The rest of what `tell` reads; `ask` numbers the generations from 0.
    search.countiter = int(state.generations)
    search.mean_old = search.mean
    search.pc = state.path.copy()
    search.adapt_sigma.ps = state.step_path.copy()

  def end(self, scores):
    """Learns from the candidates.

    Args:
      scores: float [C], the more, the better.

    Returns:
      State, the next one.
    """
    search = self._search
    search.tell(list(self.candidates), list(-scores.astype(float)))
    return _state(
        search.mean, search.sigma, search.sigma_vec.scaling, search.pc,
        search.adapt_sigma.ps, search.countiter)
