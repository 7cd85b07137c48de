import numpy as np
import pytest
import scipy.stats
from report_runs import write_run

from dreamer_idm.report import comparison
from dreamer_idm.report import runs
from dreamer_idm.report import statistics


def compare(folder, condition='clean'):
  return comparison.compare(runs.find(folder), 'idm', condition)


def write_arms(folder, task, ours, theirs, **config):
  """Writes one run for each final return."""
  for method, finals in (('idm', ours), ('dreamer', theirs)):
    for seed, value in enumerate(finals):
      write_run(folder, task, method, seed, [0.0, float(value)], **config)


def test_one_task_is_welchs_interval_and_a_permutation_test(tmp_path):
  ours, theirs = [20, 22, 27, 30, 31], [10, 18, 11, 13, 12]
  write_arms(tmp_path, 't', ours, theirs)
  found, = compare(tmp_path)
  expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False)
  assert found.interval == pytest.approx(
      tuple(expected.confidence_interval(0.95)))
  assert (found.mean, found.baseline_mean) == (26.0, 12.8)
  assert found.difference == pytest.approx(13.2)
  assert found.p_value == pytest.approx(scipy.stats.permutation_test(
      (ours, theirs), lambda x, y: np.mean(x) - np.mean(y)).pvalue)
  assert found.smallest_p == 2 / 252
  assert found.correlation == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
  assert found.excludes_zero
  assert compare(tmp_path, 'rotated')[0].difference == pytest.approx(6.6)


def test_over_tasks_each_task_counts_alike(tmp_path):
  write_arms(tmp_path, 'a', [10, 12, 14], [0, 2, 1])
  write_arms(tmp_path, 'b', [-20, -22], [0, 1])
  *_, overall = compare(tmp_path)
  assert overall.task == 'all tasks' and overall.counts == (
      '2 to 3', '2 to 3')
  assert overall.difference == pytest.approx((11 - 21.5) / 2)
  assert overall.interval == pytest.approx(statistics.interval(
      [np.array([10.0, 12, 14]), np.array([-20.0, -22])],
      [np.array([0.0, 2, 1]), np.array([0.0, 1])]))
  assert overall.smallest_p == 2 / (20 * 6)
  # Of deviations from the tasks' means: tasks differ by more than seeds.
  pairs = [[-2, 0, 2, 1, -1], [-1, 1, 0, -.5, .5]]
  assert overall.correlation == pytest.approx(np.corrcoef(pairs)[0, 1])


def test_only_an_interval_without_zero_shows_a_difference(tmp_path):
  write_arms(tmp_path / 'better', 't', [20, 21, 22, 23, 24], range(5))
  write_arms(tmp_path / 'worse', 't', range(5), [20, 21, 22, 23, 24])
  write_arms(tmp_path / 'same', 't', [3, 9, 1, 5, 4], [2, 8, 3, 6, 1])
  write_arms(tmp_path / 'three', 't', [20, 21, 22], [1, 2, 3])
  better, worse, same, three = (
      compare(tmp_path / x)[0] for x in ('better', 'worse', 'same', 'three'))
  for found, side in (better, 'higher'), (worse, 'lower'):
    assert f'20.0 {side}' in found.sentence()
    assert found.excludes_zero and 'excludes 0;' in found.sentence()
    assert found.p_value == pytest.approx(2 / 252)
  assert not same.excludes_zero
  assert same.sentence().endswith(
      'no difference is shown; the comparison could not have shown less than '
      f'{same.smallest:.0f}.')
  # Three runs of each arm cannot give p < 0.05, and it is said.
  assert three.excludes_zero and 'p cannot be below 0.1)' in three.sentence()


def test_a_single_run_and_runs_all_alike_show_no_difference(tmp_path):
  write_arms(tmp_path / 'one', 'a', [500], [1])
  write_arms(tmp_path / 'alike', 'a', [5, 5, 5], [1, 1, 1])
  for name in ('one', 'alike'):
    found, = compare(tmp_path / name)
    assert found.interval is None and found.smallest is None
    assert not found.excludes_zero
    assert 'no difference is shown' in found.sentence()


def test_tasks_with_a_single_run_are_left_out_of_the_mean_over_tasks(tmp_path):
  write_arms(tmp_path, 'a', [10, 12], [0, 2])
  write_arms(tmp_path, 'b', [10, 12], [0, 4])
  write_arms(tmp_path, 'c', [1000], [0, 2])
  *_, overall = compare(tmp_path)
  assert len(overall.steps) == 2 and overall.difference == 9.5
  assert overall.notes == ['1 task with a single run of an arm left out']


def test_scores_are_those_at_the_budget(tmp_path):
  for seed in range(2):
    write_run(tmp_path, method='dreamer', seed=seed, returns=[1.0, 2.0, 3.0])
    write_run(tmp_path, method='idm', seed=seed, returns=[9.0, 9.0, 1.0])
  # Still at work: it takes no part, and decides no step.
  write_run(tmp_path, method='dreamer', seed=2, returns=[1.0], budget=3000)
  found, = compare(tmp_path)
  assert found.steps == [3000] and found.difference == -2.0
  assert found.counts == ('2', '2')
  assert found.notes == ['1 run without a score at 3,000']


def test_unfinished_runs_are_compared_where_all_are(tmp_path):
  write_run(tmp_path, method='dreamer', seed=0, returns=[1.0, 2.0, 90.0])
  write_run(tmp_path, method='dreamer', seed=1, returns=[3.0, 4.0, 90.0])
  write_run(tmp_path, method='idm', seed=1, returns=[9.0, 9.0], budget=3000)
  write_run(tmp_path, method='idm', seed=0, returns=[9.0, 5.0, 0.0])
  found, = compare(tmp_path)
  assert found.steps == [2000] and found.difference == 4.0
  assert 'compared at 2,000, as far as dmc_walker_walk/idm/1 got' in (
      found.notes[0])


def test_of_budgets_that_differ_the_smallest_counts(tmp_path):
  for seed in range(2):
    write_run(tmp_path, method='dreamer', seed=seed, returns=[1.0, 2.0, 3.0])
    write_run(tmp_path, method='idm', seed=seed, returns=[5.0, 7.0])
  found, = compare(tmp_path)
  assert found.steps == [2000] and found.difference == 5.0
  assert '2,000' in found.notes[0] and '3,000' in found.notes[0]


def test_scores_of_another_step_are_named(tmp_path):
  for seed in range(2):
    path = write_run(
        tmp_path, method='dreamer', seed=seed, returns=[1.0, 2.0, 3.0, 4.0])
    metrics = path / 'metrics.jsonl'
    rows = metrics.read_text().splitlines(keepends=True)
    metrics.write_text(''.join(
        x.replace('4000', '4500') if 'eval' in x else x for x in rows))
    write_run(
        tmp_path, method='idm', seed=seed, returns=[1.0, 2.0, 3.0, 9.0])
  found, = compare(tmp_path)
  assert found.steps == [4000] and found.difference == 6.0
  assert found.notes == ['evaluated at 3,000 to 4,000, not at 4,000']


def test_of_many_runs_that_are_behind_three_are_named(tmp_path):
  for seed in range(5):
    for method in ('dreamer', 'idm'):
      write_run(
          tmp_path, method=method, seed=seed, returns=[1.0, 2.0], budget=3000)
  found, = compare(tmp_path)
  note, = [x for x in found.notes if x.startswith('compared at 2,000')]
  assert note.count('dmc_walker_walk/') == 3 and ', 7 more got,' in note
