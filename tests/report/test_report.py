import csv
import html.parser
import json
import os
import re
import shutil

import numpy as np
import pytest
from conftest import run_script
from PIL import Image
from report_runs import RESULTS
from report_runs import run_report
from report_runs import write_run

from dreamer_idm.errors import UsageError
from dreamer_idm.report import drawing
from dreamer_idm.report import robustness
from dreamer_idm.report import runs


class Outline(html.parser.HTMLParser):
  """Collects the tags, the text, and what stays open."""

  def __init__(self, text):
    super().__init__()
    self.tags, self.open, self.sources, self.words = [], [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attributes):
    self.tags.append(tag)
    self.sources += [v for k, v in attributes if k in ('src', 'href')]
    if tag not in ('meta', 'img'):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.words.append(data)


def read(out):
  text = (out / 'index.html').read_text('utf-8')
  page = Outline(text)
  assert not page.open
  return page, ' '.join(' '.join(page.words).split())


def rows(out, name):
  with (out / name).open(newline='') as f:
    return list(csv.DictReader(f))


@pytest.fixture(scope='module')
def real(tmp_path_factory):
  folder = tmp_path_factory.mktemp('real')
  out = folder / 'below' / 'out'
  for method in ('dreamer', 'idm', 'wo_eva'):
    name = f'dmc_cheetah_run/{method}/0'
    shutil.copytree(RESULTS / name, folder / name)
  # As if it had been stopped.
  metrics = folder / 'dmc_cheetah_run' / 'wo_eva' / '0' / 'metrics.jsonl'
  lines = metrics.read_text().splitlines(keepends=True)
  metrics.write_text(''.join(
      x for x in lines if json.loads(x)['step'] <= 15_000))
  run_report(folder, '--out', str(out))
  assert not (folder / 'report').exists()
  return out


def test_real_results(real):
  page, text = read(real)
  assert 'fewer than 5 seeds (1)' in text
  assert 'wo_eva: IDM without the trajectory evaluator' in text
  assert 'dmc_cheetah_run/wo_eva/0: unfinished at 15,000 of 25,000' in text
  assert '106.2 lower on average at 25,000 steps' in text
  assert 'no difference is shown' in text
  assert ': the interval excludes 0' not in text
  assert 'weak evidence' in text and '197 ± 69' in text
  assert 'mean of 3 evaluation episodes' in text
  for name in ('learning_curves', 'ablation', 'diagnostics_dmc_cheetah_run'):
    with Image.open(real / 'figures' / f'{name}.png') as image:
      assert len(image.convert('RGB').getcolors(100_000)) > 20
    assert b'</svg>' in (real / 'figures' / f'{name}.svg').read_bytes()
  # Nothing from outside the page.
  assert all(x.startswith(('data:image/', '#')) for x in page.sources)
  assert page.tags.count('img') == 4


def test_scores_are_in_upstreams_format(real):
  entries = json.loads((real / 'scores.json').read_text())
  assert {x['task'] for x in entries} == {'dmc_cheetah_run'}
  assert [(x['method'], x['seed']) for x in entries] == [
      ('dreamer', '0'), ('idm', '0'), ('wo_eva', '0')]
  for entry in entries:
    assert set(entry) == {'task', 'method', 'seed', 'xs', 'ys'}
    count = 4 if entry['method'] == 'wo_eva' else 6
    assert len(entry['xs']) == len(entry['ys']) == count
    assert all(isinstance(x, float) for x in entry['xs'] + entry['ys'])
  assert entries[1]['xs'][-1] == 25_000
  assert entries[1]['ys'][-1] == pytest.approx(104.39, abs=0.01)
  rotated = json.loads((real / 'scores_rotated.json').read_text())
  assert rotated[1]['ys'][-1] == pytest.approx(130.13, abs=0.01)


@pytest.fixture(scope='module')
def grid(tmp_path_factory):
  folder = tmp_path_factory.mktemp('grid')
  for task, base in [('dmc_walker_walk', 100.0), ('dmc_hopper_stand', 40.0)]:
    for seed in range(5):
      write_run(folder, task, 'dreamer', seed, [base, base + seed])
      write_run(folder, task, 'idm', seed, [base, base + 30 + seed])
  half = write_run(
      folder, 'dmc_walker_walk', 'wo_dm', 0, [90.0], budget=2000)
  (half / 'evaluation').mkdir()
  conditions = [('clean', 0.0, [90.0, 70.0]), ('noise', 0.1, [50.0, 60.0])]
  conditions += [('rotation', x, [80.0 - x]) for x in (0.0, 5.0, 10.0)]
  (half / 'evaluation' / 'evaluation.json').write_text(json.dumps({
      'task': 'dmc_walker_walk', 'method': 'wo_dm', 'seed': 0,
      'checkpoint': 'latest', 'env_step': 1000, 'episodes': 2,
      'conditions': [
          {'kind': k, 'strength': s, 'per': 'frame', 'fill': 'zero',
           'returns': r} for k, s, r in conditions],
      'value': {'predicted': 4.25, 'realised': 3.5, 'error': 1.125,
                'states': 10}}))
  Image.new('RGB', (30, 20), 'red').save(
      half / 'reconstruction_openl_image.png')
  waiting = folder / 'dmc_hopper_stand' / 'wo_dm' / '0'
  waiting.mkdir(parents=True)
  (waiting / 'config.yaml').write_text(
      'task: dmc_hopper_stand\nmethod: wo_dm\nseed: 0\n')
  study = folder / 'reconstruct'
  study.mkdir()
  Image.new('RGB', (30, 20), 'blue').save(study / 'figure1.png')
  (study / 'drift.png').write_text('no picture')
  (study / 'drift.json').write_text(json.dumps({
      'sigma': [0.0, 0.5], 'runs': [
          {'label': 'idm, seed 0', 'task': 'dmc_walker_walk', 'method': 'idm',
           'kl': [0.0, 0.375], 'pixel_error': [0.0, 2.5]}]}))
  return run_report(folder, '--title', 'Grid')


def test_the_page_shows_every_part(grid):
  page, text = read(grid)
  assert 'p = 0.00794): the interval excludes 0; the comparison' in text
  assert 'σ = 0.5' in text and '0.375' in text
  assert '4.25' in text and '1.12' in text
  assert 'reconstruct/drift.png is not a PNG' in text
  assert sorted(x.stem for x in (grid / 'figures').glob('*.svg')) == [
      'ablation', 'aggregate', 'diagnostics_dmc_hopper_stand',
      'diagnostics_dmc_walker_walk', 'learning_curves', 'profiles',
      'robustness_dmc_walker_walk']
  kinds = [x.split(';')[0] for x in page.sources if x.startswith('data:')]
  assert kinds.count('data:image/svg+xml') == 7
  assert kinds.count('data:image/png') == 2
  links = [x[1:] for x in page.sources if x.startswith('#')]
  source = (grid / 'index.html').read_text('utf-8')
  assert len(links) > 8 and all(f'id="{x}"' in source for x in links)


def test_what_is_missing_or_unfinished_is_named(grid):
  _, text = read(grid)
  assert 'dmc_walker_walk/wo_dm/0: unfinished at 1,000 of 2,000' in text
  assert 'dmc_hopper_stand/wo_dm/0: no metrics' in text
  assert 'missing: dmc_hopper_stand, wo_dm, seeds 1, 2, 3, 4' in text
  assert 'fewer than 5 seeds (1): dmc_walker_walk, wo_dm (1)' in text
  assert 'compared at 1,000, as far as dmc_walker_walk/wo_dm/0 got' in text
  states = {
      (x['task'], x['method'], x['seed']): x for x in rows(grid, 'runs.csv')}
  assert len(states) == 22
  run = states['dmc_walker_walk', 'idm', '4']
  assert run['state'] == 'complete' and run['budget'] == '2000'
  assert (run['final_clean'], run['final_rotated']) == ('134.0', '67.0')
  assert states['dmc_hopper_stand', 'wo_dm', '0']['state'] == 'no metrics'


def test_the_numbers_as_csv(grid):
  curves = rows(grid, 'curves.csv')
  assert len(curves) == 2 * (2 * 20 + 1)  # Clean and rotated.
  assert {
      'task': 'dmc_hopper_stand', 'method': 'idm', 'seed': '3',
      'condition': 'rotated', 'env_step': '2000', 'return': '36.5',
      'std_over_episodes': ''} in curves
  overall = {
      (x['method'], x['condition']): x for x in rows(grid, 'comparison.csv')
      if x['task'] == 'all tasks'}
  idm = overall['idm', 'clean']
  assert float(idm['difference']) == 30 and idm['excludes_zero'] == 'True'
  assert float(idm['smallest_p']) == 2 / 252 ** 2
  assert float(idm['low']) < 30 < float(idm['high'])
  assert 0 < float(idm['smallest_shown']) < 30
  assert idm['runs'] == '5 5' and idm['env_steps'] == '2000 2000'
  assert float(idm['seed_correlation']) == pytest.approx(1)
  assert float(idm['probability_of_improvement']) == 1.0
  table = [
      x for x in rows(grid, 'tables.csv')
      if x['task'] == 'dmc_walker_walk' and x['condition'] == 'clean']
  ours, = [
      x for x in table
      if x['source'] == 'ours' and (x['method'], x['env_step']) == (
          'idm', '2000')]
  assert float(ours['mean']) == 132 and ours['seeds'] == '5'
  assert float(ours['std']) == pytest.approx(np.std(range(5), ddof=1))
  assert any(
      x['source'] == 'published: IDM NeurIPS 2021' and float(x['mean']) == 630
      for x in table)
  means = [
      x for x in rows(grid, 'aggregate.csv') if x['statistic'] == 'mean']
  assert any(
      (x['task'], x['method'], x['condition'], x['env_step'], x['runs'],
       x['value']) == ('dmc_walker_walk', 'idm', 'clean', '2000', '5', '132.0')
      for x in means)
  noise, = [
      x for x in rows(grid, 'robustness.csv') if x['kind'] == 'noise']
  assert float(noise['return']) == 55 and noise['episodes'] == '2'


def test_diagnostics_are_averaged_over_the_last_steps_of_each_run(real):
  found = {
      (x['method'], x['metric']): x for x in rows(real, 'diagnostics.csv')}
  # wo_eva was cut at 15,000.
  for method, key, begin, end in [
      ('idm', 'idm_weight_ess', 15_000, 25_000),
      ('wo_eva', 'idm_kl', 9_000, 15_000),
      ('dreamer', 'eval_value_error', 15_000, 25_000)]:
    path = RESULTS / f'dmc_cheetah_run/{method}/0/metrics.jsonl'
    logged = [json.loads(x) for x in path.read_text().splitlines()]
    late = {
        x['step']: x[key] for x in logged
        if key in x and begin < x['step'] <= end}
    row = found[method, key]
    assert float(row['mean']) == pytest.approx(sum(late.values()) / len(late))
    assert int(row['values']) == len(late) > 1
    assert int(row['env_step_first']) == min(late)
    assert int(row['env_step_last']) == max(late)
  assert ('dreamer', 'idm_kl') not in found


def test_the_page_has_diagnostics_over_seeds(tmp_path):
  for seed in range(2):
    path = write_run(tmp_path, 'a', 'idm', seed, [1.0, 2.0])
    with (path / 'metrics.jsonl').open('a') as f:
      f.write(json.dumps({'step': 2000, 'idm_eva_prob_fake': seed}) + '\n')
  write_run(tmp_path, 'a', 'dreamer', 0, [1.0])
  _, text = read(run_report(tmp_path))
  assert 'evaluator probability of "real": predicted 0.5 ± 0.71 n=2 –' in text
  assert 'value-estimation error 2 ± 0 n=2 2 n=1' in text


def test_aggregate_is_the_iqm_over_runs_of_the_shared_tasks(tmp_path):
  for task, base in [('a', 0.0), ('b', 100.0)]:
    for seed in range(4):
      write_run(tmp_path, task, 'idm', seed, [base + seed])
  found = {
      x['condition']: x for x in rows(run_report(tmp_path), 'aggregate.csv')
      if x['statistic'] == 'iqm'}
  # 0 to 3 and 100 to 103: two are cut at either end.
  assert float(found['clean']['value']) == np.mean([2, 3, 100, 101])
  assert float(found['rotated']['value']) == np.mean([2, 3, 100, 101]) / 2
  assert float(found['clean']['low']) < 51.5 < float(found['clean']['high'])
  assert found['clean']['runs'] == '8'


def test_in_an_aggregate_each_task_has_the_same_weight(tmp_path):
  for method in ('dreamer', 'idm'):
    for task, value in [('a', 50.0), ('b', 900.0)]:
      for seed in range(2):
        write_run(tmp_path, task, method, seed, [value])
  # As when an A/B is stopped in the middle of a seed.
  write_run(tmp_path, 'b', 'dreamer', 2, [900.0])
  out = run_report(tmp_path)
  found = {
      x['method']: x for x in rows(out, 'aggregate.csv')
      if (x['condition'], x['statistic']) == ('clean', 'iqm')}
  assert found['dreamer']['value'] == found['idm']['value'] == '475.0'
  assert found['dreamer']['runs'] == '4'
  _, text = read(out)
  assert '(without b dreamer seed 2, which not all tasks have)' in text


EVIL = '<img src=x onerror=alert(1)>&"\''


def test_rotated_runs_are_aggregated_over_their_own_shared_tasks(tmp_path):
  for method in ('idm', 'dreamer'):
    for seed in range(2):
      for task in 'ab':
        write_run(
            tmp_path, task, method, seed, [4.0],
            rotated=task == 'a' or method == 'idm')
  out = run_report(tmp_path)
  found = {
      (x['condition'], x['method']): x for x in rows(out, 'aggregate.csv')
      if x['statistic'] == 'iqm'}
  assert found['clean', 'idm']['runs'] == '4'
  assert found['rotated', 'idm']['runs'] == '2'
  _, text = read(out)
  assert 'clean: a, b, seeds per task: idm 2, dreamer 2; rotated: a,' in text
  assert '(without b, which not all methods have)' in text
  assert 'not all tasks are of dm_control' in text


def test_a_sweep_is_shown_as_methods_of_their_own(tmp_path):
  for sigma in (0.1, 0.2):
    write_run(
        tmp_path / str(sigma), method='idm', returns=[1.0], agent='idm',
        idm={'sigma_h': sigma})
  write_run(tmp_path, method='dreamer', returns=[1.0], agent='dreamer')
  out = run_report(tmp_path)
  assert {x['method'] for x in rows(out, 'curves.csv')} == {
      'idm [sigma_h 0.1]', 'idm [sigma_h 0.2]', 'dreamer'}
  assert {(x['method'], x['baseline']) for x in rows(out, 'comparison.csv')
          } == {(f'idm [sigma_h {x}]', 'dreamer') for x in (0.1, 0.2)}
  assert 'are shown as arms of their own' in read(out)[1]


def test_methods_without_a_fitting_baseline_are_named(tmp_path):
  for horizon in (5, 15):
    write_run(
        tmp_path / str(horizon), returns=[1.0], imag_horizon=horizon)
  write_run(tmp_path, method='idm', returns=[1.0], imag_horizon=15)
  write_run(tmp_path, method='wo_dm', returns=[1.0], imag_horizon=10)
  _, text = read(run_report(tmp_path))
  assert 'idm against dreamer [imag_horizon 15]' in text
  assert 'has their tasks and settings: wo_dm.' in text


def test_bars_of_negative_returns_are_seen():
  figure, (axes,) = drawing.grid(1, 2)
  drawing.bar(axes[0], 0, 0.8, [-1000.0], 'red')
  drawing.bar(axes[1], 0, 0.8, [-1200.0], 'red')
  drawing.same_scale(axes)
  assert axes[0].get_ylim() == axes[1].get_ylim() == (
      pytest.approx(-1260), 0)
  figure, (axes,) = drawing.grid(1, 2)
  drawing.bar(axes[0], 0, 0.8, [1000.0], 'red')
  drawing.same_scale(axes)  # One is empty.
  assert axes[1].get_ylim() == (0, pytest.approx(1050))


def test_evaluated_checkpoints_are_named(tmp_path):
  for method, step in [('dreamer', 1000), ('idm', 2000)]:
    path = write_run(tmp_path, method=method, returns=[1.0, 2.0])
    (path / 'evaluation').mkdir()
    (path / 'evaluation' / 'evaluation.json').write_text(json.dumps({
        'checkpoint': 'best', 'env_step': step, 'conditions': [
            {'kind': kind, 'strength': 0.1, 'per': per, 'fill': fill,
             'returns': [1.0]} for kind, per, fill in (
                 ('noise', 'frame', 'zero'), ('shift', 'frame', 'zero'),
                 ('light', 'walk', 'zero'),
                 ('background', 'episode', '/home/me/photos'))]}))
  _, text = read(run_report(tmp_path))
  arms = [
      'idm best at 2,000 environment steps',
      'dreamer best at 1,000 environment steps']
  assert f'checkpoints: {", ".join(arms)}; mean' in text
  assert f'different checkpoints: {"; ".join(arms)}' in text
  figure = robustness.figure(
      runs.find(tmp_path), {'idm': 'red', 'dreamer': 'blue'})
  assert [x.get_text() for x in figure.axes[0].get_xticklabels()] == [
      'background\n0.1\nper episode\nfill photos', 'light\n0.1\nper walk',
      'noise\n0.1\nper frame', 'shift\n0.1\nper frame\nfill zero']


def test_published_numbers_are_set_beside_what_the_runs_really_are(tmp_path):
  usual = {'eval_eps': 10, 'render_size': [64, 64],
           'encoder': {'cnn_keys': 'image'}}
  write_run(tmp_path, returns=[1.0], **usual)
  _, text = read(run_report(tmp_path))
  assert "usual ones" not in text and 'sees' not in text
  write_run(tmp_path, method='idm', returns=[1.0], **{
      **usual, 'eval_eps': 3, 'render_size': [32, 32],
      'encoder': {'cnn_keys': '$^'}})
  _, text = read(run_report(tmp_path))
  assert 'usual ones: eval_eps 3 instead of 10.' in text
  assert 'these runs see no images: dmc_walker_walk, idm.' in text
  assert 'clean images' not in text and 'on clean observations' not in text
  shutil.rmtree(tmp_path / 'dmc_walker_walk' / 'dreamer')
  _, text = read(run_report(tmp_path))
  assert 'No run here sees images' in text


def test_the_page_calls_the_folder_what_the_user_calls_it(
    tmp_path, monkeypatch):
  write_run(tmp_path / 'here', returns=[1.0])
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  for name in ('here', './here/', '~/here'):
    run_report(name, '--out', 'out')
    source = (tmp_path / 'out' / 'index.html').read_text('utf-8')
    assert f'1 run found in {name}: ' in source
    assert str(tmp_path) not in source


def test_names_are_text_and_never_markup(tmp_path):
  for method in ('dreamer', EVIL.replace('/', ''), '$\\frac{', '_x'):
    path = write_run(tmp_path, 'dmc_walker_walk', 'm', 0, [1.0, 2.0])
    path = path.rename(tmp_path / str(len(os.listdir(tmp_path))))
    config = json.loads((path / 'config.yaml').read_text())
    config |= {'method': method, 'task': f'<script>{EVIL}\x07'}
    (path / 'config.yaml').write_text(json.dumps(config))
    (path / 'evaluation').mkdir()
    (path / 'evaluation' / 'evaluation.json').write_text(json.dumps(
        {'conditions': [{'kind': f'</svg>{EVIL}', 'strength': 1.0,
                         'returns': [1.0]}]}))
  out = run_report(tmp_path, '--title', f'</title><script>{EVIL}')
  page, text = read(out)
  assert 'script' not in page.tags
  assert page.tags.count('img') == len(
      [x for x in page.sources if x.startswith('data:')])
  assert '<script><img src=x onerror=alert(1)>' in text
  for path in (out / 'figures').glob('*.svg'):
    assert not re.search(rb'<(script|img)\b', path.read_bytes())


def test_one_method_one_seed_no_rotation(tmp_path):
  path = write_run(tmp_path, method='idm', returns=[1.0, 2.0], rotated=False)
  with (path / 'metrics.jsonl').open('a') as f:
    f.write('{"step": 2000, "eval_return": NaN}\n{"step"\n')
  _, text = read(run_report(tmp_path))
  assert 'there are no evaluated runs of the baseline, dreamer' in text
  assert 'No run has an evaluation on rotated images' in text
  assert '1 of 6 lines of metrics.jsonl are damaged' in text
  assert 'eval_return is not a finite number at env step 2,000' in text


def test_runs_that_have_not_begun(tmp_path):
  path = write_run(tmp_path, method='dreamer', returns=[], budget=1000)
  write_run(tmp_path, method='idm', returns=[], budget=1000)
  (path / 'metrics.jsonl').write_text('{"step": 10, "train_return": 3}\n')
  out = run_report(tmp_path)
  _, text = read(out)
  assert 'No run has been evaluated yet' in text
  assert 'dreamer/0: unfinished at 10 of 1,000' in text
  assert 'idm/0: no metrics' in text
  assert json.loads((out / 'scores.json').read_text()) == []


def test_mistakes_say_what_to_do(tmp_path):
  with pytest.raises(UsageError, match='does not exist'):
    run_report(tmp_path / 'nowhere')
  (tmp_path / 'file').write_text('')
  with pytest.raises(UsageError, match='is a file'):
    run_report(tmp_path / 'file')
  with pytest.raises(UsageError, match='no runs in .*train first'):
    run_report(tmp_path)
  assert not (tmp_path / 'report').exists()
  write_run(tmp_path, returns=[1.0])
  with pytest.raises(UsageError, match='another folder with --out'):
    run_report(tmp_path, '--out', str(tmp_path / 'file'))


def test_a_report_is_written_over_and_is_no_run(tmp_path, capsys):
  write_run(tmp_path, returns=[1.0], rotated=False)
  out = run_report(tmp_path)
  first = {x.name: x.read_bytes() for x in out.rglob('*') if x.is_file()}
  run_report(tmp_path)
  printed = capsys.readouterr().out.splitlines()
  assert len(printed) == 2 and printed[0] == printed[1]
  assert printed[0].endswith(str(out / 'index.html'))
  assert first == {
      x.name: x.read_bytes() for x in out.rglob('*') if x.is_file()}


def test_tensorflow_is_not_needed(tmp_path):
  result = run_script(
      tmp_path, 'import sys\nfrom dreamer_idm import report\n'
      'assert "tensorflow" not in sys.modules\nprint("fine")')
  assert result.stdout.strip() == 'fine', result.stderr


def test_a_method_that_trains_on_perturbed_images_is_never_called_clean(
    tmp_path):
  evaluation = {
      'env_step': 2000, 'checkpoint': 'latest', 'conditions': [
          {'kind': 'clean', 'strength': 0.0, 'per': '', 'fill': '',
           'returns': [1.0]},
          {'kind': 'rotation', 'strength': 5.0, 'per': 'frame', 'fill': 'zero',
           'returns': [1.0]}]}
  for method, agent in (
      ('dreamer', 'dreamer'), ('idm', 'idm'), ('idm+rad', 'idm+rad')):
    for seed in (0, 1):
      path = write_run(
          tmp_path, method=method, seed=seed, returns=[1.0, 2.0 + seed],
          agent=agent, rad={'shift': 2, 'rotation': 5.0})
      if method != 'dreamer':
        (path / 'evaluation').mkdir()
        (path / 'evaluation' / 'evaluation.json').write_text(
            json.dumps(evaluation))
  out = run_report(tmp_path)
  _, text = read(out)
  said = 'idm+rad was trained on perturbed images: shifts up to 2 pixels, '
  # Warnings, curves, aggregate, profiles, tables, comparison, ablation,
  # robustness.
  assert text.count(said + 'rotations up to 5°') == 8
  assert 'idm was trained' not in text.replace(said, '')
  assert 'that training never saw' not in text
  for name in ('runs.csv', 'robustness.csv'):
    for row in rows(out, name):
      assert bool(row['seen_in_training']) == (row['method'] == 'idm+rad')
  shutil.rmtree(tmp_path / 'dmc_walker_walk' / 'idm+rad')
  _, text = read(run_report(tmp_path))
  assert 'perturbed images' not in text and 'that training never saw' in text
