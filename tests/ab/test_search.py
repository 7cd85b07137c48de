"""Points that Optuna chooses, by trials that only pretend (quick_trial)."""

import json

import ab_runs
import pandas as pd
import pytest

from dreamer_idm import ab
from dreamer_idm.ab import search
from dreamer_idm.errors import UsageError

optuna = pytest.importorskip('optuna')
GRID = ['--grid', 'discount=0.1..0.99', '--jobs', '2']


def run(what, folder, count, *words, grid=GRID, **kwargs):
  args = ab_runs.arguments(
      folder, '--optuna', str(count), *grid, *words, **kwargs)
  return ab.run(args, [*ab_runs.QUICK, what])


def returns(folder):
  return {
      float(x.parent.name.rpartition('-')[2]):
      json.loads((x / 'metrics.jsonl').read_text().splitlines()[-1])[
          'eval_return'] for x in folder.glob('*/*/*') if x.is_dir()}


def test_points_are_chosen_valued_and_resumed(tmp_path, capsys):
  assert run('discount', tmp_path, 3) == 0
  table = pd.read_csv(tmp_path / search.TABLE)
  assert list(table.state) == ['COMPLETE'] * 3
  # The value of a point is what its trial returned, at the discount it had.
  assert list(table.value) == pytest.approx(
      list(table.params_discount), rel=6e-3)
  found = returns(tmp_path)
  assert sorted(found) == sorted(found.values()) and len(found) == 3
  out = capsys.readouterr().out
  assert '3 points, 0 of them done; 2 trials at a time' in out
  best = max(found)
  assert out.splitlines()[-1].endswith(
      f'Best of 3 points: --discount {best:.3g}, return {best:.1f}')
  # More points come on top of them.
  assert run('discount', tmp_path, 5) == 0
  assert '5 points, 3 of them done' in capsys.readouterr().out
  assert len(returns(tmp_path)) == 5 and set(found) < set(returns(tmp_path))


def test_what_is_below_the_median_is_ended(tmp_path, capsys):
  args = ab_runs.arguments(tmp_path, '--optuna', '7', *GRID)
  study = search.Study(args)
  for _ in range(5):
    study._study.add_trial(optuna.trial.create_trial(
        value=0.999, params={'discount': 0.9},
        distributions={'discount': study._grid['discount']},
        intermediate_values={80 * i: 0.999 for i in range(1, 21)}))
  assert run('low', tmp_path, 7) == 0
  table = pd.read_csv(tmp_path / search.TABLE)
  assert list(table.state) == ['COMPLETE'] * 5 + ['PRUNED'] * 2
  out = capsys.readouterr().out
  assert out.count('ended, below the median') == 2
  assert '2 pruned' in out
  for folder in tmp_path.glob('*/*/*'):
    if folder.is_dir():  # Asked once, and it saved.
      assert (folder / 'saved').read_text().count('\n') == 1


def test_an_interrupted_point_is_the_first_of_the_next_search(
    tmp_path, monkeypatch):
  args = ab_runs.arguments(tmp_path, '--optuna', '1', *GRID)
  study = search.Study(args)
  point = study.ask()
  point.report(0.5, 80)
  assert run('discount', tmp_path, 1) == 0
  table = pd.read_csv(tmp_path / search.TABLE)
  assert list(table.state) == ['COMPLETE']
  assert table.params_discount[0] == pytest.approx(point.params['discount'])


def test_all_tasks_and_seeds_of_a_point_count(tmp_path):
  assert run(
      'discount', tmp_path, 1, tasks=('dmc_cheetah_run', 'dmc_walker_walk'),
      seeds=(0, 1)) == 0
  assert len([x for x in tmp_path.glob('*/*/*') if x.is_dir()]) == 4
  assert len(pd.read_csv(tmp_path / search.TABLE)) == 1


def test_a_point_that_fails_ends_alone(tmp_path, capsys):
  code = run('fail,discount', tmp_path, 2, '--retries', '0', seeds=(0, 1))
  assert code == 1
  assert list(pd.read_csv(tmp_path / search.TABLE).state) == ['FAIL'] * 2
  assert 'failed' in capsys.readouterr().out


def test_integers_lists_and_values_to_choose_from(tmp_path):
  args = ab_runs.arguments(
      tmp_path, '--optuna', '1', '--grid', 'rssm.deter=32..64',
      'model_opt.lr=1e-5..1e-2:log', 'actor_grad=dynamics,reinforce',
      'encoder.mlp_layers=32 32,64')
  study = search.Study(args)
  kinds = optuna.distributions
  assert study._grid == {
      'rssm.deter': kinds.IntDistribution(32, 64),
      'model_opt.lr': kinds.FloatDistribution(1e-5, 1e-2, log=True),
      'actor_grad': kinds.CategoricalDistribution(['dynamics', 'reinforce']),
      'encoder.mlp_layers': kinds.CategoricalDistribution(['32 32', '64'])}
  trial, = study.trials({
      'rssm.deter': 48, 'model_opt.lr': 0.00123456, 'actor_grad': 'dynamics',
      'encoder.mlp_layers': '32 32'})
  words = ' '.join(trial.command)
  assert '--rssm.deter 48 --model_opt.lr 0.00123 --actor_grad dynamics' in words
  assert words.endswith('--encoder.mlp_layers 32 32')


@pytest.mark.parametrize('words, match', [
    (['--optuna', '0', *GRID], 'at least 1'),
    (['--optuna', '1'], 'needs --grid'),
    (GRID, 'a range is for --optuna N'),
    (['--optuna', '1', '--grid', 'discount=0.9..0.1'], 'a range is KEY=LOW'),
    (['--optuna', '1', '--grid', 'discount=0..1:log'], 'a range is KEY=LOW'),
    (['--optuna', '1', '--grid', 'discount=a..b'], 'a range is KEY=LOW'),
    (['--optuna', '1', '--grid', 'discount=0.5..7'], '--discount must be'),
    (['--optuna', '1', '--grid', 'discont=0.5..0.7'], 'unknown key'),
    (['--optuna', '1', '--grid', 'seed=0..7'], 'must not set seed')])
def test_what_cannot_be_searched_is_one_line(tmp_path, words, match):
  args = ab_runs.arguments(tmp_path / 'new', *words)
  with pytest.raises(UsageError, match=match):
    ab.run(args)
  assert not (tmp_path / 'new').exists()


def test_a_study_of_other_settings_is_refused(tmp_path):
  search.Study(ab_runs.arguments(tmp_path, '--optuna', '1', *GRID))
  with pytest.raises(UsageError, match='with another --seeds [(]0[)]'):
    search.Study(ab_runs.arguments(
        tmp_path, '--optuna', '1', *GRID, seeds=(0, 1)))
  with pytest.raises(UsageError, match='one method'):
    search.Study(ab_runs.arguments(
        tmp_path, '--optuna', '1', *GRID, methods=('dreamer', 'idm')))
