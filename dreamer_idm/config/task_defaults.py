"""Defaults that depend on the kind of task, where nothing else was asked for.

The presets are made for dm_control, whose tasks have long episodes without
terminal states.
"""

SHORT = 8  # Agent steps.


def resolve(config, given):
  """Fills in what suits the kind of task.

  Gymnasium's environments are trained at the rate that their makers chose
  (`action_repeat` 1), and with a head that predicts the end: without one, the
  critic expects rewards after terminal states. Their episodes may be short:
  those of SHORT steps are learned from, too, in chunks of several pieces.
  Atari's and Crafter's end as well; Crafter repeats no action.

  Args:
    config: upstream's Config with our keys; a changed one is returned.
    given: collection of str, dotted keys that were asked for: on the command
      line, or by a preset that is made for this very task.
  """
  family = config.task.split('_', 1)[0]
  if family not in ('gym', 'atari', 'crafter'):
    return config
  values: dict = {'pred_discount': True}
  if family != 'atari':
    values['action_repeat'] = 1
  if family == 'gym':
    values['replay.minlen'] = min(SHORT, config.replay.minlen)
  values = {k: v for k, v in values.items() if k not in given}
  heads = tuple(config.grad_heads)
  if 'discount' not in heads and not {'grad_heads', 'pred_discount'} & {*given}:
    values['grad_heads'] = (*heads, 'discount')
  return config.update(values) if values else config
