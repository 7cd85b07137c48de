"""What dreamerv2's keys are for: its own configs.yaml does not say."""

import re

# Pattern of whole keys -> what they do; the first that fits holds.
TEXTS = {
    # The run.
    'seed': 'of TensorFlow, NumPy, replay, prefill and environments',
    'task': 'dmc_<domain>_<task>, or gym_<id> for Gymnasium',
    'envs': 'environments that collect side by side',
    'envs_parallel': 'none: in this process; thread or process: one each',
    'render_size': 'height and width of images, in pixels',
    'dmc_camera': "dm_control's camera; -1: upstream's choice for the domain",
    'atari_grayscale': 'one channel instead of three, for Atari',
    'time_limit': "agent steps of an episode at most; 0: the task's own end",
    'action_repeat': 'environment steps for each agent step',
    'steps': 'agent steps of the run',
    'log_every': 'agent steps between two rows of metrics',
    'eval_every': 'agent steps between two evaluations, each with a checkpoint',
    'prefill': 'agent steps with random actions before anything is learned',
    'pretrain': 'updates before the first evaluation',
    'train_every': 'agent steps between two rounds of updates',
    'train_steps': 'updates in a round',
    r'replay\.capacity': 'agent steps that are kept in memory, 0: all',
    r'replay\.ongoing': 'draw from unfinished episodes too',
    r'replay\.minlen':
        'shortest sequence and episode that is used, in agent steps',
    r'replay\.maxlen': 'longest sequence that is drawn at once, 0: no bound',
    r'replay\.prioritize_ends': 'draw the ends of episodes more often',
    r'dataset\.batch': 'B, sequences in a batch',
    r'dataset\.length': 'L, steps of each',
    'log_keys_video': 'observations that are logged as videos',
    'log_keys_(sum|mean|max)':
        'keys of episodes whose \\1 over time is logged',
    'jit': 'trace the update into a graph; False runs it step by step, slowly',
    # The agent.
    'clip_rewards': 'what is done to rewards before they are learned',
    'expl_behavior': "greedy: the task's actor; others have a second one",
    'expl_noise': 'std of the noise on actions in training',
    'eval_noise': 'std of the noise on actions in evaluation',
    'eval_state_mean': 'act on the mean of the latent state, not a sample',
    'expl_until': 'agent steps for which the exploring actor acts; 0: always',
    # The world model.
    'grad_heads': 'heads whose gradient reaches the latent state',
    'pred_discount': "predict an episode's end, for tasks that can terminate",
    r'rssm\.ensemble': 'priors, one of which is drawn at each step',
    r'rssm\.hidden': 'units of its dense layers',
    r'rssm\.deter': 'D, size of the deterministic state h',
    r'rssm\.stoch': 'S, size of the stochastic state s',
    r'rssm\.discrete': 'classes of each of its variables; 0: Gaussian',
    r'rssm\.std_act': 'what makes the std of s positive',
    r'encoder\.mlp_keys': 'vectors that it reads, by name',
    r'encoder\.cnn_keys': 'images that it reads, by name',
    r'decoder\.mlp_keys': 'vectors that it predicts, by name',
    r'decoder\.cnn_keys': 'images that it predicts, by name',
    r'.*\.cnn_depth':
        'channels of the layer next to the image; each further one has twice',
    r'.*\.cnn_kernels': 'kernel sizes, one per layer, of stride 2',
    r'.*\.mlp_layers': 'units of its dense layers',
    r'.*\.layers': 'hidden layers',
    r'.*\.units': 'units of each',
    r'.*\.act': 'activation',
    r'.*\.norm': 'normalisation of hidden layers',
    r'.*\.dist': 'distribution of its output',
    r'.*\.min_std': 'smallest standard deviation',
    r'loss_scales\.proprio':
        'weight of the loss of an observation with this name',
    r'loss_scales\.(\w+)': 'weight of the \\1 loss in the world model\'s',
    r'kl\.free': 'nats below which the KL is not reduced',
    r'kl\.forward': 'swap the two distributions of the KL',
    r'kl\.balance':
        'fraction of the KL that trains the prior; the rest, the posterior',
    r'kl\.free_avg': 'apply kl.free to the mean over the batch, not to each KL',
    r'.*_opt\.opt': 'optimizer',
    r'.*_opt\.lr': 'learning rate',
    r'.*_opt\.eps': "added to Adam's denominator",
    r'.*_opt\.clip': "the gradient's norm is cut here; 0: never",
    r'.*_opt\.wd': 'fraction that weights shrink by in each update',
    # Actor and critic.
    'discount': 'gamma, per agent step',
    'discount_lambda': 'lambda of the returns',
    'imag_horizon': 'H, steps of an imagined trajectory',
    'actor_grad': 'dynamics: through the model; reinforce; both; auto: by the '
                  'kind of actions',
    'actor_grad_mix': 'weight of dynamics where actor_grad is both',
    'actor_ent': "weight of the policy's entropy",
    'slow_target': 'returns from a slow copy of the critic',
    'slow_target_update': 'updates between two copies',
    'slow_baseline': 'nothing: dreamerv2 reads it nowhere',
    r'(expl_)?reward_norm\.momentum':
        'of the running mean of the rewards\' size; 1: no normalisation',
    r'(expl_)?reward_norm\.scale': 'size that rewards are normalised to',
    r'(expl_)?reward_norm\.eps': 'added to the size before dividing',
    # Exploration, for an expl_behavior other than greedy.
    'expl_intr_scale': 'weight of the intrinsic reward',
    'expl_extr_scale': "weight of the task's reward",
    'expl_model_loss': 'what the exploring critic predicts (ModelLoss)',
    'disag_target': 'what the ensemble predicts (Plan2Explore)',
    'disag_log': 'take the logarithm of the disagreement',
    'disag_models': 'networks in the ensemble',
    'disag_offset': 'steps that it predicts ahead',
    'disag_action_cond': 'it sees the action as well',
}


def text(key):
  """Says what one of dreamerv2's keys is for.

  Args:
    key: str, such as `rssm.deter`.

  Returns:
    str, empty if it is none of them.
  """
  for pattern, words in TEXTS.items():
    match = re.fullmatch(pattern, key)
    if match:
      return match.expand(words)
  return ''
