"""What the methods declare, and what becomes of it."""

import re
import sys

import pytest
from conftest import run_script

from dreamer_idm.agent import registry
from dreamer_idm.agent.declaration import at_least
from dreamer_idm.agent.declaration import Key
from dreamer_idm.agent.declaration import Method
from dreamer_idm.agent.declaration import Preset
from dreamer_idm.config import help as help_lib
from dreamer_idm.config import load as config_lib
from dreamer_idm.config import methods
from dreamer_idm.config import rules
from dreamer_idm.config import same_run
from dreamer_idm.config import sources
from dreamer_idm.errors import UsageError


def test_declarations_are_read_without_tensorflow(tmp_path):
  done = run_script(tmp_path, (
      'import sys\n'
      'from dreamer_idm.config import load, methods\n'
      'load.load(["--configs", "dmc", "soft_bird"])\n'
      'assert len(methods.declared()) > 6\n'
      'assert not {"tensorflow", "numpy"} & set(sys.modules)\n'))
  assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', registry.METHODS)
def test_a_declaration_is_complete(name):
  method = registry.declaration(name)
  assert method.name == name and method.presets
  for key, value in method.keys.items():
    assert value.text and value.rule is None or value.rule.text, key
  for preset, value in method.presets.items():
    config = config_lib.load(['--configs', 'dmc', preset])
    assert (config.agent, config.method) == (name, preset)
    assert value.text.endswith('.'), preset
  orders = [x.order for x in methods.presets().values()]
  assert len(orders) == len(set(orders))
  # A size is of a preset that there is, and of the method's own keys.
  assert set(method.sizes) <= set(sources.read(sources.OURS)) - {'defaults'}
  for size in method.sizes.values():
    assert {x.split('.')[0] for x in size} <= set(method.keys)
  # The default of a key passes its own rule.
  flat = config_lib.defaults().flat
  for key, value in method.keys.items():
    if value.rule:
      assert value.rule.test(flat[f'{name}.{key}']), key


@pytest.mark.parametrize('presets, agent, method', [
    ('rad', 'rad', 'rad'), ('dreamer rad', 'rad', 'rad'),
    ('idm rad', 'idm+rad', 'idm+rad'), ('rad idm', 'idm+rad', 'idm+rad'),
    ('wo_eva rad_shift', 'idm+rad', 'wo_eva+rad_shift'),
    ('rad doubled', 'rad', 'doubled+rad'), ('bird idm', 'idm', 'idm'),
    ('rad rad_shift', 'rad', 'rad_shift'), ('mine rad', 'mine+rad', None),
    ('clion rad idm', 'idm+rad', 'idm+rad')])
def test_what_adds_stays_behind_the_method(presets, agent, method, mine):
  config = config_lib.load(['--configs', 'cpu', *presets.split()])
  assert (config.agent, config.method) == (agent, method or agent)
  assert methods.reads(agent) == (methods.sections() if 'mine' in agent else {
      y for x in agent.split('+') for y in (x, *registry.declaration(x).reads)})


@pytest.mark.parametrize('agent', [
    'idm+bird', 'rad+nix', 'rad+rad', '', 'idm+', 'dreamer+idm'])
def test_an_agent_is_one_method_and_what_adds_to_it(agent):
  with pytest.raises(UsageError, match='--agent must be'):
    config_lib.load(['--configs', 'cpu', '--agent', agent])


def test_rules_and_sections_are_those_declared():
  assert methods.key('planet.elites').rule is not None
  assert methods.key('idm.evaluator').rule is methods.key('task') is None
  assert rules.allowed('idm.stoch_mode') == 'widen | add | resample'
  assert methods.sections() >= {'idm', 'bird', 'planet'}
  assert 'dreamer' not in methods.sections()
  assert methods.reads('clion') == {'clion', 'idm'}
  assert not methods.reads('dreamer') & methods.sections()
  assert methods.reads('some.module') == methods.sections()
  assert methods.key('idm.evaluator').fixed
  assert not methods.key('idm.sigma_h').fixed


@pytest.fixture
def mine(tmp_path, monkeypatch):
  """A module of the user's own, which is a method."""
  (tmp_path / 'mine.py').write_text(
      'from dreamer_idm.agent.declaration import *\n'
      'METHOD = Method(\n'
      "    keys={'scale': Key(0.5, 'how much', at_least(0)),\n"
      "          'net': Key({'layers': 1, 'units': 8}, 'The network.')},\n"
      "    presets={'mine': Preset('Mine.', {'imag_horizon': 7}),\n"
      "             'less': Preset('Less.', {'mine.scale': 0.1})},\n"
      "    sizes={'cpu': {'net.units': 4}, 'debug': {'net.units': 2}},\n"
      "    conflicts=lambda config: ['too much'] * (config.mine.scale > 9))\n")
  monkeypatch.syspath_prepend(str(tmp_path))
  yield
  sys.modules.pop('mine', None)


def test_a_module_of_the_user_s_own_brings_keys_and_presets(mine):
  config = config_lib.load(['--configs', 'dmc', 'mine'])
  assert (config.agent, config.method, config.imag_horizon) == (
      'mine', 'mine', 7)
  assert dict(config.mine.flat) == {
      'scale': 0.5, 'net.layers': 1, 'net.units': 8}
  config = config_lib.load([
      '--configs', 'dmc', '--agent', 'mine', '--mine.scale', '2'])
  assert config.mine.scale == 2 and config.imag_horizon == 15
  assert config_lib.load([
      '--configs=cpu,mine,less']).mine.scale == 0.1
  units = [
      config_lib.load(['--configs', *x]).mine.net.units
      for x in (['dmc', 'mine'], ['cpu', 'mine'], ['cpu', 'mine', 'debug'])]
  assert units == [8, 4, 2]
  for flags, words in [
      (['--mine.scale', '-1'], '>= 0'), (['--mine.net.units', '0'], '>= 1'),
      (['--mine.scale', '10'], 'too much')]:
    with pytest.raises(UsageError, match=re.escape(words)):
      config_lib.load(['--configs', 'dmc', 'mine', *flags])
  with pytest.raises(UsageError, match='unknown'):
    config_lib.load(['--mine.scale', '1'])
  text = ' '.join(config_lib.help_text(['--agent', 'mine', '-h']).split())
  assert '--mine.scale 0.5 how much [>= 0]' in text and 'mine Mine.' in text


def test_a_run_of_the_user_s_own_method_is_read_again(mine, tmp_path):
  config = config_lib.load(['--configs', 'dmc', 'mine', '--mine.scale', '3'])
  config_lib.save(config, tmp_path / 'run/config.yaml')
  assert config_lib.saved(tmp_path / 'run').mine.scale == 3
  same_run.check(config, tmp_path / 'run/config.yaml')
  with pytest.raises(UsageError, match=r'mine\.scale 3\.0 \(now 4\.0\)'):
    same_run.check(
        config.update({'mine.scale': 4}), tmp_path / 'run/config.yaml')


def test_preset_words_import_nothing_that_is_no_method(tmp_path, monkeypatch):
  (tmp_path / 'loud.py').write_text('raise AssertionError\n')
  monkeypatch.syspath_prepend(str(tmp_path))
  for name in ('loud', 'lo ud', '', '..', 'a/b', 'x' * 5000):
    assert not registry.declares(name)
  with pytest.raises(UsageError, match="unknown preset 'loud'"):
    config_lib.load(['--configs', 'loud'])


def test_sources_are_as_configs_yaml_has_them():
  method = Method(
      keys={'a': Key(1, 'one', at_least(0))}, name='my.own',
      presets={'b': Preset('Two.', {'own.a': 2, 'agent': 'other'})})
  assert method.sources() == {
      'defaults': {'own': {'a': 1}},
      'b': {'agent': 'other', 'method': 'b', 'batch_multiplier': 1,
            'own.a': 2}}
  titles = list(help_lib.sections(
      'defaults: {}', [], config_lib.defaults()))
  assert titles[0] == 'presets' and 'keys of idm' in titles
