"""Environments, wrapped as upstream's training script wraps them.

`dmc_<domain>_<task>` is DMControl, `gym_<id>` Gymnasium, `atari_<game>` Atari,
`crafter_reward` Crafter.
"""

import difflib
import functools
import re

import numpy as np

from ..config import rules
from ..errors import UsageError
from ..upstream import envs as upstream_envs
from . import dm_control
from . import games
from . import gymnasium_env
from . import observations
from . import perturbations
from . import rendering
from . import workers

PARALLEL = ('none', 'thread', 'process')


def check_task(task):
  """Checks that a task exists under its name in upstream.

  Args:
    task: str, `dmc_<domain>_<task>`, `dmc_manip_<task>`,
      `dmc_locom_<task>`, `atari_<game>`, `crafter_<reward or noreward>` or
      `gym_<Gymnasium's id>`.

  Raises:
    UsageError: if there is no such task; names those that are closest.
  """
  if task.startswith(games.PREFIXES):
    games.check(task)
    return
  if task.startswith('gym_'):
    gymnasium_env.check(task[len('gym_'):])
    return
  if task in dm_control.tasks():
    return
  close = difflib.get_close_matches(task, dm_control.tasks())
  hint = f'Closest: {", ".join(close)}.' if close else (
      'Tasks are named dmc_<domain>_<task>, for example dmc_walker_walk, or '
      'gym_<id>.')
  raise UsageError(f'Unknown task {task!r}. {hint}')


def renders(config):
  """Whether frames are rendered: only if an agent reads or predicts them.

  Always for tasks of dm_control whose observations are images themselves;
  games draw their own.
  """
  if config.task.startswith(games.PREFIXES):
    return False
  return config.task.startswith(('dmc_manip_', 'dmc_locom_')) or any(
      re.match(x.cnn_keys, 'image') for x in (config.encoder, config.decoder))


def has_scene(task):
  """Whether the scene of a task can be perturbed; those of dm_control.suite.

  The others of dm_control compile a model of their own for every episode.
  """
  return task.startswith('dmc_') and not task.startswith(
      ('dmc_manip_', 'dmc_locom_'))


def reads_images(config, obs_space):
  """Says whether the agent's encoder takes images.

  Args:
    config: upstream's Config.
    obs_space: dict of gymnasium spaces.

  Returns:
    bool.
  """
  return any(
      len(v.shape) == 3 and reads(config.encoder, k, v)
      for k, v in obs_space.items())


def check_observations(config, env):
  """Checks that the agent's encoder and decoder find observations.

  A decoder that learns nothing may find none.

  Args:
    config: upstream's Config.
    env: environment of `make_envs`.

  Returns:
    list of str, lines about what the agent reads, what it ignores, and what
    is converted.

  Raises:
    UsageError: if one of them finds nothing; names the observations.
  """
  spaces = {
      k: v for k, v in env.obs_space.items() if k not in observations.FLAGS}
  names = {k: f'{k} {list(v.shape)}' for k, v in spaces.items()}
  unread = [f'{k} ({v})' for k, v in attribute(env, 'ignored').items()]
  if not spaces:
    raise UsageError(
        f'{config.task} has no observation that can be read: '
        f'{", ".join(unread)}')
  unused = 'decoder' not in config.grad_heads
  without = unused and rules.decodes_nothing(config)
  for part in ('encoder',) if without else ('encoder', 'decoder'):
    keys = getattr(config, part)
    if not any(reads(keys, k, v) for k, v in spaces.items()):
      raise UsageError(
          f'no observation of {config.task} ({", ".join(names.values())}) goes '
          f'into the {part}: --{part}.cnn_keys is {keys.cnn_keys!r} and '
          f'--{part}.mlp_keys is {keys.mlp_keys!r}, '
          f'{_advice(part, spaces)}')
  read = [v for k, v in names.items() if reads(config.encoder, k, spaces[k])]
  ignored = [
      f'{names[k]} (--encoder.{"cnn" if len(v.shape) == 3 else "mlp"}_keys '
      'does not match)' for k, v in spaces.items()
      if not reads(config.encoder, k, v)]
  ignored += unread
  line = f'The agent reads {", ".join(read)}'
  line += f'; it ignores {", ".join(ignored)}.' if ignored else '.'
  lines = [line, *attribute(env, 'notes')]
  if config.task.startswith('gym_'):  # Whose defaults are not the presets'.
    lines.append(
        f'{config.task}: action_repeat {config.action_repeat}, and '
        f'{"a" if config.pred_discount else "no"} head predicts terminal '
        f'states (pred_discount {config.pred_discount}).')
  return lines


def check_actions(config, space):
  """Checks that the agent can act in an environment.

  Args:
    config: upstream's Config.
    space: gymnasium space of `action`.

  Raises:
    UsageError: if the actions are discrete and the method or the actor is for
      continuous ones, or the reverse.
  """
  chosen = config.actor.dist
  if not hasattr(space, 'n'):
    if chosen == 'onehot':
      raise UsageError(
          f'{config.task} has continuous actions, but --actor.dist onehot '
          '(preset discrete) is for discrete ones')
    return
  auto = {'actor_grad': 'reinforce'} if config.actor_grad == 'auto' else {}
  rules.check(config.update({'actor.dist': 'onehot', **auto}))
  if chosen not in ('auto', 'onehot'):
    raise UsageError(
        f'{config.task} has {space.n} discrete actions, but --actor.dist '
        f'{chosen} is for continuous ones: put the preset discrete behind the '
        'others, such as --configs cpu_proprio discrete')


def reads(keys, name, space):
  """Tells whether an encoder or a decoder takes an observation.

  Args:
    keys: its section of the config, with `cnn_keys` and `mlp_keys`.
    name: str, the observation's.
    space: gymnasium Box, an image if it has three axes.

  Returns:
    bool.
  """
  pattern = keys.cnn_keys if len(space.shape) == 3 else keys.mlp_keys
  return bool(re.match(pattern, name))


def _advice(part, spaces):
  images = [re.escape(k) for k, v in spaces.items() if len(v.shape) == 3]
  if images:
    return f'but its images are read with --{part}.cnn_keys {"|".join(images)}'
  return 'but it has vectors alone, which --configs cpu_proprio takes'


def attribute(env, name):
  """Reads an attribute of an environment.

  Args:
    env: environment of `make_envs`, perhaps in a worker.
    name: str.

  Returns:
    its value.
  """
  if isinstance(env, workers.Worker):
    return env.access(name)()
  return getattr(env, name)


def make_env(config, seed, perturb=None, mode='eval'):
  """Builds one environment in this process.

  Args:
    config: upstream's Config.
    seed: int, for the task's initial states and the perturbation.
    perturb: None or dict, arguments of `perturbations.Perturbed`.
    mode: str, `train` or `eval`, for the tasks whose rewards differ.

  Returns:
    upstream's wrapped environment, with a `close` method.

  Raises:
    UsageError: if the task's observations or actions cannot be used.
  """
  if config.task.startswith(games.PREFIXES):
    env = games.make(config, seed, mode)
  else:
    family = gymnasium_env if config.task.startswith('gym_') else dm_control
    env = family.make(config, seed, renders(config))
  env = upstream_envs.TimeLimit(env, config.time_limit)
  if perturb is not None:
    env = perturbations.Perturbed(env, **perturb, seed=[seed, 1])
  return env


def make_envs(config, mode, count, seed, perturb=None):
  """Builds the environments of a training or an evaluation.

  Where rendering in this process is not safe (`rendering`), they live in
  processes of their own, whatever `config.envs_parallel` says.

  Args:
    config: upstream's Config.
    mode: str, `train` or `eval`; their seeds differ.
    count: int, number of environments; their seeds differ.
    seed: int, the run's seed.
    perturb: None or dict, see `make_env`; in evaluation alone.

  Returns:
    list of `count` environments, to be closed by their `close`.

  Raises:
    UsageError: if the task, the perturbation or `envs_parallel` is not valid,
      or images are needed and nothing can render here.
    ValueError: if training environments are to be perturbed.
  """
  if config.envs_parallel not in PARALLEL:
    raise UsageError(
        f'envs_parallel is {config.envs_parallel!r}, but must be none, thread '
        f'or process.')
  if perturb is not None:
    if mode == 'train':
      raise ValueError('Training must not see perturbed observations.')
    perturb = perturbations.check(**perturb)
    if perturbations.KINDS[perturb['kind']].of == 'scene' and not (
        has_scene(config.task) and renders(config)):
      raise UsageError(
          f'{perturb["kind"]} is for frames of dm_control.suite alone, and '
          f'{config.task} has none here')
  check_task(config.task)
  rendering.choose_backend(required=renders(config))
  safe = rendering.in_process_is_safe()
  parallel = config.envs_parallel if safe else 'process'
  sequence = np.random.SeedSequence([abs(int(seed)), *mode.encode()])
  envs = []
  try:
    for number in sequence.generate_state(count):
      make = functools.partial(make_env, config, int(number), perturb, mode)
      envs.append(
          make() if parallel == 'none' else workers.Worker(make, parallel))
  except BaseException:
    for env in envs:
      env.close()
    raise
  return envs
