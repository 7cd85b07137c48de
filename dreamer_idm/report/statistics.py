"""Few noisy runs in numbers that say how noisy: IQM, bootstrap, improvement.

The measures are those of Agarwal et al., "Deep Reinforcement Learning at the
Edge of the Statistical Precipice" (NeurIPS 2021), and of their package
rliable. Scores come as one array per task, because tasks may have different
numbers of runs; the last axis is the runs, and axes before it are kept, so
that all resamples of a bootstrap are computed at once.
"""

import numpy as np
import scipy.stats

# With fewer pairs, no two-sided sign-flip test can give p < 0.05.
FEW_SEEDS = 6
# With fewer, percentiles of a bootstrap are clearly too narrow.
ENOUGH_FOR_BOOTSTRAP = 10
SIGNIFICANCE = 0.05
EXACT_FLIPS = 2 ** 15  # Up to so many, all of them are looked at.


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
    (float, (float, float) or None): without an interval if any task has a
    single run: its chance would count as none, and the interval be too
    narrow.
  """
  point = float(iqm(groups))
  if min(len(x) for x in groups) < 2:
    return point, None
  return point, interval(iqm(stratified_bootstrap(groups, reps)))


def interval_kind(groups):
  """Says how `difference_interval` gets its interval.

  Args:
    groups: list of float [pairs], one array per task.

  Returns:
    str: `t` for a single task with few pairs, else `bootstrap`.
  """
  few = len(groups[0]) < ENOUGH_FOR_BOOTSTRAP
  return 't' if len(groups) == 1 and few else 'bootstrap'


def difference_interval(groups, reps=10_000):
  """Computes the mean of paired differences and its 95% interval.

  Args:
    groups: list of float [pairs], differences, one array per task.
    reps: int, number of resamples.

  Returns:
    (float, (float, float) or None): of Student's t or of a stratified
    bootstrap, as `interval_kind` says; without an interval if any task has a
    single pair: its chance would count as none, and the interval be too
    narrow.
  """
  point = float(mean_of_means(groups))
  if min(len(x) for x in groups) < 2:
    return point, None
  if interval_kind(groups) == 't':
    values, = groups
    # Percentiles of a bootstrap over 5 pairs exclude 0 in 17% of cases
    # without any effect, over 2 pairs in about half of them.
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    return point, (float(point - half), float(point + half))
  return point, interval(mean_of_means(stratified_bootstrap(groups, reps)))


def sign_flip_p(groups, flips=20_000, seed=0):
  """Tests whether the mean of paired differences may be chance.

  Without any effect, each difference could as well have the other sign.

  Args:
    groups: list of float [pairs], differences, one array per task.
    flips: int, how many random flips are drawn if there are too many to look
      at all of them.
    seed: int, of these.

  Returns:
    float, the two-sided p: the share of flips of signs that give a mean (over
    tasks of the means over pairs) as far from 0 as that found, or further.
  """
  # Each difference with its weight in the mean: then it is a sum.
  terms = np.concatenate([
      np.asarray(x, float) / (len(x) * len(groups)) for x in groups])
  found = abs(terms.sum())
  limit = found - 1e-9 * np.abs(terms).sum()  # Sums are rounded.
  if 2 ** len(terms) <= EXACT_FLIPS:
    signs = 1 - 2 * (
        np.arange(2 ** len(terms))[:, None] >> np.arange(len(terms)) & 1)
    return float(np.mean(np.abs(signs @ terms) >= limit))
  random = np.random.default_rng(seed)
  signs = 1 - 2 * random.integers(2, size=(flips, len(terms)))
  # The signs as they were found are one of the flips.
  return float((1 + np.sum(np.abs(signs @ terms) >= limit)) / (1 + flips))


def smallest_p(pairs):
  """Computes the smallest p that `sign_flip_p` can give.

  Args:
    pairs: int, number of paired differences of all tasks, at least one.

  Returns:
    float.
  """
  return 2 * 0.5 ** pairs


def improvement_interval(ours, theirs, reps=2000):
  """Computes the probability of improvement and its 95% interval.

  Args:
    ours: list of float [runs], one array per task.
    theirs: list of float [other runs], the same tasks.
    reps: int, number of resamples; both sides are drawn independently.

  Returns:
    (float, (float, float) or None): without an interval if either side has
    fewer than 10 runs of a task. Where every run of one side beats those of
    the other, all resamples say so too, two runs of each like twenty.
  """
  point = float(probability_of_improvement(ours, theirs))
  if min(len(x) for x in [*ours, *theirs]) < ENOUGH_FOR_BOOTSTRAP:
    return point, None
  samples = probability_of_improvement(
      stratified_bootstrap(ours, reps, seed=0),
      stratified_bootstrap(theirs, reps, seed=1))
  return point, interval(samples)
