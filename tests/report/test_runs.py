import json

import numpy as np
import pytest
from report_runs import RESULTS
from report_runs import run_report
from report_runs import write_run

from dreamer_idm.report import caveats
from dreamer_idm.report import comparison
from dreamer_idm.report import published
from dreamer_idm.report import run_settings
from dreamer_idm.report import runs
from dreamer_idm.report import scores


def test_real_runs_are_found_and_read():
  found = runs.find(RESULTS)
  methods = {x.method for x in found if x.task == 'dmc_cheetah_run'}
  assert methods >= {'dreamer', 'idm', 'wo_eva'}
  run, = runs.find(RESULTS / 'dmc_cheetah_run' / 'idm' / '0')
  assert (run.seed, run.budget, run.state) == (0, 25_000, 'complete')
  assert scores.score_at(run, 'clean', 25_000) == (
      pytest.approx(104.39, abs=0.01), 25_000)
  assert scores.score_at(run, 'rotated', 25_000)[0] == pytest.approx(
      130.13, abs=0.01)
  assert run.notes == [] and run.duplicate_of == ''


def test_linked_runs_are_found_once(tmp_path):
  path = write_run(tmp_path / 'far', returns=[1.0])
  (tmp_path / 'here').mkdir()
  (tmp_path / 'here' / 'a').symlink_to(tmp_path / 'far')
  (tmp_path / 'here' / 'b').symlink_to(path)
  (path / 'loop').symlink_to(tmp_path / 'here')
  run, = runs.find(tmp_path / 'here')
  assert (run.task, run.notes) == ('dmc_walker_walk', [])


def test_numbers_that_no_float_can_be_are_damage(tmp_path):
  path = write_run(tmp_path, returns=[1.0])
  with (path / 'metrics.jsonl').open('a') as f:
    f.write(f'{{"step": {"9" * 400}, "eval_return": 1.0}}\n'
            f'{{"step": 2000, "eval_return": {"9" * 400}}}\n')
  run, = runs.find(tmp_path)
  assert run.env_step == 2000 and len(run.series('eval_return')[0]) == 1
  assert len(run.notes) == 2


def test_a_setting_that_a_run_did_not_know_yet_is_its_default(tmp_path):
  for seed, known in enumerate([{}, {'cst_fraction': 1.0}, {}]):
    write_run(
        tmp_path, method='idm', seed=seed, returns=[1.0], agent='idm',
        idm={'sigma_h': 0.1, **known})
    write_run(
        tmp_path, seed=seed, returns=[1.0], agent='dreamer',
        **{'contrastive': {'head': {'units': 9}}} if known else {})
  write_run(
      tmp_path / 'more', method='idm', seed=0, returns=[1.0], agent='idm',
      idm={'sigma_h': 0.2})
  found = runs.find(tmp_path)
  assert {x.method for x in found} == {
      'dreamer', 'idm [sigma_h 0.1]', 'idm [sigma_h 0.2]'}
  assert len(run_settings.sentences(found)) == 1  # That there are two.


def test_a_run_is_found_in_its_own_folder(tmp_path):
  path = write_run(tmp_path, returns=[1.0])
  run, = runs.find(path)
  assert (run.task, run.name) == ('dmc_walker_walk', '0')


def test_without_a_config_the_folders_name_the_run(tmp_path):
  path = write_run(tmp_path, 'dmc_a_b', 'idm', 7, [1.0])
  (path / 'config.yaml').unlink()
  run, = runs.find(tmp_path)
  assert (run.task, run.method, run.seed) == ('dmc_a_b', 'idm', 7)
  assert run.budget is None and 'budget unknown' in run.state
  assert 'folder names' in run.notes[0]


@pytest.mark.parametrize('config', [b'\xff\xfe\x00', b'a: [', b'- 1', b''])
def test_a_damaged_config_is_named(tmp_path, config):
  path = write_run(tmp_path, returns=[1.0])
  (path / 'config.yaml').write_bytes(config)
  run, = runs.find(tmp_path)
  assert 'config.yaml cannot be read' in run.notes
  assert run.task == 'dmc_walker_walk'


def test_damaged_lines_and_values_are_left_out_and_named(tmp_path):
  path = write_run(tmp_path, returns=[1.0, 2.0, 3.0])
  with (path / 'metrics.jsonl').open('a') as f:
    f.write('{"step": 4000, "eval_return": NaN}\n'
            '{"step": 5000, "eval_return": "x"}\n'
            '{"step": 5500, "eval_return": Infinity}\n'
            '{"step": NaN, "eval_return": 9}\n'
            '\x00\x00\n{"step": 6000, "eval_re\n')
  run, = runs.find(tmp_path)
  steps, values = run.series('eval_return')
  np.testing.assert_array_equal(steps, [1000, 2000, 3000])
  np.testing.assert_array_equal(values, [1, 2, 3])
  assert '3 of 12 lines of metrics.jsonl are damaged' in run.notes[0]
  assert 'at env step 4,000, 5,000, 5,500' in run.notes[1]


def test_a_line_that_is_being_written_is_no_damage(tmp_path):
  path = write_run(tmp_path, returns=[1.0]) / 'metrics.jsonl'
  with path.open('a') as f:
    f.write('{"step": 2000, "eval_re')
  run, = runs.find(tmp_path)
  assert run.notes == [] and run.env_step == 1000
  path.write_text('{"step": 1000, "eval_return": 4.0}')  # Whole, but no end.
  run, = runs.find(tmp_path)
  assert run.series('eval_return')[1] == [4.0]


def test_without_its_last_evaluation_a_run_is_not_complete(tmp_path):
  path = write_run(tmp_path, returns=[1.0, 2.0], budget=3000)
  with (path / 'metrics.jsonl').open('a') as f:
    f.write('{"step": 3000, "model_loss": 1.0}\n')
  run, = runs.find(tmp_path)
  assert run.state == 'trained to 3,000, last evaluated at 2,000'
  assert caveats.collect([run], [run], [], [])[1].endswith(run.state)
  with (path / 'metrics.jsonl').open('a') as f:
    f.write('{"step": 3000, "eval_return": 3.0}\n')
  run, = runs.find(tmp_path)
  assert run.state == 'complete'
  (path / 'metrics.jsonl').write_text('{"step": 3000, "model_loss": 1.0}\n')
  run, = runs.find(tmp_path)
  assert run.state == 'trained to 3,000, never evaluated'


def test_unreadable_metrics_do_not_end_everything(tmp_path):
  path = write_run(tmp_path, returns=[1.0])
  (path / 'metrics.jsonl').write_text('[' * 100_000 + '\n')
  write_run(tmp_path, seed=1, returns=[1.0])
  bad, good = runs.find(tmp_path)
  assert 'no metrics' in bad.state and bad.notes
  assert good.state == 'complete'


def test_a_trial_that_failed_at_once_is_named(tmp_path):
  path = tmp_path / 'dmc_walker_walk' / 'idm' / '3'
  path.mkdir(parents=True)
  (path / 'ab.log').write_text('out of memory')
  (tmp_path / 'config.yaml').write_text('other: program\n')
  run, = runs.find(tmp_path)
  assert (run.method, run.seed, run.state) == ('idm', 3, 'no metrics')
  assert 'see its ab.log' in run.notes[0]


def test_a_twin_takes_no_part(tmp_path):
  write_run(tmp_path / 'a', returns=[1.0])
  write_run(tmp_path / 'b', returns=[1.0, 2.0])
  first, second = runs.find(tmp_path)
  assert first.duplicate_of == second.name and not second.duplicate_of
  assert first.state == (
      f'not used, {second.name} has the same settings and got further')
  write_run(tmp_path / 'c', returns=[3.0, 4.0], logdir='elsewhere')
  _, second, third = runs.find(tmp_path)
  assert not second.duplicate_of
  assert third.state == (
      f'not used, {second.name} has the same settings and comes first')


def test_other_settings_are_another_method(tmp_path):
  for sigma in (0.1, 0.2):
    for seed in range(2):
      write_run(
          tmp_path / str(sigma), 'a', 'idm', seed, [1.0], agent='idm',
          idm={'sigma_h': sigma})
      write_run(  # It has no use for the setting.
          tmp_path / str(sigma), 'a', 'dreamer', seed, [1.0], agent='dreamer',
          idm={'sigma_h': sigma})
  write_run(tmp_path, 'b', 'idm', 0, [1.0], agent='idm')
  found = runs.find(tmp_path)
  used = [x for x in found if not x.duplicate_of]
  assert scores.methods(found) == [
      'idm [sigma_h 0.1]', 'idm [sigma_h 0.2]', 'dreamer']
  assert len(used) == 7 and {x.base for x in used} == {'idm', 'dreamer'}
  assert len(scores.select(used, 'b', 'idm [sigma_h 0.1]')) == 1
  sentence, = run_settings.sentences(used)
  assert 'differ in idm.sigma_h' in sentence and sentence.endswith(
      'arms of their own: idm [sigma_h 0.1], idm [sigma_h 0.2]')
  for method in scores.methods(found)[:2]:
    assert comparison.baseline(used, method) == 'dreamer'
  assert comparison.baseline(used, 'dreamer') is None


def test_many_other_settings_still_give_different_names(tmp_path):
  for index, last in enumerate('xyy'):
    write_run(
        tmp_path / str(index), method='idm', returns=[1.0],
        **({'a': 0, 'b': 1, 'c': 2} if index else {'a': 5, 'b': 5, 'c': 5}),
        d=last)
  names = [x.method for x in runs.find(tmp_path)]
  assert names == [
      'idm [a 0, b 1, c 2, and 1 more]', 'idm [a 0, b 1, c 2, and 1 more]',
      'idm [a 5, b 5, c 5, and 1 more]']
  path = tmp_path / '2' / 'dmc_walker_walk' / 'idm' / '0' / 'config.yaml'
  path.write_text(path.read_text().replace('"y"', '"z"'))
  names = [x.method for x in runs.find(tmp_path)]
  assert names[:2] == [
      'idm [a 0, b 1, c 2, and 1 more]', 'idm [a 0, b 1, c 2, and 1 more] #2']
  path.unlink()
  assert 'idm [settings unknown]' in [
      x.method for x in runs.find(tmp_path)]


def test_a_baseline_of_several_settings_is_the_one_with_the_same(tmp_path):
  for horizon in (5, 15):
    for method in ('idm', 'dreamer'):
      write_run(
          tmp_path / str(horizon), 'a', method, 0, [1.0], agent=method,
          imag_horizon=horizon)
  write_run(tmp_path, 'a', 'wo_dm', 0, [1.0], agent='idm', imag_horizon=10)
  found = runs.find(tmp_path)
  assert comparison.baseline(found, 'idm [imag_horizon 5]') == (
      'dreamer [imag_horizon 5]')
  assert comparison.baseline(found, 'wo_dm') is None


def test_methods_that_differ_in_more_than_the_method_are_named(tmp_path):
  for method, size in [('dreamer', 128), ('idm', 200)]:
    write_run(
        tmp_path, 't', method, 0, [1.0], agent=method, rssm={'deter': size},
        idm={'copies': size}, batch_multiplier=size, threads=size,
        steps=size, eval_every=size)
  found = runs.find(tmp_path)
  note = 'dreamer and idm also differ in rssm.deter'
  sentence, = run_settings.sentences(found)
  assert sentence == 't: the arms also differ in rssm.deter'
  compared, = comparison.compare(found, 'idm', 'clean')
  assert note in compared.notes
  warnings = caveats.collect(found, found, [compared], [])
  assert len([x for x in warnings if 'also differ in' in x]) == 1


def test_holes_in_the_grid(tmp_path):
  for task, method, seed in [
      ('a', 'idm', 0), ('a', 'idm', 3), ('a', 'dreamer', 0), ('b', 'idm', 0)]:
    write_run(tmp_path, task, method, seed, [1.0])
  assert runs.missing(runs.find(tmp_path)) == [
      ('a', 'dreamer', [3]), ('b', 'dreamer', [0, 3]), ('b', 'idm', [3])]


def test_differing_settings_are_named(tmp_path):
  write_run(tmp_path, seed=0, returns=[1.0])
  write_run(tmp_path, seed=1, returns=[1.0], idm={'sigma_h': 0.2})
  write_run(tmp_path, 'b', seed=0, returns=[1.0])
  write_run(tmp_path, 'b', 'idm', returns=[1.0], eval_eps=10)
  write_run(tmp_path, 'c', 'idm', returns=[1.0], agent='idm')
  write_run(tmp_path, 'c', 'dreamer', returns=[1.0], agent='dreamer')
  first, second = run_settings.sentences(runs.find(tmp_path))
  assert first.startswith('b: the runs differ in eval_eps,')
  assert second.endswith('the seeds differ in idm.sigma_h')


def test_an_evaluation_keeps_what_is_whole(tmp_path):
  path = write_run(tmp_path, returns=[1.0])
  (path / 'evaluation').mkdir()
  file = path / 'evaluation' / 'evaluation.json'
  good = {'kind': 'noise', 'strength': 0.1, 'per': 'frame', 'fill': '',
          'returns': [1.0, 3.0]}
  file.write_text(json.dumps({
      'env_step': 500, 'checkpoint': 'latest', 'conditions': [
          good, {'kind': 'blur'}, {**good, 'returns': []}, 3,
          {**good, 'returns': [float('nan')]}, {**good, 'strength': 'x'}]}))
  run, = runs.find(tmp_path)
  assert run.evaluation['conditions'] == [good]
  assert '5 of 6 conditions' in run.notes[0]
  file.write_text('{"conditions": 3}')
  run, = runs.find(tmp_path)
  assert run.evaluation is None and 'cannot be read' in run.notes[0]


def test_a_score_is_the_last_evaluation_of_a_run_that_came_so_far(tmp_path):
  path = write_run(tmp_path, returns=[5.0, 6.0], budget=9000)
  with (path / 'metrics.jsonl').open('a') as f:
    f.write('{"step": 2700, "model_loss": 1}\n')
  run, = runs.find(tmp_path)
  assert scores.score_at(run, 'clean', 999) is None
  assert scores.score_at(run, 'clean', 1000) == (5.0, 1000)
  assert scores.score_at(run, 'clean', 1999) == (5.0, 1000)
  assert scores.score_at(run, 'rotated', 2700) == (3.0, 2000)
  assert scores.score_at(run, 'clean', 2701) is None


def test_curves_of_runs_of_different_length(tmp_path):
  write_run(tmp_path, seed=0, returns=[1.0, 2.0, 3.0])
  write_run(tmp_path, seed=1, returns=[5.0], budget=3000)
  found = scores.curves(runs.find(tmp_path), 'eval_return')
  np.testing.assert_array_equal(found.index, [1000, 2000, 3000])
  np.testing.assert_array_equal(found, [[1, 5], [2, np.nan], [3, np.nan]])


def test_the_table_has_the_papers_steps_and_the_runs_own(tmp_path):
  write_run(tmp_path, seed=0, returns=[10.0] * 120)
  write_run(tmp_path, seed=1, returns=[20.0] * 99 + [30.0], budget=120_000)
  write_run(tmp_path, method='idm', returns=[7.0] * 40, budget=120_000)
  rows = {x.step: x for x in scores.table(runs.find(tmp_path), 'clean')}
  assert {k: x.about for k, x in rows.items()} == {
      40_000: 'all runs have it', 100_000: "the paper's",
      120_000: "the runs' budget", 500_000: "the paper's"}
  assert rows[100_000].scores == {
      'idm': [], 'dreamer': [(10.0, 100_000), (30.0, 100_000)]}
  assert rows[120_000].scores['dreamer'] == [(10.0, 120_000)]
  entry = rows[500_000].published['IDM NeurIPS 2021', 'Dreamer']
  assert (entry['mean'], entry['std']) == (897, 49)
  assert rows[40_000].published == {}


def test_published_scores_are_complete():
  found = published.load()
  assert len(found) == 142 + 50
  assert {x['input'] for x in found} == {'pixels', 'vectors'}
  vectors = published.scores('dmc_cheetah_run', 'clean', 100_000)
  assert vectors[
      'nicklashansen/tdmpc2:results (vectors)', 'TD-MPC2']['mean'] == 519
  assert vectors[
      'nicklashansen/tdmpc2:results (pixels)', 'TD-MPC2']['mean'] == 286
  turned = published.scores('dmc_walker_walk', 'rotated', 1_000_000)
  assert sorted(x['mean'] for x in turned.values()) == [
      133, 154, 232, 278, 799, 808]
  paper = [x for x in found if x['source'] == 'IDM NeurIPS 2021']
  cells = {
      (x['table'], x['task'], x['steps'], x['method']) for x in paper}
  assert len(paper) == len(cells) == 2 * 6 * 2 * 3
  assert all((x['table'] == 1) == (x['condition'] == 'rotated') for x in paper)
  row = published.scores('dmc_cheetah_run', 'rotated', 500_000)
  assert row['IDM NeurIPS 2021', 'IDM']['mean'] == 598.2
  assert row['CLION ICLR 2021 submission', 'CLION']['steps'] == 505_000
  assert published.scores('dmc_ball_in_cup_catch', 'clean', 100_000) == {}


def test_provenance_that_differs_is_in_the_table_of_differences(tmp_path):
  same = {
      'step': 0, 'version': '0.1.0', 'commit': 'a' * 40, 'host': 'one',
      'packages': {'tensorflow': '2.21.0', 'numpy': '2.4.6'}, 'changed': {}}
  starts = {
      'dreamer': [[same]],
      'idm': [
          [{**same, 'host': 'secret'}, {
              **same, 'step': 9, 'commit': 'b' * 40, 'packages': {
                  'tensorflow': '2.21.0', 'numpy': '2.2.6'},
              'changed': {'discount': [0.99, 0.9]}}],
          [{'step': 0, 'version': '0.1.0', 'commit': 'a' * 40}]]}
  for method, of_seeds in starts.items():
    for seed, rows in enumerate(of_seeds):
      path = write_run(tmp_path, 't', method, seed, [1.0], agent=method)
      (path / 'provenance.jsonl').write_text(
          ''.join(json.dumps(x) + '\n' for x in rows))
  found = {
      x.key: x for x in run_settings.by_task(runs.find(tmp_path))['t']}
  assert {*found} == {
      'provenance.commit', 'provenance.packages.numpy', 'discount'}
  commit = found['provenance.commit']
  assert commit.within == ['idm'] and commit.between
  assert len(commit.values['idm']) == 2 and len(commit.values['dreamer']) == 1
  assert '0.99, then 0.9 from…' in found['discount'].values['idm']
  out = run_report(tmp_path)
  page = (out / 'index.html').read_text('utf-8')
  assert '>provenance.packages.numpy<' in page and 'secret' not in page


def test_runs_that_were_resumed_with_other_settings_are_arms_of_their_own(
    tmp_path):
  starts = {
      'honest': [{}], 'longer': [{}, {'steps': [5, 9], 'logdir': ['x', 'y']}],
      'other': [{'discount': [0.99, 0.5]}],
      'back': [{}, {'discount': [0.99, 0.5]}, {}]}
  for name, changes in starts.items():
    path = write_run(
        tmp_path / name, 't', 'dreamer', 0, [1.0], agent='dreamer',
        discount=0.99)
    (path / 'provenance.jsonl').write_text(''.join(
        json.dumps({'step': 9 * i, 'changed': x}) + '\n'
        for i, x in enumerate(changes)))
  found = {x.name.partition('/')[0]: x for x in runs.find(tmp_path)}
  assert {k: x.method for k, x in found.items()} == {
      'honest': 'dreamer [discount 0.99]', 'longer': 'dreamer [discount 0.99]',
      'other': 'dreamer [discount 0.5]',
      'back': 'dreamer [discount 0.99, then 0.5 from…]'}
  assert [k for k, x in found.items() if x.duplicate_of] == ['longer']
  note, = run_settings.midway(list(found.values()))
  assert note == (
      f'{found["back"].name}: settings changed while it trained, so its curve '
      'is not of one kind: discount 0.99, then 0.5 from 9, then 0.99 from 18')
  page = (run_report(tmp_path) / 'index.html').read_text('utf-8')
  assert 'discount 0.99, then 0.5 from 9, then 0.99 from 18' in page
