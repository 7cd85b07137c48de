import contextlib

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_equals_upstream
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from conftest import trained

from dreamer_idm import upstream
from dreamer_idm.agent import extended_agent

OFF = [
    '--idm.copies', 0, '--idm.cst_scale', 0, '--idm.evaluator', 'False']


@pytest.mark.parametrize('published', [False, True])
def test_every_switch_off_equals_upstream_bit_for_bit(published):
  context = upstream.as_published if published else contextlib.nullcontext
  with context():
    assert_equals_upstream(small_config(*OFF))


def test_idm_in_a_graph_is_finite_and_complete():
  agent, history = trained(small_config(), steps=3)
  names = {
      'idm_kl', 'idm_kl_active', 'idm_cst_loss', 'idm_eva_prob_real',
      'idm_eva_prob_fake', 'idm_eva_accuracy', 'idm_weight_mean',
      'idm_weight_std', 'idm_weight_max', 'idm_weight_ess',
      'idm_weight_original', 'idm_weight_derived', 'evaluator_loss'}
  assert names <= set(history[-1])
  for key, value in history[-1].items():
    assert np.isfinite(value), key
  np.testing.assert_allclose(history[-1]['idm_weight_mean'], 1, rtol=1e-5)


def test_vanilla_preset_builds_upstream_s_classes():
  config = small_config(presets=('dmc',))
  assert config.agent == 'dreamer'
  agent = make_agent(config, upstreams=True)
  assert type(agent.wm) is upstream.agent.WorldModel
  assert type(agent._task_behavior) is upstream.agent.ActorCritic
  # Building ours has left nothing behind in upstream's modules.
  make_agent(small_config())
  assert upstream.agent.WorldModel is (
      extended_agent.ExtendedWorldModel.__base__)
  assert upstream.agent.ActorCritic is (
      extended_agent.ExtendedActorCritic.__base__)


@pytest.mark.parametrize('preset, constraint, derived, evaluator', [
    ('idm', True, True, True), ('wo_eva', True, True, False),
    ('wo_dm', True, False, True), ('wo_cst_dm', False, False, True)])
def test_ablations_have_the_parts_they_name(
    eager, preset, constraint, derived, evaluator):
  _, history = trained(small_config(presets=('dmc', preset)), steps=1)
  assert ('idm_kl' in history[0]) == constraint
  assert ('idm_weight_derived' in history[0]) == (derived and evaluator)
  assert ('evaluator_loss' in history[0]) == evaluator


@pytest.mark.parametrize('copies', [0, 1, 3])
def test_one_rollout_for_originals_and_copies(eager, monkeypatch, copies):
  rows = []
  original = upstream.agent.WorldModel.imagine

  def imagine(self, *args):
    seq = original(self, *args)
    rows.append(tuple(seq['feat'].shape))
    return seq

  monkeypatch.setattr(upstream.agent.WorldModel, 'imagine', imagine)
  trained(small_config('--idm.copies', copies), steps=1)
  # The first is of two states, for creating the variables.
  assert rows == [
      (3, (1 + copies) * 2, 17), (6, (1 + copies) * 3 * 9, 17)]


def test_evaluator_sees_the_world_model_before_its_step(eager):
  agent = make_agent(small_config('--model_opt.lr', 0.1))
  data = {k: tf.constant(v) for k, v in chunk().items()}
  agent.wm.train(data)
  tf.random.set_seed(7)
  outs = agent.wm.loss(data)[2]
  tf.random.set_seed(7)
  trained_on = agent.wm.train(data)[1]
  for key in ('real', 'fake'):
    np.testing.assert_array_equal(
        outs['overshoot'][key], trained_on['overshoot'][key])


@pytest.mark.parametrize('name, dtype, rounding', [
    ('mixed_float16', tf.float16, 2 ** -9),
    ('mixed_bfloat16', tf.bfloat16, 2 ** -7)])
def test_half_precision_trains_and_acts(eager, name, dtype, rounding):
  # The world model stands still: float16 skips its first, overflowing steps.
  config = small_config('--actor_ent', '0.01', '--model_opt.lr', '0')
  _, expected = trained(config, steps=1)
  tf.keras.mixed_precision.set_global_policy(name)
  try:
    agent, found = trained(config, steps=1)
    latent = agent.wm.rssm.initial(1)
    assert latent['deter'].dtype == dtype
    obs = {k: v[0, :1] for k, v in chunk().items() if k != 'action'}
    for mode in ('explore', 'eval'):
      outputs, _ = agent.policy(obs, (latent, np.zeros((1, 2), 'f')), mode)
      assert np.isfinite(outputs['action']).all()
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  # The same noise, so that the losses differ by rounding alone.
  for key in expected[0]:
    if key.endswith('_loss'):
      np.testing.assert_allclose(
          float(found[0][key]), float(expected[0][key]), rtol=rounding,
          atol=rounding, err_msg=key)


def test_the_step_reaches_the_policy_as_a_number_that_is_not_cached(
    eager, monkeypatch):
  agent = make_agent(small_config())
  agent.step.increment(41)
  given = []
  monkeypatch.setattr(
      agent.tfstep, 'assign', lambda value, **kwargs: given.append(value))
  obs = {k: v[0, :1] for k, v in chunk().items() if k != 'action'}
  state = agent.wm.rssm.initial(1), np.zeros((1, 2), np.float32)
  agent.policy(obs, state, 'eval')
  assert given == [41]
  assert isinstance(given[0], np.int64)  # A Python int is kept for good.
