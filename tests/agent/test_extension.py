"""The hooks: when they are asked, and under whose tape."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from reference import imagined

from dreamer_idm import upstream
from dreamer_idm.agent import build
from dreamer_idm.agent import extended_agent
from dreamer_idm.agent import extension
from dreamer_idm.agent import registry
from dreamer_idm.agent.extension import Extension
from dreamer_idm.errors import UsageError


def config(*flags):
  return small_config(*flags, presets=('dmc_proprio',))


def common(monkeypatch, kind):
  """Switches an extension on that belongs to no method."""
  monkeypatch.setitem(registry.COMMON, 'fast', 'probe')  # Any key that is on.
  monkeypatch.setitem(
      sys.modules, 'probe',
      types.SimpleNamespace(extensions=lambda config: [kind(config)]))


class Probe(Extension):
  """Multiplies what passes one hook by a variable, and counts the calls."""

  hook = ''

  def __init__(self, config):
    super().__init__(config)
    self.factor = tf.Variable(3.0)
    self.calls = []

  def batch(self, data):
    return self.changed('batch', data)

  def preprocess(self, obs):
    return self.changed('preprocess', obs)

  def actor_target(self, behavior, target):
    self.calls.append('actor_target')
    if self.hook != 'actor_target':
      return target, {}
    return self.factor * target, {'probe_target': tf.reduce_mean(target)}

  def changed(self, name, data):
    self.calls.append(name)
    if name != self.hook:
      return data
    return {**data, 'position': self.factor * data['position']}


def probed(monkeypatch, hook, *flags):
  kind = type('Probe', (Probe,), {'hook': hook})
  common(monkeypatch, kind)
  agent = make_agent(config(*flags))
  probe, = agent.wm.extensions
  probe.calls.clear()
  return agent, probe


@pytest.fixture
def gradients(monkeypatch):
  """Whether the tape of each optimizer's step reaches a probe's variable."""
  found, variables = {}, []

  def spy(self, tape, loss, modules):
    # Asked for first, since a tape answers once.
    own = [x for m in (modules if isinstance(modules, list) else [modules])
           for x in m.trainable_variables]
    found[self._name] = tape.gradient(loss, [*variables, *own])[0]
    return {}

  monkeypatch.setattr(upstream.common.Optimizer, '__call__', spy)
  return found, variables


@pytest.mark.parametrize('hook, tapes', [
    ('batch', set()), ('preprocess', {'model'}), ('actor_target', {'actor'})])
def test_tapes_are_those_that_the_hooks_say(
    eager, monkeypatch, gradients, hook, tapes):
  agent, probe = probed(monkeypatch, hook)
  found, variables = gradients
  variables.append(probe.factor)
  agent.train(chunk())
  assert found.keys() == {'model', 'actor', 'critic'}
  assert {k for k, v in found.items() if v is not None} == tapes
  assert all(np.abs(found[x]) > 0 for x in tapes)
  assert probe.calls.count('batch') == 1
  assert probe.calls.count('actor_target') == 1


def test_batch_gets_the_replay_s_data_and_reaches_the_loss(
    eager, monkeypatch):
  agent, probe = probed(monkeypatch, 'batch')
  data, given, seen = chunk(), [], []
  original = Probe.batch
  monkeypatch.setattr(
      Probe, 'batch', lambda self, x: given.append(x) or original(self, x))
  encode = upstream.common.Encoder.__call__
  monkeypatch.setattr(
      upstream.common.Encoder, '__call__',
      lambda self, x: seen.append(x) or encode(self, x))
  agent.train(data)
  assert all(isinstance(x, tf.Tensor) for x in given[0].values())
  assert given[0]['image'].dtype == tf.uint8
  np.testing.assert_array_equal(given[0]['position'], data['position'])
  np.testing.assert_allclose(
      seen[0]['position'], 3 * data['position'], rtol=1e-6)


def test_preprocess_is_asked_for_training_acting_and_reports(
    eager, monkeypatch):
  agent, probe = probed(monkeypatch, 'preprocess')
  agent.train(chunk())
  assert probe.calls.count('preprocess') == 1
  obs = {k: v[0, :1] for k, v in chunk().items() if k != 'action'}
  agent.policy(obs, None, 'eval')
  assert probe.calls.count('preprocess') == 2
  data = {k: tf.constant(v) for k, v in chunk().items()}
  agent.report(data)
  assert probe.calls.count('preprocess') == 3
  plain = upstream.agent.WorldModel.preprocess(agent.wm, data)
  mine = agent.wm.preprocess(data)
  np.testing.assert_array_equal(mine['position'], 3 * plain['position'])
  np.testing.assert_array_equal(mine['image'], plain['image'])


def test_actor_target_is_the_actor_s_alone(eager, monkeypatch):
  losses = {}
  for hook in ('', 'actor_target'):
    # No entropy, so that the loss is linear in the targets.
    agent, _ = probed(
        monkeypatch, hook, '--actor_ent', 0, '--actor_grad', 'dynamics')
    tf.random.set_seed(1)
    losses[hook] = agent.train(chunk())[1]
  plain, tripled = losses.values()
  np.testing.assert_allclose(
      tripled['actor_loss'], 3 * plain['actor_loss'], rtol=1e-4)
  assert abs(plain['actor_loss']) > 1e-4
  np.testing.assert_array_equal(tripled['critic_loss'], plain['critic_loss'])
  assert 'probe_target' in tripled and 'probe_target' not in plain


class Counts(Extension):
  """Numbers of its own: one from the start, one that appears later."""

  def __init__(self, config):
    super().__init__(config)
    self.early, self.late = tf.Variable(2.0), None

  def batch(self, data):
    if self.late is None:
      self.late = tf.Variable(5.0)
    self.early.assign_add(1.0)
    self.late.assign_add(1.0)
    return data


@pytest.mark.parametrize('method', ['dreamer', 'idm'])
def test_variables_are_as_created_until_the_first_update(
    eager, monkeypatch, method):
  common(monkeypatch, Counts)
  agent = make_agent(small_config(
      '--slow_target', 'True', '--reward_norm.momentum', 0.5,
      presets=('dmc',) if method == 'dreamer' else ('dmc', method)))
  counts = agent.wm.extensions[0]
  behavior = agent._task_behavior
  assert float(counts.early) == 2 and float(counts.late) == 5
  assert int(behavior._updates) == 0 and float(behavior.rewnorm.mag) == 1
  moments = [
      x for y in (agent.wm.model_opt, behavior.actor_opt, behavior.critic_opt)
      for x in y.variables]
  assert len(moments) > 30 and all(np.all(x.numpy() == 0) for x in moments)
  assert len(agent.variables) == len({id(x) for x in agent.variables})
  assert {id(counts.early), id(counts.late)} <= {
      id(x) for x in agent.variables}
  agent.train({k: tf.constant(v) for k, v in chunk().items()})
  assert float(counts.early) == 3 and float(counts.late) == 6
  assert int(behavior._updates) == 1 and float(behavior.rewnorm.mag) != 1


class OtherTarget(Extension):

  def target(self, behavior, seq):
    return seq['reward'][:-1], {}


class OtherActions(Extension):

  def act(self, model, behavior, feat):
    return None


class OtherEncoder(Extension):

  classes = {'Encoder': upstream.common.Encoder}


@pytest.mark.parametrize('kind, place', [
    (OtherTarget, 'target'), (OtherActions, 'act'),
    (OtherEncoder, 'Encoder')])
def test_two_extensions_for_one_place_are_refused(
    monkeypatch, kind, place):
  settings = small_config()
  other = type('Another', (kind,), {})
  extension.check_together([kind(settings), Probe(settings)])
  for first, second in ((kind, other), (other, kind), (kind, kind)):
    with pytest.raises(UsageError, match=fr'\b{place}\b') as error:
      extension.check_together([
          first(settings), Probe(settings), second(settings)])
    for x in (first, second):
      assert f'{x.__module__}.{x.__name__}' in str(error.value)


def test_a_common_extension_and_a_method_that_clash_are_refused(monkeypatch):
  common(monkeypatch, OtherTarget)
  with pytest.raises(UsageError, match='OtherTarget.*RewardSums.*target'):
    registry.extensions(small_config(presets=('dmc', 'no_value')))


class Halves(Extension):

  def weights(self, seq):
    weight = tf.fill(seq['reward'][:-1].shape, 0.5)
    return weight, weight, {}


def test_weights_multiply_over_extensions_not_over_calls(eager):
  settings = config()
  agent = make_agent(settings)
  behavior = agent._task_behavior
  behavior.extensions = [Halves(settings), Halves(settings)]
  seq = imagined(agent)
  for _ in range(2):
    behavior.target(seq)
    for key in ('actor_weight', 'critic_weight'):
      np.testing.assert_array_equal(seq[key], np.full((5, 27), 0.25))


def built(settings):
  """The agent that a run would have."""
  agent = make_agent(settings)  # For its spaces.
  return build.build_agent(
      settings, agent.obs_space, {'action': agent.act_space}, agent.step)


def test_dreamer_with_a_common_extension_is_ours(eager, monkeypatch):
  settings = config()
  assert settings.agent == 'dreamer' and registry.extensions(settings) == []
  assert type(built(settings)) is upstream.agent.Agent
  common(monkeypatch, Probe)
  agent = built(settings)
  assert type(agent) is extended_agent.ExtendedAgent
  assert [type(x) for x in agent.wm.extensions] == [Probe]
  assert agent.wm.extensions[0] is agent._task_behavior.extensions[0]


def test_common_extensions_come_before_the_method_s(monkeypatch):
  common(monkeypatch, Probe)
  found = registry.extensions(small_config())
  assert isinstance(found[0], Probe) and len(found) > 3
