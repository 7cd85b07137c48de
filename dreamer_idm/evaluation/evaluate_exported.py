"""`evaluate --agent`: an exported agent acts, and a video shows it."""

import json

import numpy as np

from .. import display
from ..config import load as config_lib
from ..config import methods
from ..envs import environments
from ..envs import rendering
from ..errors import UsageError
from ..runs import metrics_file
from ..runs import plots
from ..runs import spaces
from . import conditions
from . import pictures

SHOWN = (64, 64)  # Size of the frames of an agent that reads none.


def run(args):
  """Evaluates, prints the returns and writes videos.

  Args:
    args: namespace of `evaluate.add_arguments`.

  Returns:
    list of float64 [episodes], the returns in each condition.

  Raises:
    UsageError: if the agent, or a perturbation, cannot be used.
  """
  facts = read(args.agent)
  observed = spaces.read(args.agent).agent_observation
  config = config_lib.saved(args.agent)
  interface = facts['interface']
  chosen = conditions.listed(
      args, config, {k: observed[k] for k in interface['observation']})
  if args.video and not environments.renders(config):
    config = config.update(
        {'decoder.cnn_keys': 'image', 'render_size': SHOWN})
  rendering.choose_backend(environments.renders(config))
  # TensorFlow only comes now: mistakes answer at once.
  from . import exported_model
  act = exported_model.load(args.agent / 'saved_model')
  print(
      f'{facts["task"]}, {facts["method"]} at env step {facts["env_step"]:,}; '
      f'on export {np.mean(facts["scores"]["returns"]):.1f} in '
      f'{display.counted(len(facts["scores"]["returns"]), "episode")}.',
      flush=True)
  if seen := methods.seen_in_training(config.flat):
    print(f'It was trained on perturbed images: {seen}.', flush=True)
  found = []
  for condition in chosen:
    clean = condition['kind'] == 'clean'
    env, = environments.make_envs(
        config, 'eval', 1, args.seed + 5000, None if clean else condition)
    random = np.random.default_rng(args.seed)
    returns: list = []
    try:
      for number in range(args.episodes):
        episode = exported_model.episode(act, interface, env, random)
        returns.append(episode['reward'].astype(np.float64).sum())
        print(
            f'  {pictures.label(condition)}, episode {number + 1} of '
            f'{args.episodes}: return {returns[-1]:.1f}', flush=True)
        if args.video and not number:
          _show(episode, args.video, condition)
    finally:
      env.close()
    if len(returns) > 1:
      print(
          f'  {pictures.label(condition)}: return {np.mean(returns):.1f} ± '
          f'{metrics_file.sample_std(returns):.1f}')
    found.append(np.array(returns))
  return found


def read(folder):
  """Reads what an exported agent says of itself.

  Args:
    folder: pathlib.Path.

  Returns:
    dict, its agent.json.

  Raises:
    UsageError: if it is not a folder that `export` wrote.
  """
  try:
    facts = json.loads((folder / 'agent.json').read_text('utf-8'))
    facts['interface'], facts['scores']  # What is read of it first.
    if not (folder / 'saved_model').is_dir():
      raise FileNotFoundError(f'no {folder / "saved_model"}')
    spaces.read(folder)
    return facts
  except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
    raise UsageError(
        f'{folder} is not an exported agent ({error}): give a folder that '
        '`dreamer-idm export` wrote, or a run with --logdir') from error


def _show(episode, path, condition):
  """Writes a GIF; that of a perturbation has its name in the file's."""
  images = [k for k, v in episode.items() if v.ndim == 4]
  if not images:
    raise UsageError('--video: this environment renders no frames')
  key = 'image' if 'image' in images else images[0]
  if condition['kind'] != 'clean':
    path = path.with_stem(f'{path.stem}_{condition["kind"]}')
  plots.policy_video(episode[key], path)
  print(f'  {path}')


def check(args):
  """Refuses what cannot be together; raises UsageError."""
  if args.video and not args.agent:
    raise UsageError(
        '--video is for --agent; the evaluation of a run writes its videos')
  if args.video and args.video.suffix != '.gif':
    raise UsageError(f'--video {args.video} must end in .gif')
  if args.video and not args.video.parent.is_dir():
    raise UsageError(
        f'--video: there is no folder {args.video.parent} for the file')
  for name, usual in (('checkpoint', 'latest'), ('out', None)):
    if args.agent and getattr(args, name) != usual:
      raise UsageError(f'--{name} is for --logdir, not for --agent')
