"""Few noisy runs in numbers that say how noisy: IQM, bootstrap, improvement.

The measures are those of Agarwal et al., "Deep Reinforcement Learning at the
Edge of the Statistical Precipice" (NeurIPS 2021), and of their package
rliable. Scores come as one array per task, because tasks may have different
numbers of runs; the last axis is the runs, and axes before it are kept, so
that all resamples of a bootstrap are computed at once.
"""

import numpy as np
import scipy.stats

FEW_SEEDS = 5  # Below this many, an interval says little.


def iqm(groups):
  """Computes the interquartile mean over all runs of all tasks.

  Args:
    groups: list of float [..., runs], one array per task.

  Returns:
    float [...], the mean without the lowest and the highest quarter of the
    values; with fewer than four values, nothing is cut.
  """
  return scipy.stats.trim_mean(np.concatenate(groups, -1), 0.25, axis=-1)


def mean_of_means(groups):
  """Averages within each task, and then over tasks.

  Args:
    groups: list of float [..., runs], one array per task.

  Returns:
    float [...].
  """
  return np.mean([np.mean(x, -1) for x in groups], 0)


def probability_of_improvement(ours, theirs):
  """Computes how often a run of ours beats a run of theirs.

  Args:
    ours: list of float [..., runs], one array per task.
    theirs: list of float [..., other runs], the same tasks.

  Returns:
    float [...] in [0, 1]: P(X > Y) over all pairs of runs of a task, where a
    tie counts one half, averaged over the tasks.
  """
  shares = []
  for x, y in zip(ours, theirs):
    x, y = np.asarray(x)[..., :, None], np.asarray(y)[..., None, :]
    shares.append(((x > y) + 0.5 * (x == y)).mean((-2, -1)))
  return np.mean(shares, 0)


def stratified_bootstrap(groups, reps=10_000, seed=0):
  """Draws runs with replacement, within each task.

  The tasks themselves are kept: they are what was chosen to be compared on,
  only the seeds are chance.

  Args:
    groups: list of float [runs], one array per task.
    reps: int, number of resamples.
    seed: int.

  Returns:
    list of float [reps, runs], one array per task.
  """
  random = np.random.default_rng(seed)
  groups = [np.asarray(x, float) for x in groups]
  return [
      x[random.integers(len(x), size=(reps, len(x)))] for x in groups]


def interval(samples, coverage=0.95):
  """Reads the percentile interval off bootstrap samples.

  Args:
    samples: float [reps].
    coverage: float in (0, 1).

  Returns:
    (float, float), lower and upper end.
  """
  tail = 50 * (1 - coverage)
  low, high = np.percentile(samples, [tail, 100 - tail])
  return float(low), float(high)


def iqm_interval(groups, reps=2000):
  """Computes the IQM and its 95% stratified bootstrap interval.

  Args:
    groups: list of float [runs], one array per task.
    reps: int, number of resamples.

  Returns:
    (float, (float, float) or None): without an interval if no task has a
    second run, since then there is nothing to draw from.
  """
  point = float(iqm(groups))
  if max(len(x) for x in groups) < 2:
    return point, None
  return point, interval(iqm(stratified_bootstrap(groups, reps)))


def difference_interval(groups, reps=10_000):
  """Computes the mean of paired differences and its 95% interval.

  Args:
    groups: list of float [pairs], differences, one array per task.
    reps: int, number of resamples.

  Returns:
    (float, (float, float) or None): without an interval if any task has a
    single pair: its chance would count as none, and the interval be too
    narrow.
  """
  point = float(mean_of_means(groups))
  if min(len(x) for x in groups) < 2:
    return point, None
  return point, interval(mean_of_means(stratified_bootstrap(groups, reps)))


def improvement_interval(ours, theirs, reps=2000):
  """Computes the probability of improvement and its 95% interval.

  Args:
    ours: list of float [runs], one array per task.
    theirs: list of float [other runs], the same tasks.
    reps: int, number of resamples; both sides are drawn independently.

  Returns:
    (float, (float, float) or None): without an interval if either side has a
    single run of a task.
  """
  point = float(probability_of_improvement(ours, theirs))
  if min(len(x) for x in [*ours, *theirs]) < 2:
    return point, None
  samples = probability_of_improvement(
      stratified_bootstrap(ours, reps, seed=0),
      stratified_bootstrap(theirs, reps, seed=1))
  return point, interval(samples)


def chance_of_one_sign(pairs):
  """Computes how often chance alone makes all differences agree.

  Args:
    pairs: int, number of paired differences, at least one.

  Returns:
    float, the probability that all have one sign if either is as likely.
  """
  return 2 * 0.5 ** pairs
