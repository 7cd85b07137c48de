"""CMA-ES as arrays: one generation at a time, for checkpoints and graphs.

`cma` keeps its state in an object. Here every generation begins with a new one
that gets the state from arrays, so that these are all that has to be saved, and
a resumed search is the same to the bit. The covariance is diagonal (Ros and
Hansen, 2008): a controller has hundreds of weights, whose full covariance would
take longer to decompose than all the rest of an update, and to learn than a
training has generations. The step size is adapted by the length of its path.

P number of weights, C candidates of a generation.
"""

import cma
import numpy as np
from cma.sigma_adaptation import CMAAdaptSigmaCSA
from cma.transformations import DiagonalDecoding

# Arrays of the state and their shapes: the mean of the distribution, its step
# size, the standard deviations that this multiplies, both evolution paths, and
# the number of generations.
SHAPES = {
    'mean': 'P', 'step_size': '', 'scaling': 'P', 'path': 'P',
    'step_path': 'P', 'count': ''}


def begun(size, sigma):
  """Makes the state of a search around zero.

  Args:
    size: int P.
    sigma: float, standard deviation.

  Returns:
    dict of float64 arrays, those of SHAPES.
  """
  fill = {'step_size': sigma, 'scaling': 1.0}
  return {
      k: np.full((size,) * len(x), fill.get(k, 0.0))
      for k, x in SHAPES.items()}


class Generation:
  """One generation of a search: candidates, then their scores."""

  def __init__(self, state, noise):
    """Draws the candidates.

    Args:
      state: dict of float64 arrays, those of SHAPES.
      noise: float64 [C, P], standard normal.
    """
    self._search = search = cma.CMAEvolutionStrategy(
        state['mean'], float(state['step_size']), {
            'popsize': len(noise), 'CMA_diagonal': True, 'verbose': -9,
            'AdaptSigma': CMAAdaptSigmaCSA, 'randn': lambda *_: noise,
            'seed': np.nan})  # It would seed NumPy, for everybody.
    search.sigma_vec = DiagonalDecoding(state['scaling'])
    self.candidates = np.array(search.ask())
    # The rest of what `tell` reads; `ask` numbers the generations from 0.
    search.countiter = int(state['count'])
    search.mean_old = search.mean
    search.pc = state['path'].copy()
    search.adapt_sigma.ps = state['step_path'].copy()

  def end(self, scores):
    """Learns from the candidates.

    Args:
      scores: float [C], the more, the better.

    Returns:
      dict of float64 arrays, the next state.
    """
    search = self._search
    search.tell(list(self.candidates), list(-scores.astype(float)))
    return {
        'mean': search.mean, 'step_size': search.sigma,
        'scaling': search.sigma_vec.scaling, 'path': search.pc,
        'step_path': search.adapt_sigma.ps, 'count': search.countiter}
