"""Messages of a training: its settings, its memory, its length."""

import os
import re

from .. import display
from ..runs import provenance
from ..upstream.config import NOTHING
from . import episodes

GB = 1e9
_UNSAID = ('logdir', 'resume_changed')


def start(record, before=None):
  """Says what trains, on what, and which settings were changed, in a line.

  Args:
    record: dict, a line of `runs.provenance`.
    before: dict, the line of the start before it, if there was one.

  Returns:
    str, one line.
  """
  commit = record['commit'] and (
      f' ({record["commit"][:10]}{", changed" if record["dirty"] else ""})')
  line = (
      f'dreamer-idm {record["version"]}{commit or ""} on {record["device"]}: '
      f'precision {record["precision"]}, threads {record["threads"]}.')
  changed = record['changed']
  back = {  # Of a file that may be damaged.
      k: v[-1] for k, v in provenance.changed([before or {}]).items()
      if k not in changed}
  for title, settings in (
      ('Other settings than at first', [
          f'{k} {old} (now {new})' for k, (old, new) in changed.items()
          if k not in _UNSAID]),
      ('As at first again', [
          f'{k} (was {v})' for k, v in back.items() if k not in _UNSAID])):
    if settings:
      line += f' {title}: {", ".join(settings)}.'
  return line


def beginning(config, envs):
  """Says what to know before a run collects anything.

  Args:
    config: upstream's Config with our keys.
    envs: has `obs_space` and `act_space`, dicts of gymnasium spaces, and
      `log_names`, a collection of str: what is logged besides.

  Returns:
    list of str, one line each.
  """
  lines = [
      *_memory(config, envs),
      *_unlogged(
          config, {**envs.obs_space, **envs.act_space}, envs.log_names)]
  if config.steps <= config.prefill:
    lines.append(
        'This run ends with its random steps: steps is '
        f'{int(config.steps):,}, prefill {config.prefill:,}. It learns by '
        f'{display.counted(config.pretrain, "update")} of pretraining alone.')
  return lines


def _memory(config, envs):
  size = episodes.step_bytes({**envs.obs_space, **envs.act_space})
  steps = int(config.steps)
  if config.replay['capacity']:
    steps = min(steps, int(config.replay['capacity']))
  yield (
      f'The replay will need up to {steps * size / GB:.2g} GB of memory: '
      f'{steps:,} agent steps of {size / 1e3:.2g} KB (--replay.capacity '
      'bounds it).')
  total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  if steps * size > total:
    yield f'This machine has {total / GB:.2g} GB: lower --replay.capacity.'


def _unlogged(config, spaces, log_names):
  # What --log_keys_* name and nothing has; upstream's defaults do not count.
  for key in ('log_keys_sum', 'log_keys_mean', 'log_keys_max'):
    # A bar separates alternatives for certain where there are no brackets.
    pattern = config[key]
    parts = [pattern] if re.search(r'[][()\\]', pattern) else (
        pattern.split('|'))
    lost = [x for x in parts if x not in NOTHING and not any(
        re.match(x, name) for name in (*spaces, *log_names))]
    if lost:
      yield (
          f'--{key} {"|".join(lost)} matches nothing in the episodes '
          f'({", ".join((*spaces, *log_names))}), so nothing is logged of it.')
  images = [k for k, v in spaces.items() if len(v.shape) == 3]
  lost = [x for x in config.log_keys_video if x not in (*images, 'image')]
  if lost:
    yield (
        f'--log_keys_video {" ".join(lost)} is not among the images '
        f'({", ".join(images) or "there are none"}).')


def forecast(config, step, seconds, gpus):
  """Says how long the updates of a run will take, in a line.

  Args:
    config: upstream's Config with our keys.
    step: int, agent steps done.
    seconds: float, of an update.
    gpus: sequence of the GPUs in use.
  """
  left = max(0, config.steps - step)
  updates = left / config.train_every * config.train_steps
  line = (
      f'An update takes {seconds:.2g}s: the '
      f'{display.counted(updates, "update")} of this run will take about '
      f'{display.duration(updates * seconds)}, acting and evaluation not '
      'counted.')
  if not gpus and updates * seconds > 4 * 3600:
    line += ' No GPU was found; --configs cpu is made for that.'
  return line


def done(logdir):
  """Says where the results of a run that has reached its end are."""
  return f'Done. Results are in {logdir}: ' + ', '.join(
      x.name for x in sorted(logdir.iterdir())
      if x.suffix in ('.png', '.gif', '.jsonl'))
