import itertools

import numpy as np
import pytest
import rliable.library
import rliable.metrics
import scipy.stats

from dreamer_idm.report import statistics

# Centred scores of variance 1, from uniform generators.
SCORES = {
    'normal': lambda random, size: random.normal(size=size),
    'skewed': lambda random, size: (random.gamma(4, size=size) - 4) / 2,
    'very skewed': lambda random, size: random.exponential(size=size) - 1}


def coverage(kind, ratio, tasks, runs, other_runs=None, samples=20_000):
  """Simulates how often the interval holds the true difference, 7."""
  random = np.random.default_rng(0)
  draw = SCORES[kind]
  ours = [7 + draw(random, (samples, runs)) for _ in range(tasks)]
  theirs = [
      ratio * draw(random, (samples, other_runs or runs))
      for _ in range(tasks)]
  low, high = statistics.interval(ours, theirs)
  return np.mean((low <= 7) & (7 <= high))


@pytest.mark.parametrize('kind', ['normal', 'skewed'])
@pytest.mark.parametrize('ratio', [1, 3])
@pytest.mark.parametrize('tasks', [1, 3, 6])
@pytest.mark.parametrize('runs', [3, 5, 10])
def test_the_95_percent_interval_has_its_coverage(kind, ratio, tasks, runs):
  assert 0.93 <= coverage(kind, ratio, tasks, runs) <= 0.97


@pytest.mark.parametrize('tasks, runs, others', [(1, 3, 5), (3, 10, 3)])
def test_so_has_that_of_arms_of_different_size(tasks, runs, others):
  assert 0.93 <= coverage('normal', 1, tasks, runs, others) <= 0.97


@pytest.mark.parametrize('tasks', [1, 3, 6])
@pytest.mark.parametrize('runs', [3, 5, 10])
def test_what_the_page_says_of_very_skewed_scores(tasks, runs):
  assert 0.95 <= coverage('very skewed', 1, tasks, runs) <= 0.985
  assert 0.90 <= coverage('very skewed', 3, tasks, runs) <= 0.95


def test_a_bootstrap_would_not_have_the_coverage():
  # Why no percentiles of a bootstrap are called a 95% interval.
  random = np.random.default_rng(0)
  hits = 0
  for _ in range(200):
    groups = [random.normal(size=3) for _ in range(3)]
    low, high = statistics.percentiles(groups, statistics.iqm, 200)
    hits += low <= 0 <= high
  assert hits / 200 < 0.93


def test_one_task_is_welchs_test():
  random = np.random.default_rng(1)
  x, y = random.normal(5, 1, 4), random.normal(3, 4, 7)
  expected = scipy.stats.ttest_ind(x, y, equal_var=False)
  assert statistics.interval([x], [y]) == pytest.approx(
      tuple(expected.confidence_interval(0.95)))
  middle, error, df = statistics.difference([x], [y])
  assert middle / error == pytest.approx(expected.statistic)
  assert df == pytest.approx(expected.df)


def test_tasks_count_alike_however_many_runs_they_have():
  ours, theirs = [[10.0, 12.0], [1.0] * 9], [[0.0, 2.0], [1.0] * 5]
  middle, error, df = statistics.difference(ours, theirs)
  assert middle == 5.0
  # The variance 2 of two runs, twice, through the square of two tasks.
  assert error == pytest.approx(np.sqrt(2 * (2 / 2) / 4))
  assert df == pytest.approx(2.0)


@pytest.mark.parametrize('tasks, runs', [(1, 3), (1, 5), (3, 3), (6, 5)])
def test_the_smallest_difference_is_shown_in_80_percent(tasks, runs):
  random = np.random.default_rng(2)

  def draw(shift, samples):
    return (
        [random.normal(x, 1, (samples, runs)) for _ in range(tasks)]
        for x in (shift, 0.0))

  # As the page says it: from the spread that the runs happen to have.
  _, error, df = statistics.difference(*draw(0.0, 100))
  found = [statistics.smallest_shown(*x) for x in zip(error, df)]
  shift = np.mean(np.square(found)) ** 0.5  # Variances have no bias.
  low, high = statistics.interval(*draw(shift, 20_000))
  assert np.mean((low > 0) | (high < 0)) == pytest.approx(0.8, abs=0.08)


def brute_p(ours, theirs):
  """Looks at every assignment of the runs of each task to the arms."""
  per_task = []
  for x, y in zip(ours, theirs):
    both, n = np.concatenate([x, y]), len(x)
    per_task.append([
        both[[*i]].mean() - np.delete(both, i).mean()
        for i in itertools.combinations(range(len(both)), n)])
  means = [np.mean(x) for x in itertools.product(*per_task)]
  found = np.mean([np.mean(x) - np.mean(y) for x, y in zip(ours, theirs)])
  return np.mean(np.abs(means) >= abs(found) - 1e-9)


def test_p_is_of_permutations_within_tasks():
  random = np.random.default_rng(3)
  ours = [random.normal(1, 1, 3), random.normal(50, 9, 2)]
  theirs = [random.normal(0, 1, 3), random.normal(40, 9, 3)]
  assert statistics.permutation_p(ours[:1], theirs[:1]) == pytest.approx(
      brute_p(ours[:1], theirs[:1]))
  assert statistics.permutation_p(ours, theirs) == pytest.approx(
      brute_p(ours, theirs))
  assert statistics.permutation_p([[1.0, 1.0]], [[1.0, 1.0]]) == 1.0


def test_five_runs_of_each_arm_can_have_a_small_p():
  ours, theirs = [np.arange(5) + 10.0], [np.arange(5.0)]
  assert statistics.permutations(ours, theirs) == 252
  assert statistics.permutation_p(ours, theirs) == pytest.approx(2 / 252)


def test_p_of_many_permutations_is_of_random_ones(monkeypatch):
  random = np.random.default_rng(4)
  ours = [random.normal(0.8, 1, 4) for _ in range(2)]
  theirs = [random.normal(0, 1, 4) for _ in range(2)]
  exact = statistics.permutation_p(ours, theirs)
  monkeypatch.setattr(statistics, 'RESAMPLES', 4000)
  drawn = statistics.permutation_p(ours, theirs)
  assert drawn == statistics.permutation_p(ours, theirs) != exact
  assert drawn == pytest.approx(exact, abs=0.02)


def test_without_an_effect_p_is_small_as_rarely_as_it_says():
  random = np.random.default_rng(5)
  found = [
      statistics.permutation_p(*(
          [random.normal(size=3) for _ in range(2)] for _ in range(2)))
      for _ in range(300)]
  assert np.mean(np.array(found) < 0.05) <= 0.08
  assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.08)


def matrices(runs, tasks, others=None):
  random = np.random.default_rng(6)
  return (
      random.integers(0, 9, (runs, tasks)).astype(float),
      random.integers(0, 9, (others or runs, tasks)).astype(float))


@pytest.mark.parametrize('runs, tasks', [(3, 1), (5, 3), (10, 6)])
def test_measures_are_those_of_rliable(runs, tasks):
  ours, theirs = matrices(runs, tasks, runs + 1)
  assert statistics.iqm([*ours.T]) == pytest.approx(
      rliable.metrics.aggregate_iqm(ours))
  # Mann and Whitney's U counts a tie one half as well.
  assert statistics.probability_of_improvement(
      [*ours.T], [*theirs.T]) == pytest.approx(
          rliable.metrics.probability_of_improvement(ours, theirs))
  levels = np.linspace(-1, 10, 23)
  profiles, _ = rliable.library.create_performance_profile(
      {'ours': ours}, levels, reps=2)
  np.testing.assert_allclose(
      statistics.performance_profile([*ours.T], levels), profiles['ours'])


@pytest.mark.filterwarnings('ignore:random_state:FutureWarning')
def test_percentiles_are_those_of_rliables_bootstrap():
  ours, _ = matrices(5, 3)
  _, expected = rliable.library.get_interval_estimates(
      {'ours': ours}, lambda x: np.array([rliable.metrics.aggregate_iqm(x)]),
      reps=2000, random_state=np.random.RandomState(0))
  found = statistics.percentiles([*ours.T], statistics.iqm)
  np.testing.assert_allclose(found, expected['ours'][:, 0], atol=0.3)


def test_measures_keep_the_axes_before_the_runs():
  random = np.random.default_rng(7)
  ours = [random.normal(size=(7, 5)), random.normal(size=(7, 6))]
  theirs = [x + 0.3 for x in ours]
  for measure, *groups in (
      (statistics.iqm, ours),
      (statistics.probability_of_improvement, ours, theirs)):
    np.testing.assert_allclose(measure(*groups), [
        measure(*([x[i] for x in y] for y in groups)) for i in range(7)])


def test_both_arms_are_drawn_independently():
  # The same runs on both sides: were they drawn together, each resample
  # would tie with itself, and the percentiles would be one point.
  runs = [float(x) for x in range(10)]
  low, high = statistics.percentiles(
      [runs, runs],
      lambda x: statistics.probability_of_improvement(x[:1], x[1:]))
  assert low < 0.35 and high > 0.65


def test_a_single_run_has_no_percentiles():
  assert statistics.percentiles([[3.0], [5.0, 6.0]], statistics.iqm) is None
