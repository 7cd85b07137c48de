"""No key of dreamerv2's is accepted and has no effect."""

import inspect
import pathlib
import re

import pytest
from conftest import ROOT

from dreamer_idm import upstream
from dreamer_idm.config import load as config_lib
from dreamer_idm.config import sources
from dreamer_idm.errors import UsageError
from dreamer_idm.training import replay
from dreamer_idm.upstream import path as upstream_path

AGENT, EXPLORATION = 'dreamerv2/agent.py', 'dreamerv2/expl.py'
LOOP, LEARNER = 'training/loop.py', 'training/learner.py'
ENVS, LOG = 'envs/environments.py', 'training/metrics_log.py'
# Key of upstream's defaults -> the module that reads it; '': it is refused.
USED_BY = {
    **dict.fromkeys((
        'seed', 'steps', 'action_repeat', 'log_every', 'prefill', 'train_every',
        'train_steps'), LOOP),
    **dict.fromkeys(('precision', 'jit'), 'training/start.py'),
    **dict.fromkeys(('pretrain', 'expl_until', 'dataset'), LEARNER),
    **dict.fromkeys(('eval_every', 'eval_eps'), 'training/evaluator.py'),
    **dict.fromkeys(('envs', 'replay'), 'training/collector.py'),
    **dict.fromkeys(('task', 'envs_parallel', 'time_limit'), ENVS),
    **dict.fromkeys(('render_size', 'dmc_camera'), 'envs/dm_control.py'),
    **dict.fromkeys((
        'log_keys_video', 'log_keys_sum', 'log_keys_mean', 'log_keys_max'),
        LOG),
    **dict.fromkeys((
        'clip_rewards', 'expl_behavior', 'expl_noise', 'eval_noise',
        'eval_state_mean', 'grad_heads', 'pred_discount', 'rssm', 'encoder',
        'decoder', 'reward_head', 'discount_head', 'loss_scales', 'kl',
        'model_opt', 'actor', 'critic', 'actor_opt', 'critic_opt', 'discount',
        'discount_lambda', 'imag_horizon', 'actor_grad', 'actor_grad_mix',
        'actor_ent', 'slow_target', 'slow_target_update',
        'slow_target_fraction', 'reward_norm'), AGENT),
    **dict.fromkeys((
        'expl_intr_scale', 'expl_extr_scale', 'expl_opt', 'expl_head',
        'expl_reward_norm', 'disag_target', 'disag_log', 'disag_models',
        'disag_offset', 'disag_action_cond', 'expl_model_loss'), EXPLORATION),
    'logdir': 'config/load.py',
    'atari_grayscale': 'envs/games.py', 'slow_baseline': '',
}


DEFAULTS = sources.flatten(
    sources.read(sources.UPSTREAM)['defaults'], '')


def test_every_key_has_a_use():
  assert {x.partition('.')[0] for x in DEFAULTS} == set(USED_BY)


@pytest.mark.parametrize('key', sorted(x for x in DEFAULTS if '.' in x))
def test_every_key_of_a_section_is_an_argument_of_what_takes_it(key):
  section, _, name = key.partition('.')
  if section == 'loss_scales':  # By the names of losses.
    assert name in ('kl', 'reward', 'discount', 'proprio')
    return
  common = upstream.common
  of_section = {
      'rssm': common.EnsembleRSSM, 'kl': common.EnsembleRSSM.kl_loss,
      'replay': common.Replay, 'dataset': replay.SeededReplay.batches,
      'encoder': common.Encoder, 'decoder': common.Decoder}
  of_kind = {
      'opt': common.Optimizer, 'norm': common.StreamNorm, 'head': common.MLP}
  takes = [of_section.get(section) or of_kind.get(
      section.rpartition('_')[2], common.MLP)]
  if takes == [common.MLP]:  # Which hands the rest to its last layer.
    takes.append(common.DistLayer)
  assert any(name in inspect.signature(x).parameters for x in takes)


def test_the_weight_of_a_loss_that_there_is_not_is_refused():
  with pytest.raises(UsageError, match='has no effect: dmc_walker_walk has no'):
    config_lib.load(['--loss_scales.proprio', '2'])
  config_lib.load(['--loss_scales.proprio', '2', '--task', 'gym_Pendulum-v1'])


@pytest.mark.parametrize('key', sorted(x for x in USED_BY if USED_BY[x]))
def test_its_user_reads_it(key):
  name = USED_BY[key]
  home = (
      upstream_path.directory().parent if name.startswith('dreamerv2/')
      else ROOT / 'dreamer_idm')
  source = pathlib.Path(home, name).read_text()
  patterns = [rf'config\.{key}\b']
  if key.startswith('log_keys_'):
    patterns.append(r"config\[f'log_keys_")  # Of a reduction by its name.
  assert any(re.search(x, source) for x in patterns)


@pytest.mark.parametrize('key', sorted(x for x in USED_BY if not USED_BY[x]))
def test_what_would_have_no_effect_is_refused(key):
  with pytest.raises(UsageError, match=f'--{key} must be True: .* is False'):
    config_lib.load([f'--{key}', 'False'])
