"""Statistics of few, noisy runs.

A run's score is one number, and runs are the unit of chance. Differences of
means have Welch's interval and a permutation test. IQM, probability of
improvement and performance profiles are those of Agarwal et al., "Deep
Reinforcement Learning at the Edge of the Statistical Precipice" (NeurIPS
2021), and of their package rliable.

Scores, `groups` or those of an arm, `ours` and `theirs`, are lists of one array
float [..., runs] per task, because tasks may have different numbers of runs.
Axes before the runs are kept, so that many samples are computed at once.
"""

import itertools
import math

import numpy as np
import scipy.optimize
import scipy.stats

POWER = 0.8
RESAMPLES = 20_000  # Beyond so many permutations, so many are drawn.
# With fewer runs the bootstrap of a probability collapses: where every run of
# one arm beats the other's, all resamples say so, of two runs as of twenty.
ENOUGH_FOR_BOOTSTRAP = 10


def mean_of_means(groups):
  """Averages within each task, and then over tasks: float [...]."""
  return np.mean([np.mean(x, -1) for x in groups], 0)


def difference(ours, theirs):
  """Computes the difference of means and how uncertain it is.

  Args:
    ours: scores of an arm, at least two runs in each task.
    theirs: those of the other arm, the same tasks.

  Returns:
    difference, float [...]: the mean over tasks of the differences of means;
    its standard error, float [...], with a variance of its own for each arm
    of each task; and the degrees of freedom, float [...], after Welch and
    Satterthwaite (NaN where the standard error is 0).
  """
  groups = [np.asarray(x, float) for x in (*ours, *theirs)]
  counts = [x.shape[-1] for x in groups]
  parts = np.array([
      x.var(-1, ddof=1) / n / len(ours) ** 2 for x, n in zip(groups, counts)])
  freedom = np.reshape(counts, (-1,) + (1,) * (parts.ndim - 1)) - 1
  with np.errstate(invalid='ignore'):
    df = parts.sum(0) ** 2 / (parts ** 2 / freedom).sum(0)
  return mean_of_means(ours) - mean_of_means(theirs), parts.sum(0) ** 0.5, df


def interval(ours, theirs):
  """Computes the 95% interval of the difference of means.

  Args:
    ours: scores of an arm, at least two runs in each task.
    theirs: those of the other arm, the same tasks.

  Returns:
    float [...] and float [...], the ends of Welch's interval; over several
    tasks, of the Welch-Satterthwaite interval of the mean of the differences.
  """
  middle, error, df = difference(ours, theirs)
  half = scipy.stats.t.ppf(0.975, df) * error
  return middle - half, middle + half


def smallest_shown(error, df):
  """Computes the smallest difference that a comparison could have shown.

  Were it the true difference, the 95% interval would exclude 0 with a
  probability of 80%.

  Args:
    error: float, the standard error of the difference.
    df: float, its degrees of freedom.

  Returns:
    float.
  """
  # The standard error that is estimated, as a multiple of the true one.
  spread = np.sqrt(scipy.stats.chi2.ppf(np.linspace(5e-4, 1 - 5e-4, 1000), df)
                   / df)
  limit = scipy.stats.t.ppf(0.975, df) * spread

  def missing(shift):
    shown = scipy.stats.norm.sf(limit - shift)
    return np.mean(shown + scipy.stats.norm.cdf(-limit - shift)) - POWER

  return float(error * scipy.optimize.brentq(missing, 0.0, limit[-1] + 9))


def permutation_p(ours, theirs):
  """Tests whether the difference of means may be chance.

  If the arms are alike, each run could as well be one of the other arm; runs
  change arms within their task.

  Args:
    ours: scores of an arm, at least two runs in each task.
    theirs: those of the other arm, the same tasks.

  Returns:
    float, the two-sided p: the fraction of permutations whose difference (mean
    over tasks) is as far from 0 as that found, or further. Exact up to 20,000
    permutations, else of that many random ones.
  """
  nulls = [
      scipy.stats.permutation_test(
          (x, y), lambda x, y, axis: np.mean(x, axis) - np.mean(y, axis),
          n_resamples=RESAMPLES, vectorized=True, rng=index,
      ).null_distribution
      for index, (x, y) in enumerate(zip(ours, theirs))]
  found = abs(mean_of_means(ours) - mean_of_means(theirs))
  limit = found - 1e-9 * max(np.ptp(np.concatenate([*ours, *theirs])), 1e-300)
  if permutations(ours, theirs) <= RESAMPLES:
    means = np.mean([*itertools.product(*nulls)], -1)
    return float(np.mean(np.abs(means) >= limit))
  random = np.random.default_rng(0)
  means = np.mean([random.choice(x, RESAMPLES) for x in nulls], 0)
  # The runs as they are count as one of the permutations.
  return float((1 + np.sum(np.abs(means) >= limit)) / (1 + RESAMPLES))


def permutations(ours, theirs):
  """Counts the ways to give the runs of each task to the arms.

  Args:
    ours: scores of an arm.
    theirs: those of the other arm, the same tasks.

  Returns:
    int; 1 over it is the smallest p that a permutation test can give, 2 over it
    if both arms have the same number of runs.
  """
  return math.prod(
      math.comb(len(x) + len(y), len(x)) for x, y in zip(ours, theirs))


def iqm(groups):
  """Computes the interquartile mean over all runs of all tasks.

  The mean, float [...], without the lowest and the highest quarter of the
  values; of fewer than four values, nothing is cut.
  """
  return scipy.stats.trim_mean(np.concatenate(groups, -1), 0.25, axis=-1)


def probability_of_improvement(ours, theirs):
  """Computes how often a run of ours beats a run of theirs.

  Args:
    ours: scores of an arm.
    theirs: those of the other arm, the same tasks.

  Returns:
    float [...] in [0, 1]: P(X > Y) over all pairs of runs of a task, where a
    tie counts one half, averaged over the tasks.
  """
  fractions = []
  for x, y in zip(ours, theirs):
    x, y = np.asarray(x)[..., :, None], np.asarray(y)[..., None, :]
    fractions.append(((x > y) + 0.5 * (x == y)).mean((-2, -1)))
  return np.mean(fractions, 0)


def performance_profile(groups, levels):
  """Computes which fraction of all runs scores above each level.

  Args:
    groups: scores, float [runs].
    levels: float [n].

  Returns:
    float [n].
  """
  values = np.concatenate(groups)
  return (values > np.asarray(levels)[:, None]).mean(-1)


def percentiles(groups, statistic, resamples=2000):
  """Computes the 2.5% and 97.5% percentiles of a stratified bootstrap.

  Runs are drawn with replacement within each task, as rliable does. This is
  not a 95% interval for the usual numbers of runs: it holds the true
  IQM in 71% to 88% of cases with 3 runs per task, 79% to 92% with 5.

  Args:
    groups: scores, float [runs].
    statistic: function of a list like `groups`, of float [..., runs], that
      returns float [...].
    resamples: int.

  Returns:
    (float, float), or None if any array has a single run.
  """
  if min(map(len, groups)) < 2:
    return None
  found = scipy.stats.bootstrap(
      groups, lambda *groups, axis: statistic(groups), n_resamples=resamples,
      vectorized=True, method='percentile', rng=0).confidence_interval
  return float(found.low), float(found.high)
