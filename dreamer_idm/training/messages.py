"""What a training says of itself: its needs, its length, where it stopped."""

import os
import re

from .. import display
from ..runs import checkpoints
from ..upstream.config import NOTHING
from . import replay as replay_lib

GB = 1e9


def start(record):
  """Says what trains, and on what.

  Args:
    record: dict, a line of `runs.provenance`.

  Returns:
    str, one line; a second part names the settings that are not the ones that
    the run began with.
  """
  commit = record['commit'] and (
      f' ({record["commit"][:10]}{", changed" if record["dirty"] else ""})')
  line = (
      f'dreamer-idm {record["version"]}{commit or ""} on {record["device"]}: '
      f'precision {record["precision"]}, threads {record["threads"]}.')
  changed = ', '.join(
      f'{k} {old} (now {new})' for k, (old, new) in record['changed'].items())
  return f'{line} Other settings than at first: {changed}.' if changed else line


def memory(config, env):
  """Says how much memory the replay will need.

  Args:
    config: upstream's Config with our keys.
    env: environment with `obs_space` and `act_space`, dicts of spaces.

  Returns:
    list of str, one line each; a second one if this machine has less.
  """
  size = replay_lib.step_bytes(env.obs_space, env.act_space)
  steps = int(config.steps)
  if config.replay['capacity']:
    steps = min(steps, int(config.replay['capacity']))
  lines = [
      f'The replay will need up to {steps * size / GB:.2g} GB of memory: '
      f'{steps:,} agent steps of {size / 1e3:.2g} KB (--replay.capacity '
      'bounds it).']
  total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  if steps * size > total:
    lines.append(
        f'This machine has {total / GB:.2g} GB: lower --replay.capacity.')
  return lines


def random_only(config):
  """Says that a run ends before it acts by what it has learned.

  Args:
    config: upstream's Config with our keys.

  Returns:
    str, one line; empty if it does not.
  """
  if config.steps > config.prefill:
    return ''
  return (
      f'This run is no longer than its random steps: steps is '
      f'{int(config.steps):,}, prefill {config.prefill:,}. All that it learns '
      f'are {config.pretrain} updates of pretraining.')


def unlogged(config, spaces):
  """Says which of --log_keys_* find nothing in the episodes.

  Args:
    config: upstream's Config with our keys.
    spaces: dict of gymnasium spaces, of observations and actions.

  Returns:
    list of str, one line for each key; empty with upstream's defaults.
  """
  lines = []
  for key in ('log_keys_sum', 'log_keys_mean', 'log_keys_max'):
    # Alternatives are told apart where nothing else can be meant by a bar.
    pattern = config[key]
    parts = [pattern] if re.search(r'[][()\\]', pattern) else (
        pattern.split('|'))
    lost = [x for x in parts if x not in NOTHING and not any(
        re.match(x, name) for name in spaces)]
    if lost:
      lines.append(
          f'--{key} {"|".join(lost)} matches nothing in the episodes '
          f'({", ".join(spaces)}), so nothing is logged of it.')
  images = [k for k, v in spaces.items() if len(v.shape) == 3]
  lost = [x for x in config.log_keys_video if x not in (*images, 'image')]
  if lost:
    lines.append(
        f'--log_keys_video {" ".join(lost)} is none of the images '
        f'({", ".join(images) or "there are none"}).')
  return lines


def forecast(config, step, seconds, gpus):
  """Says how long the updates will take.

  Args:
    config: upstream's Config with our keys.
    step: int, agent steps done.
    seconds: float, of an update.
    gpus: sequence of the GPUs in use.

  Returns:
    str, one line.
  """
  left = max(0, config.steps - step)
  updates = left / config.train_every * config.train_steps
  line = (
      f'An update takes {seconds:.2g}s: the {updates:,.0f} updates of this '
      f'run will take about {display.duration(updates * seconds)}, acting '
      'and evaluation not counted.')
  if not gpus and updates * seconds > 4 * 3600:
    line += ' No GPU was found; --configs cpu is made for that.'
  return line


def way_on(config, logdir, step):
  """Says what the same command will do after a run that has stopped.

  Args:
    config: upstream's Config with our keys.
    logdir: pathlib.Path of the run.
    step: int, agent steps done.

  Returns:
    str, one line.
  """
  where = (
      f'Stopped at env step {step * config.action_repeat:,}; the same command ')
  # The disk knows: a checkpoint may be whole and its copy have failed.
  kept = checkpoints.Checkpoints(logdir / 'checkpoints').step()
  if kept is None:
    return where + 'starts over, for nothing was learned yet.'
  if kept == step:
    return where + 'goes on from there.'
  return where + (
      'goes on from the last checkpoint, at env step '
      f'{kept * config.action_repeat:,}.')


def last_words(error, logdir):
  """Says in a line what went wrong.

  Args:
    error: OSError or tf.errors.OpError.
    logdir: pathlib.Path, named where the error names no file.

  Returns:
    str of at most 300 characters, unless a file's name is longer.
  """
  if isinstance(error, OSError) and error.strerror:
    return f'{error.filename or logdir}: {error.strerror}'
  # TensorFlow's last words stand behind a trace and before a node's name.
  lines = [x.strip() for x in str(error).splitlines()]
  lines = [x for x in lines if x and not x.startswith(('[[', 'File '))]
  return lines[-1][:300] if lines else type(error).__name__
