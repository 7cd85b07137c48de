import itertools

import numpy as np
import pytest
import scipy.stats

from dreamer_idm.report import statistics


def test_iqm_is_the_mean_of_the_middle_half():
  # Eight values, 1 to 8: two are cut at either end.
  groups = [np.array([8.0, 1.0, 3.0]), np.array([2.0, 7.0, 4.0, 6.0, 5.0])]
  assert statistics.iqm(groups) == pytest.approx(np.mean([3, 4, 5, 6]))
  outlier = [np.array([8e9, 1.0, 3.0]), groups[1]]
  assert statistics.iqm(outlier) == pytest.approx(4.5)
  assert statistics.iqm([np.array([1.0, 5.0])]) == 3.0


def test_iqm_of_many_resamples_is_that_of_each():
  random = np.random.RandomState(0)
  groups = [random.normal(size=(7, 5)), random.normal(size=(7, 6))]
  found = statistics.iqm(groups)
  for index in range(7):
    values = np.sort(np.concatenate([x[index] for x in groups]))
    assert found[index] == pytest.approx(values[2:-2].mean())


def test_probability_of_improvement_counts_pairs():
  random = np.random.RandomState(1)
  ours = [random.randint(0, 6, n).astype(float) for n in (3, 5)]
  theirs = [random.randint(0, 6, n).astype(float) for n in (4, 2)]
  shares = []
  for x, y in zip(ours, theirs):
    wins = 0.0
    for a in x:
      for b in y:
        wins += 1 if a > b else 0.5 if a == b else 0
    shares.append(wins / (len(x) * len(y)))
  found = statistics.probability_of_improvement(ours, theirs)
  assert found == pytest.approx(np.mean(shares))
  back = statistics.probability_of_improvement(theirs, ours)
  assert found + back == pytest.approx(1.0)


def test_the_bootstrap_stays_within_tasks():
  groups = [[1.0, 2.0, 3.0], [100.0, 200.0]]
  first, second = statistics.stratified_bootstrap(groups, reps=500)
  assert first.shape == (500, 3) and second.shape == (500, 2)
  assert {*first.ravel()} == {1.0, 2.0, 3.0}
  assert {*second.ravel()} == {100.0, 200.0}
  assert (first.std(-1) == 0).any()  # With replacement: thrice the same.
  again = statistics.stratified_bootstrap(groups, reps=500)
  np.testing.assert_array_equal(first, again[0])


def test_the_bootstrap_has_the_standard_error_of_the_mean():
  values = np.random.RandomState(0).normal(10, 3, 40)
  samples = statistics.stratified_bootstrap([values], reps=20_000)[0].mean(-1)
  assert samples.mean() == pytest.approx(values.mean(), abs=0.03)
  assert samples.std() == pytest.approx(
      values.std() / np.sqrt(len(values)), rel=0.03)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
  random = np.random.RandomState(0)
  hits = 0
  for _ in range(200):
    groups = [random.normal(5, 2, 15), random.normal(-1, 4, 15)]
    _, (low, high) = statistics.difference_interval(groups, reps=300)
    hits += low <= 2.0 <= high
  assert 0.87 <= hits / 200 <= 0.99


def test_interval_is_of_percentiles():
  samples = np.random.RandomState(0).permutation(1001)
  assert statistics.interval(samples) == pytest.approx((25, 975))
  assert statistics.interval(samples, 0.5) == pytest.approx((250, 750))


def test_tasks_count_alike_however_many_runs_they_have():
  point, _ = statistics.difference_interval([[0.0] * 9, [10.0] * 2])
  assert point == 5.0


def test_a_single_run_has_no_interval():
  assert statistics.difference_interval([[3.0]]) == (3.0, None)
  assert statistics.difference_interval([[3.0, 4.0], [1.0]])[1] is None
  assert statistics.iqm_interval([[3.0], [5.0]]) == (4.0, None)
  assert statistics.iqm_interval([[3.0, 4.0], [5.0]])[1] is None
  assert statistics.iqm_interval([[3.0, 4.0], [5.0, 5.0]])[1] is not None


def test_few_runs_have_a_probability_without_an_interval():
  # Two runs above two others would be 1.00, from 1.00 to 1.00.
  assert statistics.improvement_interval(
      [[1.0, 2.0]], [[0.0, 0.5]]) == (1.0, None)
  many = [float(x) for x in range(10)]
  assert statistics.improvement_interval([many], [many[:9]])[1] is None
  assert statistics.improvement_interval([many], [many])[1] is not None


def test_both_sides_are_drawn_independently():
  # The same runs on both sides: were they drawn together, each resample
  # would tie with itself, and the interval be a point.
  runs = [[float(x) for x in range(10)]]
  point, (low, high) = statistics.improvement_interval(runs, runs)
  assert point == 0.5 and low < 0.35 and high > 0.65


def test_few_pairs_of_one_task_have_an_interval_of_students_t():
  values = [1.0, 4.0, 2.0, 9.0, 3.0]
  point, found = statistics.difference_interval([values])
  assert point == 3.8 and statistics.interval_kind([values]) == 't'
  assert found == pytest.approx(scipy.stats.ttest_1samp(
      values, 0).confidence_interval(0.95))
  assert statistics.interval_kind([values * 2]) == 'bootstrap'
  assert statistics.interval_kind([values, values]) == 'bootstrap'


def test_without_an_effect_few_pairs_rarely_exclude_zero():
  random = np.random.RandomState(0)
  wrong = 0
  for _ in range(400):
    _, (low, high) = statistics.difference_interval([random.normal(size=5)])
    wrong += low > 0 or high < 0
  assert 0.02 <= wrong / 400 <= 0.08


def test_p_is_the_share_of_sign_flips():
  assert statistics.sign_flip_p([[3.0]]) == 1.0
  assert statistics.sign_flip_p([[1.0, 2.0, 3.0, 4.0, 0.1]]) == 2 / 2 ** 5
  assert statistics.sign_flip_p([[0.0, 0.0]]) == 1.0
  groups = [[1.0, 2.0, -0.5], [30.0, -10.0]]
  means = [
      np.mean([np.dot(x[:3], groups[0]) / 3, np.dot(x[3:], groups[1]) / 2])
      for x in itertools.product([1, -1], repeat=5)]
  assert statistics.sign_flip_p(groups) == np.mean(
      np.abs(means) >= abs(means[0]) - 1e-9)
  values = np.random.RandomState(0).normal(0.5, 1, 12)
  assert statistics.sign_flip_p([values]) == pytest.approx(
      scipy.stats.permutation_test(
          [values], np.mean, permutation_type='samples',
          n_resamples=np.inf).pvalue)


def test_p_of_many_pairs_is_of_random_flips(monkeypatch):
  values = np.random.RandomState(1).normal(0.5, 1, 15)
  exact = statistics.sign_flip_p([values])
  monkeypatch.setattr(statistics, 'EXACT_FLIPS', 1)
  drawn = statistics.sign_flip_p([values])
  assert drawn == statistics.sign_flip_p([values]) != exact
  assert drawn == pytest.approx(exact, abs=0.01)
  assert statistics.sign_flip_p([[1.0] * 40]) == 1 / 20_001


def test_the_smallest_p_of_few_pairs():
  assert [statistics.smallest_p(n) for n in (1, 2, 5)] == [1.0, 0.5, 0.0625]
  assert statistics.smallest_p(statistics.FEW_SEEDS - 1) > 0.05
  assert statistics.smallest_p(statistics.FEW_SEEDS) < 0.05
