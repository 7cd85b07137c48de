"""What dreamerv2's keys are for, and which values they may have."""

import re

from ..agent.declaration import above
from ..agent.declaration import at_least
from ..agent.declaration import between
from ..agent.declaration import one_of
from ..agent.declaration import Rule
from ..agent.declaration import ZERO_OR_MORE_THAN_ONE


def _compiles(pattern):
  try:
    re.compile(pattern)
  except (re.error, OverflowError, RecursionError):
    return False
  return True


PATTERN = Rule('a regular expression', _compiles)
WHOLE = Rule('a whole number >= 1', lambda x: x >= 1 and x == int(x))
ACTIVATION = one_of(
    'none', 'elu', 'relu', 'relu6', 'leaky_relu', 'selu', 'gelu', 'silu',
    'swish', 'mish', 'softplus', 'softsign', 'tanh', 'sigmoid', 'identity')

# Pattern of whole keys -> what they are for, and the Rule of each value (or
# element of a list) beside its type; the first pattern that fits holds.
KEYS = {
    # The run.
    'seed': (
        'of TensorFlow, NumPy, replay, prefill and environments',
        between(0, 2 ** 31 - 1)),
    'task': (
        'dmc_<domain>_<task>, gym_<id>, atari_<game> or crafter_reward', None),
    'envs': ('environments that collect side by side', at_least(1)),
    'envs_parallel': (
        'none: in this process; thread or process: one each',
        one_of('none', 'thread', 'process')),
    'render_size': ('height and width of images, in pixels', at_least(1)),
    'dmc_camera': (
        "dm_control's camera; -1: upstream's choice for the domain",
        at_least(-1)),
    'atari_grayscale': ('one channel instead of three, for Atari', None),
    'time_limit': (
        "agent steps of an episode at most; 0: the task's own end",
        at_least(0)),
    'action_repeat': ('environment steps for each agent step', at_least(1)),
    'steps': ('agent steps of the run', WHOLE),
    'log_every': ('agent steps between two rows of metrics', WHOLE),
    'eval_every': (
        'agent steps between two evaluations, each with a checkpoint', WHOLE),
    'prefill': (
        'agent steps with random actions before anything is learned',
        at_least(1)),  # With no episode there is nothing to sample.
    'pretrain': ('updates before the first evaluation', at_least(0)),
    'train_every': ('agent steps between two rounds of updates', at_least(1)),
    'train_steps': ('updates in a round', at_least(1)),
    r'replay\.capacity': (
        'agent steps that are kept in memory, 0: all', at_least(0)),
    r'replay\.ongoing': ('draw from unfinished episodes too', None),
    r'replay\.minlen': (
        'shortest sequence and episode that is used, in agent steps',
        at_least(1)),
    r'replay\.maxlen': (
        'longest sequence that is drawn at once, 0: no bound', at_least(0)),
    r'replay\.prioritize_ends': ('draw the ends of episodes more often', None),
    r'dataset\.batch': ('B, sequences in a batch', at_least(1)),
    r'dataset\.length': ('L, steps of each', at_least(2)),
    'log_keys_video': (
        'observations that are logged as videos',
        Rule('names of observations', bool)),
    'log_keys_(sum|mean|max)': (
        'keys of episodes whose \\1 over time is logged', PATTERN),
    'jit': (
        'trace the update into a graph; False runs it step by step, slowly',
        None),
    # The agent.
    'clip_rewards': (
        'what is done to rewards before they are learned',
        one_of('identity', 'sign', 'tanh')),
    'expl_behavior': (
        "greedy: the task's actor; others have a second one",
        one_of('greedy', 'Random', 'Plan2Explore', 'ModelLoss')),
    'expl_noise': ('std of the noise on actions in training', at_least(0)),
    'eval_noise': ('std of the noise on actions in evaluation', at_least(0)),
    'eval_state_mean': (
        'act on the mean of the latent state, not a sample', None),
    'expl_until': (
        'agent steps for which the exploring actor acts; 0: always',
        at_least(0)),
    # The world model.
    'grad_heads': (
        'heads whose gradient reaches the latent state',
        one_of('decoder', 'reward', 'discount')),
    'pred_discount': (
        "predict an episode's end, for tasks that can terminate", None),
    r'rssm\.ensemble': (
        'priors, one of which is drawn at each step', at_least(1)),
    r'rssm\.hidden': ('units of its dense layers', at_least(1)),
    r'rssm\.deter': ('D, size of the deterministic state h', at_least(1)),
    r'rssm\.stoch': ('S, size of the stochastic state s', at_least(1)),
    r'rssm\.discrete': (
        'classes of each of its variables; 0: Gaussian', at_least(0)),
    r'rssm\.std_act': (
        'what makes the std of s positive',
        one_of('softplus', 'sigmoid', 'sigmoid2')),
    r'encoder\.mlp_keys': ('vectors that it reads, by name', PATTERN),
    r'encoder\.cnn_keys': ('images that it reads, by name', PATTERN),
    r'decoder\.mlp_keys': ('vectors that it predicts, by name', PATTERN),
    r'decoder\.cnn_keys': ('images that it predicts, by name', PATTERN),
    r'.*\.cnn_depth': (
        'channels of the layer next to the image; each further one has twice',
        at_least(1)),
    r'.*\.cnn_kernels': (
        'kernel sizes, one per layer, of stride 2', at_least(1)),
    r'.*\.mlp_layers': ('units of its dense layers', at_least(1)),
    r'.*\.layers': ('hidden layers', at_least(0)),
    r'.*\.units': ('units of each', at_least(1)),
    r'.*\.act': ('activation', ACTIVATION),
    r'.*\.norm': ('normalisation of hidden layers', one_of('none', 'layer')),
    # Upstream's `normal` has a standard deviation that may be negative, and its
    # `binary` a mode that is an integer.
    r'actor\.dist': (
        'distribution of its output',
        one_of('auto', 'tanh_normal', 'trunc_normal', 'onehot')),
    r'discount_head\.dist': (
        'distribution of its output', one_of('binary', 'mse')),
    r'(reward_head|critic|expl_head)\.dist': (
        'distribution of its output', one_of('mse')),
    r'.*\.min_std': ('smallest standard deviation', at_least(0)),
    r'loss_scales\.proprio': (
        'weight of the loss of an observation with this name', at_least(0)),
    r'loss_scales\.(\w+)': (
        "weight of the \\1 loss in the world model's", at_least(0)),
    r'kl\.free': ('nats below which the KL is not reduced', at_least(0)),
    r'kl\.forward': ('swap the two distributions of the KL', None),
    r'kl\.balance': (
        'fraction of the KL that trains the prior; the rest, the posterior',
        between(0, 1)),
    r'kl\.free_avg': (
        'apply kl.free to the mean over the batch, not to each KL', None),
    r'.*[._]opt\.opt': (
        'optimizer', one_of('adam', 'nadam', 'adamax', 'sgd', 'momentum')),
    r'.*[._]opt\.lr': ('learning rate', at_least(0)),
    r'.*[._]opt\.eps': ("added to Adam's denominator", above(0)),
    r'.*[._]opt\.clip': (
        "the gradient's norm is cut here; 0: never", ZERO_OR_MORE_THAN_ONE),
    r'.*[._]opt\.wd': (
        'fraction that weights shrink by in each update',
        Rule('>= 0 and < 1', lambda x: 0 <= x < 1)),
    # Actor and critic.
    'discount': ('gamma, per agent step', between(0, 1)),
    'discount_lambda': ('lambda of the returns', between(0, 1)),
    'imag_horizon': (
        'H, steps of an imagined trajectory',
        at_least(2)),  # The actor's loss drops two states.
    'actor_grad': (
        'dynamics: through the model; reinforce; both; auto: by the kind of '
        'actions', one_of('auto', 'dynamics', 'reinforce', 'both')),
    'actor_grad_mix': (
        'weight of dynamics where actor_grad is both', between(0, 1)),
    'actor_ent': ("weight of the policy's entropy", None),
    'slow_target': ('returns from a slow copy of the critic', None),
    'slow_target_update': ('updates between two copies', at_least(1)),
    'slow_baseline': (
        'nothing: dreamerv2 reads it nowhere',
        Rule('True: dreamerv2 reads it nowhere', bool)),
    r'(expl_)?reward_norm\.momentum': (
        "of the running mean of the rewards' size; 1: no normalisation",
        between(0, 1)),
    r'(expl_)?reward_norm\.scale': (
        'size that rewards are normalised to', None),
    r'(expl_)?reward_norm\.eps': (
        'added to the size before dividing', at_least(0)),
    # Exploration, for an expl_behavior other than greedy.
    'expl_intr_scale': ('weight of the intrinsic reward', None),
    'expl_extr_scale': ("weight of the task's reward", None),
    'expl_model_loss': (
        'what the exploring critic predicts (ModelLoss)', one_of('kl')),
    'disag_target': (
        'what the ensemble predicts (Plan2Explore)',
        one_of('embed', 'stoch', 'deter', 'feat')),
    'disag_log': ('take the logarithm of the disagreement', None),
    'disag_models': ('networks in the ensemble', at_least(1)),
    'disag_offset': ('steps that it predicts ahead', at_least(0)),
    'disag_action_cond': ('it sees the action as well', None),
}


def text(key):
  """Says what one of dreamerv2's keys is for.

  Args:
    key: str, such as `rssm.deter`.

  Returns:
    str, empty if it is none of them.
  """
  match, words, _ = _found(key)
  return match.expand(words) if match else ''


def rule(key):
  """Finds the Rule of one of dreamerv2's keys; None if every value will do."""
  return _found(key)[2]


def _found(key):
  for pattern, (words, allowed) in KEYS.items():
    if match := re.fullmatch(pattern, key):
      return match, words, allowed
  return None, '', None
