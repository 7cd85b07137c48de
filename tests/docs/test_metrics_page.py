"""docs/metrics.md against the names in the code and in committed runs."""

import ast
import json
import re

from conftest import ROOT

from dreamer_idm.config import load as config_lib
from dreamer_idm.upstream import path as upstream_path

PAGE = ROOT / 'docs' / 'metrics.md'
# Keys of other dicts, beside the keys of configs.
NO_METRICS = {'student_t', 'vector_normalization'}


def _documented():
  """Lists the patterns of names in the first column of the page's tables."""
  cells = re.findall(r'^\|([^|]*`[^|]*)\|', PAGE.read_text('utf-8'), re.M)
  names = [x for cell in cells for x in re.findall(r'`([^`]+)`', cell)]
  return {x: re.sub(r'<\w+>', '.+', x) for x in names}


def _pattern(node):
  """Turns a string, formatted perhaps, into a regular expression."""
  if isinstance(node, ast.Constant) and isinstance(node.value, str):
    return re.escape(node.value)
  if isinstance(node, ast.JoinedStr):
    return ''.join(
        re.escape(x.value) if isinstance(x, ast.Constant) else '.+'
        for x in node.values)
  if isinstance(node, ast.BinOp) and _pattern(node.left):
    return _pattern(node.left) + '.+'
  return None


def _in_source(path):
  """Yields patterns of the metrics that a module logs."""
  everywhere = path.parent.name != 'training'  # Whose dicts are states.
  for node in ast.walk(ast.parse(path.read_text('utf-8'))):
    if isinstance(node, ast.Dict) and everywhere:
      yield from (_pattern(x) for x in node.keys if x)
    elif isinstance(node, ast.DictComp):
      yield _pattern(node.key)
    elif isinstance(node, ast.Assign):
      for target in node.targets:
        if getattr(target, 'id', '') == 'numbers':
          yield from (
              _pattern(x) for y in ast.walk(node.value)
              if isinstance(y, ast.Dict) for x in y.keys)
        if isinstance(target, ast.Subscript) and (
            getattr(target.value, 'id', '') == 'metrics'):
          yield _pattern(target.slice)
    elif isinstance(node, ast.Call):
      name = getattr(node.func, 'attr', '')
      if name == 'scalar' and node.args:
        yield _pattern(node.args[0])
      if name == 'replace':  # x_grad_norm becomes x_skipped.
        yield from (
            f'.+{x.value}' for x in node.args[1:]
            if re.match('_[a-z]', str(getattr(x, 'value', ''))))
      if name == 'Optimizer' and node.args:
        optimizer = _pattern(node.args[0])
        if optimizer:
          yield from (f'{optimizer}_loss', f'{optimizer}_grad_norm')


def _in_code():
  """Collects the patterns of all metrics, from upstream's code and ours."""
  ours = [
      path for package in ('agent', 'idm', 'methods', 'training')
      for path in (ROOT / 'dreamer_idm' / package).rglob('*.py')
      if 'import Method' not in path.read_text('utf-8')]  # They declare keys.
  theirs = [
      upstream_path.directory() / x for x in ('agent.py', 'common/tfutils.py')]
  found = {
      x for path in (*ours, *theirs)
      for x in _in_source(path) if x and '_' in x}
  return found - NO_METRICS


def _in_results():
  """Collects the names in the metrics of committed runs."""
  names = set()
  for path in ROOT.glob('results/**/metrics.jsonl'):
    for line in path.read_text('utf-8').splitlines():
      names |= set(json.loads(line))
  return names


def _meet(one, other):
  """Whether two patterns are of one name; a gap is filled with a letter."""
  plain = [re.sub(r'\.\+', 'x', x).replace('\\', '') for x in (one, other)]
  return bool(
      re.fullmatch(one, plain[1]) or re.fullmatch(other, plain[0]))


def test_every_metric_of_the_code_is_documented():
  documented = _documented()
  exact = [v for k, v in documented.items() if '<' not in k]
  # What the code names in full, the page names in full.
  missing = {
      x for x in _in_code() - set(config_lib.defaults().flat)
      if not any(_meet(x, y) for y in (
          documented.values() if '.+' in x else exact))}
  assert not missing, missing


def test_every_metric_of_a_committed_run_is_documented():
  names = _in_results()
  assert len(names) > 40
  missing = {
      x for x in names
      if not any(re.fullmatch(y, x) for y in _documented().values())}
  assert not missing, missing


def test_every_documented_metric_is_logged():
  known = {*_in_code(), *map(re.escape, _in_results())}
  for name, pattern in _documented().items():
    assert any(_meet(pattern, x) for x in known), name


def test_every_row_says_unit_and_meaning():
  for row in re.findall(r'^\| `.*$', PAGE.read_text('utf-8'), re.M):
    cells = [x.strip() for x in row.strip('|').split('|')]
    assert len(cells) == 5, row
    assert cells[2], row
