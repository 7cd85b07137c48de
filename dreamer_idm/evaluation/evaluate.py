"""Evaluates a trained agent, clean and under perturbations at test time only.

Writes evaluation.json, robustness.png and, for agents that decode images, a
video per kind: what the agent saw beside what its model makes of it.
"""

import argparse
import json
import sys
import time

import numpy as np

from .. import display
from .. import errors
from ..config import load as config_lib
from ..config import methods
from ..config import rules
from ..config import same_run
from ..envs import distortions
from ..envs import environments
from ..envs import perturbations
from ..envs import rendering
from ..runs import files
from ..runs import metrics_file
from ..runs import provenance
from . import conditions as conditions_lib
from . import evaluate_exported
from . import pictures

EXAMPLE = (
    'dreamer-idm evaluate --logdir logdir/dmc_cartpole_balance/idm/0 --sweep')


def add_arguments(parser):
  """Declares the command line.

  Args:
    parser: argparse.ArgumentParser.
  """
  kinds = ', '.join(
      f'{k} ({v.strength:g}: {v.unit})' for k, v in perturbations.KINDS.items())
  frame, walk = (', '.join(
      k for k, v in perturbations.KINDS.items() if v.per == per)
      for per in ('frame', 'walk'))
  add = parser.add_argument
  which = parser.add_mutually_exclusive_group(required=True)
  which.add_argument('--logdir', type=files.expanded, help='folder of a run')
  which.add_argument(
      '--agent', type=files.expanded,
      help='folder of an exported agent; its returns are printed')
  add('--checkpoint', default='latest',
      help='latest, best, or an agent step that is still kept; best was chosen '
      'for the largest of its many noisy evaluations, which is too high on '
      'average: what is written here is a new evaluation of it')
  add('--episodes', type=int, default=10, help='per condition (default 10)')
  add('--perturb', nargs='+', metavar='KIND',
      help=f'all, none, or some of {kinds} (default: all for a run, none for '
      'an exported agent)')
  add('--strength', type=conditions_lib.strength,
      help='of the perturbation, instead of its default in brackets above: a '
      'number, or easy, medium, hard (half the default, it, twice the default)')
  add('--per', choices=perturbations.PER,
      help=f'how often it is drawn, or that it walks at random (default: frame '
      f'for {frame}; walk for {walk}; episode for the others)')
  add('--fill', choices=list(distortions.FILL), default='zero',
      help='what comes in at the edges of an image')
  add('--background', metavar='DIR', type=files.expanded,
      help='folder of pictures for the perturbation background (default: '
      'random colors)')
  add('--sweep', action='store_true',
      help='strengths from 0 to four times the default (rotation: 0 to 20); in '
      'the scene (camera_roll and after it) 0, easy, medium and hard')
  add('--seed', type=int, default=0, help='of initial states and perturbations')
  add('--threads', type=int, default=0, help='CPU threads, 0: one per core')
  add('--out', type=files.expanded,
      help='folder for the results (default: evaluation in the run)')
  add('--video', type=files.expanded,
      help='GIF of the first episode of an exported agent')


def run(args):
  """Evaluates and writes the results.

  Args:
    args: namespace of `add_arguments`.

  Raises:
    UsageError: if the run, its checkpoint or a perturbation cannot be used.
  """
  check(args)
  if args.agent:
    evaluate_exported.run(args)
    return
  config = config_lib.saved(args.logdir)
  out = args.out or args.logdir / 'evaluation'
  rendering.choose_backend(environments.renders(config))
  # TensorFlow only comes now: mistakes answer at once.
  from . import load
  load.set_up(config, args.threads, args.seed)
  trained = load.load_trained(args.logdir, args.checkpoint)
  conditions = conditions_lib.listed(args, config, _seen(trained))
  files.folder(out)
  print(
      f'{config.task}, {config.method}, seed {config.seed}: '
      f'checkpoint {trained.checkpoint} at env step {trained.env_step:,}, '
      f'{display.counted(args.episodes, "episode")} in '
      f'{"each of " * (len(conditions) > 1)}'
      f'{display.counted(len(conditions), "condition")}.',
      flush=True)
  if seen := methods.seen_in_training(config.flat):
    print(f'It was trained on perturbed images: {seen}.', flush=True)
  if changed := same_run.resumed(provenance.read(args.logdir)):
    print('Settings that were changed on resuming: ' + '; '.join(
        f'{k} {v}' for k, v in changed.items()) + '.', flush=True)
  if args.checkpoint == 'best':
    print(
        'It was chosen for its return while training, the largest of many '
        'noisy ones. Report what follows: a new evaluation.', flush=True)
  results = {
      'task': config.task, 'method': config.method, 'seed': config.seed,
      'training': trained.training, 'checkpoint': args.checkpoint,
      'env_step': trained.env_step, 'seen_in_training': seen,
      'episodes': args.episodes, 'evaluation_seed': args.seed}
  known = {_key(x): x for x in _earlier(out / 'evaluation.json', results)}
  written = ['evaluation.json', 'robustness.png']
  clean: list = []
  for condition in conditions:
    result = None
    if condition['strength'] or condition['kind'] == 'clean':
      result = _evaluate(trained, condition, args)
      returns = [round(float(x), 3) for x in result.returns]
      clean = clean or returns
    else:
      returns = clean  # With the same initial states and noise.
    known[_key(condition)] = {**condition, 'returns': returns}
    results['conditions'] = [*known.values()]
    if result and condition['kind'] == 'clean' and len(result.predicted):
      results['value'] = _value(result)
    # Each time: whatever ends this early leaves what was done.
    with files.replacing(out / 'evaluation.json') as part:
      part.write_text(json.dumps(results, indent=1))
    # One video per kind, of a sweep the one at the default strength.
    shown = 0.0
    if condition['kind'] != 'clean':
      shown = perturbations.check(
          condition['kind'], args.strength)['strength']
    name = f'{condition["kind"]}.gif'
    if result and condition['strength'] == shown:
      if pictures.video(trained.agent, result, out / name):
        written.append(name)
  pictures.draw(results, out / 'robustness.png')
  if rules.decodes_nothing(config):
    print('No videos: this agent decodes nothing.')
  print(f'Results are in {out}: {", ".join(sorted(written))}')


def evaluate(
    run, episodes=10, perturbation=None, strength=None, per=None, fill='zero',
    background=None, seed=0, checkpoint='latest'):
  """Evaluates a trained agent in its environment, as the command does.

  Args:
    run: pathlib.Path or str, the logdir of a run.
    episodes: int >= 1.
    perturbation: str, a key of `perturbations.KINDS`; None: clean.
    strength, per, fill: see `perturbations.Perturb`; in the scene `per` may
      be `walk` as well.
    background: folder of pictures for `background`; None: random colors.
    seed: int, of initial states, the agent's latents and the perturbation.
    checkpoint: `latest`, `best`, or an agent step that is still kept.

  Returns:
    dict of arrays: `returns` float64 [episodes]; `lengths` int64 [episodes], in
    agent steps; `values` and `realised`, float64 [states], the critic's values
    and the discounted returns that followed; `episode`, the first episode, a
    dict of arrays [T + 1, ...]. And what was evaluated: `env_step`, int,
    `condition`, a dict, and `seen_in_training`, str, how its training perturbed
    images on purpose.

  Raises:
    UsageError: if the run, its checkpoint or a perturbation cannot be used.
  """
  args = argparse.Namespace(
      episodes=episodes, strength=strength, per=per, fill=fill, seed=seed,
      perturb=[perturbation or 'none'], sweep=False, threads=0, agent=None,
      video=None, background=background)
  check(args)
  run = files.expanded(run)
  config = config_lib.saved(run)
  rendering.choose_backend(environments.renders(config))
  from . import load
  load.set_up(config, 0, seed)
  trained = load.load_trained(run, checkpoint)
  condition = conditions_lib.listed(args, config, _seen(trained))[-1]
  found = _measured(trained, condition, episodes, seed)
  return {
      'returns': found.returns,
      'lengths': np.array([len(x['reward']) - 1 for x in found.episodes]),
      'values': found.predicted, 'realised': found.realised,
      'episode': found.episode, 'env_step': trained.env_step,
      'condition': condition,
      'seen_in_training': methods.seen_in_training(config.flat)}


def _earlier(path, results):
  """Conditions that were evaluated before, of the same agent and alike.

  An evaluation of another kind, or a damaged one, is quarantined.
  """
  if not path.exists():
    return []
  step = 'damaged'
  try:
    before = json.loads(path.read_text('utf-8'))
    seen = results['seen_in_training']  # Older files have neither.
    before = {'training': None, 'seen_in_training': seen, **before}
    conditions = before.pop('conditions')
    before.pop('value', None)
    if before == results and all(
        _key(x) and x['returns'] and np.isfinite(np.mean(x['returns']))
        for x in conditions):
      return conditions
    step = f'step_{int(before["env_step"])}'
  except (
      OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError,
      OverflowError):
    pass
  kept = files.quarantine(path, step)
  print(
      'There was an evaluation with other settings, or of another training; it '
      f'is now {kept}.')
  return []


def _key(condition):
  return tuple(condition[x] for x in ('kind', 'strength', 'per', 'fill'))


def check(args):
  """Refuses arguments that are invalid for any run.

  Args:
    args: namespace of `add_arguments`.

  Raises:
    UsageError: if there is one.
  """
  errors.at_least(args, episodes=1, threads=0, seed=0)
  evaluate_exported.check(args)
  conditions_lib.check(args)


def _seen(trained):
  encoder, spaces = trained.agent.wm.encoder, trained.agent.obs_space
  return {k: spaces[k] for k in (*encoder.cnn_keys, *encoder.mlp_keys)}


def _measured(trained, condition, episodes, seed, on_step=None):
  """Runs the episodes of a condition: a rollout.Evaluation."""
  from ..agent import tf_setup
  from . import rollout
  # Every condition has the same initial states, and the same noise in the
  # agent's latents.
  tf_setup.seed(seed)
  env, = environments.make_envs(
      trained.config, 'eval', 1, seed + 5000,
      condition if condition['kind'] != 'clean' else None)
  try:
    return rollout.evaluate(trained.agent, env, episodes, on_step)
  finally:
    env.close()


def _evaluate(trained, condition, args):
  """Runs the episodes of a condition and says how it went."""
  name, live = pictures.label(condition), sys.stdout.isatty()
  steps, shown = 0, time.time()

  def on_step():
    nonlocal steps, shown
    steps += 1
    if time.time() - shown > (0.5 if live else 30):
      shown = time.time()
      print(f'  {name}: step {steps:,}', end='\r' * live or '\n', flush=True)

  result = _measured(trained, condition, args.episodes, args.seed, on_step)
  returns = result.returns
  spread = f' ± {metrics_file.sample_std(returns):.1f}' * (len(returns) > 1)
  print(
      f'  {name}: return {returns.mean():.1f}{spread} '
      f'(min {returns.min():.1f}, max {returns.max():.1f})', flush=True)
  return result


def _value(result):
  """Compares the critic's values with the returns, in words and as a dict."""
  predicted, realised = result.predicted, result.realised
  print(
      f'  The critic predicts {predicted.mean():.1f} where the policy then '
      f'got {realised.mean():.1f} (discounted).')
  return {
      'predicted': float(predicted.mean()), 'realised': float(realised.mean()),
      'error': float(np.abs(predicted - realised).mean()),
      'states': len(predicted)}
