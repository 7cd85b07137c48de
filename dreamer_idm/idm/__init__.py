"""IDM: Imagination with Derived Memory (Mu et al., NeurIPS 2021).

  decoding_constraint   R2S2, eq. 1      in the world model's loss
  derived_memory        eq. 2            more starts of imagination
  trajectory_evaluator  eq. 3            how real a transition looks
  reliability_weights   eq. 4            in the losses of actor and critic
"""

from ..agent import registry
from ..agent.declaration import at_least
from ..agent.declaration import Key
from ..agent.declaration import Method
from ..agent.declaration import one_of
from ..agent.declaration import Panel
from ..agent.declaration import Preset
from ..agent.declaration import Rule
from ..agent.declaration import ZERO_OR_MORE_THAN_ONE
from ..upstream.config import matches_nothing


def decodes(config):
  """Whether there is a decoding for the constraint, which gets its gradient."""
  return 'decoder' in config.grad_heads and not matches_nothing(
      config, config.decoder)


def contrasts(config):
  """Whether `contrastive` brings a constraint that stands in for that one."""
  return not decodes(config) and (
      {'idm', 'contrastive'} <= {*registry.parts(config.agent)}
      and config.contrastive.scale > 0)


def conflicts(config):
  """See `Method.conflicts`."""
  if config.idm.cst_scale and not decodes(config) and not contrasts(config):
    yield (
        'the decoding constraint needs something decoded and decoder among '
        'grad_heads: use --decoder.cnn_keys image, or --configs cpu idm '
        'contrastive, or --idm.cst_scale 0')


ALL_PARTS = {'idm.copies': 1, 'idm.cst_scale': 1.0, 'idm.evaluator': True}

METHOD = Method(
    keys={
        'sigma_h': Key(
            0.1, 'sigma_h, std of the noise on the deterministic state h',
            at_least(0)),
        'sigma_s': Key(
            0.1, 'sigma_s, std of the noise on the stochastic state s',
            at_least(0)),
        'stoch_mode': Key(
            'widen',
            'derived s: widen its std (eq. 2), add noise, or resample',
            one_of('widen', 'add', 'resample')),
        'noise': Key(
            'gaussian',
            'of derived memory, with that std; interpolate mixes states',
            one_of(
                'gaussian', 'uniform', 'laplace', 'student_t', 'interpolate')),
        'copies': Key(
            1, 'derived starts per original one, 0: no derived memory',
            at_least(0)),
        'cst_scale': Key(
            1.0, 'weight of the decoding constraint (R2S2), 0: none',
            at_least(0)),
        'cst_delta': Key(
            0.0, 'delta, its margin in nats: max(0, KL - delta)', at_least(0)),
        'cst_fraction': Key(
            1.0, 'random fraction of the states that the constraint sees',
            Rule('> 0 and <= 1', lambda x: 0 < x <= 1)),
        'evaluator': Key(
            True, 'weight transitions by their reliability W (eq. 3, 4)',
            fixed=True),
        'eva_horizon': Key(
            0, 'T, steps of an overshoot, 0: imag_horizon', at_least(0)),
        'eva_loss': Key(
            'bce', 'of the evaluator: bce (eq. 3), or linear in probability',
            one_of('bce', 'linear')),
        'eva_head': Key(
            {'layers': 3, 'units': 400, 'act': 'elu', 'norm': 'none'},
            "The evaluator's network."),
        'eva_opt': Key(
            {'opt': 'adam', 'lr': 3e-4, 'eps': 1e-5, 'clip': 100.0, 'wd': 0.0},
            "The evaluator's optimizer."),
        'weight_power': Key(
            1.0, 'exponent of W, before w~ = W / mean(W) (eq. 4)',
            at_least(0)),
        'weight_clip': Key(
            0.0, 'w~ is cut here, then scaled to mean one again, 0: never',
            ZERO_OR_MORE_THAN_ONE)},
    presets={
        'idm': Preset(
            'IDM with all its parts.', ALL_PARTS, 0),
        'wo_eva': Preset(
            'IDM without the trajectory evaluator.',
            {**ALL_PARTS, 'idm.evaluator': False}, 2),
        'wo_dm': Preset(
            'IDM without derived memory.', {**ALL_PARTS, 'idm.copies': 0}, 3),
        'wo_cst_dm': Preset(
            'IDM without the decoding constraint and derived memory.',
            {**ALL_PARTS, 'idm.cst_scale': 0.0, 'idm.copies': 0}, 4),
        'doubled_starts': Preset(
            'Dreamer with every start state twice, a control: twice the '
            'imagination and nothing else.',
            {'idm.copies': 1, 'idm.sigma_h': 0.0, 'idm.sigma_s': 0.0,
             'idm.stoch_mode': 'add', 'idm.cst_scale': 0.0,
             'idm.evaluator': False}, 6)},
    sizes={
        'cpu': {'eva_head.units': 128}, 'cpu_proprio': {'eva_head.units': 64},
        'debug': {'eva_head.units': 16}},
    panels=(
        Panel(
            'decoding constraint: KL [nats]', 0, None, [('idm_kl', '', '-')]),
        Panel(
            'active hinges [fraction of states]', 0, 1.03,
            [('idm_kl_active', '', '-')]),
        Panel(
            'evaluator accuracy', 0.4, 1.0, [('idm_eva_accuracy', '', '-')]),
        Panel('evaluator probability of "real"', 0, 1, [
            ('idm_eva_prob_real', 'real', '-'),
            ('idm_eva_prob_fake', 'predicted', ':')]),
        Panel(
            'effective sample size of weights [fraction]', 0, 1.03,
            [('idm_weight_ess', '', '-')]),
        Panel('mean reliability weight of trajectories', None, None, [
            ('idm_weight_original', 'original', '-'),
            ('idm_weight_derived', 'derived', ':')])),
    conflicts=conflicts)
