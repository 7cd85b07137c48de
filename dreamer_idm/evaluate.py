"""Evaluates a trained agent, clean and under perturbations at test time only.

Writes evaluation.json, robustness.png and, for agents that see images, a
video per condition: what the agent saw beside what its model makes of it.
"""

import json
import pathlib
import sys
import time

import matplotlib
import numpy as np

from . import config as config_lib
from . import environments
from . import perturbations
from . import pictures
from . import rendering
from .errors import UsageError

SWEEP = (0.0, 1.0, 2.0, 3.0, 4.0)  # Times a kind's default strength.


def add_arguments(parser):
  """Declares the command line.

  Args:
    parser: argparse.ArgumentParser.
  """
  kinds = ', '.join(
      f'{k} ({v.strength:g}: {v.unit})' for k, v in perturbations.KINDS.items())
  add = parser.add_argument
  add('--logdir', required=True, help='folder of a run')
  add('--checkpoint', default='latest',
      help='latest, best, or an agent step that is still kept')
  add('--episodes', type=int, default=10, help='per condition (default 10)')
  add('--perturb', nargs='+', default=['all'], metavar='KIND',
      help=f'all, none, or some of {kinds}')
  add('--strength', type=float,
      help='of the perturbation, instead of its default in brackets above')
  add('--per', choices=perturbations.PER,
      help='how often it is drawn (default: frame for rotation and noise, '
      'episode for the others)')
  add('--fill', choices=list(perturbations.FILL), default='zero',
      help='what comes in at the edges of an image')
  add('--sweep', action='store_true',
      help='strengths from 0 to four times the default (rotation: 0 to 20)')
  add('--seed', type=int, default=0, help='of initial states and perturbations')
  add('--threads', type=int, default=0, help='CPU threads, 0: one per core')
  add('--out', help='folder for the results (default: evaluation in the run)')


def run(args):
  """Evaluates and writes the results.

  Args:
    args: namespace of `add_arguments`.

  Raises:
    UsageError: if the run, its checkpoint or a perturbation cannot be used.
  """
  _check(args)
  logdir = pathlib.Path(args.logdir)
  config = config_lib.saved(logdir)
  out = pathlib.Path(args.out or logdir / 'evaluation')
  rendering.choose_backend(environments.sees_images(config))
  from . import agents  # TensorFlow only comes now: mistakes answer at once.
  from . import runtime
  runtime.configure(config.precision, args.threads, config.jit)
  runtime.seed(args.seed)  # What is traced while loading keeps the seed.
  trained = agents.load(logdir, args.checkpoint)
  conditions = _conditions(args, trained)
  _make(out)
  print(
      f'{config.task}, {config.method}, seed {config.seed}: '
      f'{trained.checkpoint} at env step {trained.env_step:,}, '
      f'{args.episodes} episodes in each of {len(conditions)} conditions.',
      flush=True)
  results = {
      'task': config.task, 'method': config.method, 'seed': config.seed,
      'checkpoint': args.checkpoint, 'env_step': trained.env_step,
      'episodes': args.episodes, 'conditions': []}
  for condition in conditions:
    result = _evaluate(trained, condition, args)
    results['conditions'].append({**condition, 'returns': [
        round(float(x), 3) for x in result.returns]})
    if condition['kind'] == 'clean' and len(result.predicted):
      results['value'] = _value(result)
    if condition['strength'] == _shown_strength(condition, args):
      video(trained.agent, result, out / f'{condition["kind"]}.gif')
  pictures.save(out / 'evaluation.json', lambda f: f.write(
      json.dumps(results, indent=1).encode()))
  draw(results, out / 'robustness.png')
  print(f'Results are in {out}: ' + ', '.join(
      sorted(x.name for x in out.iterdir())))


def _check(args):
  if args.episodes < 1:
    raise UsageError(f'--episodes must be >= 1, but is {args.episodes}')
  if args.threads < 0:
    raise UsageError(f'--threads must be >= 0, but is {args.threads}')
  if args.strength is not None and args.sweep:
    raise UsageError('--strength and --sweep exclude each other')
  for kind in args.perturb:
    if kind not in ('all', 'none'):
      perturbations.check(kind, args.strength, args.per, args.fill)


def _make(folder):
  try:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / '.write').touch()
    (folder / '.write').unlink()
  except OSError as error:
    raise UsageError(
        f'cannot write to {folder}: {error.strerror}; choose another folder '
        'with --out') from error


def _conditions(args, trained):
  encoder, spaces = trained.agent.wm.encoder, trained.agent.obs_space
  seen = [*encoder.cnn_keys, *encoder.mlp_keys]
  possible = perturbations.kinds_for({k: spaces[k] for k in seen})
  kinds = possible if 'all' in args.perturb else [
      x for x in args.perturb if x != 'none']
  conditions = [{'kind': 'clean', 'strength': 0.0, 'per': '', 'fill': ''}]
  for kind in dict.fromkeys(kinds):
    if kind not in possible:
      raise UsageError(
          f'{kind} changes nothing here: this agent observes '
          f'{", ".join(seen)}; choose from '
          f'{", ".join(possible)}')
    rule = perturbations.KINDS[kind]
    strengths = [args.strength]
    if args.sweep:
      strengths = [min(x * rule.strength, rule.most) for x in SWEEP]
    conditions += [
        perturbations.check(kind, x, args.per, args.fill)
        for x in dict.fromkeys(strengths)]
  return conditions


def _evaluate(trained, condition, args):
  from . import evaluation
  from . import runtime
  # Every condition meets the same initial states, and the same noise in the
  # agent's latents.
  runtime.seed(args.seed)
  perturb = None if condition['kind'] == 'clean' else condition
  env, = environments.make_envs(
      trained.config, 'eval', 1, args.seed + 5000, perturb)
  steps, shown = 0, time.time()

  def on_step():
    nonlocal steps, shown
    steps += 1
    if time.time() - shown > (0.5 if sys.stdout.isatty() else 30):
      shown = time.time()
      end = '\r' if sys.stdout.isatty() else '\n'
      print(f'  {_label(condition)}: step {steps:,}', end=end, flush=True)

  try:
    result = evaluation.evaluate(trained.agent, env, args.episodes, on_step)
  finally:
    env.close()
  returns = result.returns
  print(
      f'  {_label(condition)}: return {returns.mean():.1f} +- '
      f'{returns.std():.1f} (min {returns.min():.1f}, max {returns.max():.1f})',
      flush=True)
  return result


def _value(result):
  predicted, realised = result.predicted, result.realised
  print(
      f'  The critic predicts {predicted.mean():.1f} where the policy then '
      f'got {realised.mean():.1f} (discounted).')
  return {
      'predicted': float(predicted.mean()), 'realised': float(realised.mean()),
      'error': float(np.abs(predicted - realised).mean()),
      'states': len(predicted)}


def _shown_strength(condition, args):
  # One video per kind, of a sweep the one at the default strength.
  if args.strength is not None or condition['kind'] == 'clean':
    return condition['strength']
  return perturbations.KINDS[condition['kind']].strength


def _label(condition, space=' '):
  if condition['kind'] == 'clean':
    return 'clean'
  return f'{condition["kind"]}{space}{condition["strength"]:.4g}'


def video(agent, result, path):
  """Writes what the agent saw beside what its model reconstructs.

  Args:
    agent: upstream's Agent or a subclass.
    result: evaluation.Evaluation.
    path: pathlib.Path of the GIF; nothing is written if the agent decodes no
      images.
  """
  import tensorflow as tf
  decoder = agent.wm.heads['decoder']
  if not decoder.cnn_keys:
    return
  key = decoder.cnn_keys[0]
  feat = tf.constant(result.feat)
  made = np.concatenate([
      decoder(x)[key].mode().numpy() for x in tf.split(feat, [
          min(50, len(feat) - i) for i in range(0, len(feat), 50)])])
  made = np.clip(255 * (made + 0.5), 0, 255).astype(np.uint8)
  seen = result.episode[key][:len(made)]
  pictures.policy_video(np.concatenate([seen, made], 2), path)


def draw(results, path):
  """Draws returns by perturbation; against strength where there are several.

  Args:
    results: dict, the contents of evaluation.json.
    path: pathlib.Path of the PNG.
  """
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  clean, *others = results['conditions']
  kinds: dict = {}
  for condition in others:
    kinds.setdefault(condition['kind'], []).append(condition)
  curves = {k: v for k, v in kinds.items() if len(v) > 1}
  bars = [clean] + [v[0] for v in kinds.values() if len(v) == 1]
  panels = len(curves) + bool(len(bars) > 1 or not curves)
  columns = min(3, panels)
  figure, axes = plt.subplots(
      -(-panels // columns), columns, squeeze=False, layout='constrained',
      figsize=(max(5.6, 3.4 * columns), 3.3 * -(-panels // columns)))
  panel = iter(axes.flat)
  if len(bars) > 1 or not curves:
    ax = next(panel)
    ax.bar(
        [_label(x) for x in bars], [np.mean(x['returns']) for x in bars],
        yerr=[np.std(x['returns']) for x in bars], capsize=3,
        color=['C7'] + ['C0'] * (len(bars) - 1), error_kw={'lw': 1})
    ax.tick_params(axis='x', labelrotation=90 if len(bars) > 3 else 0)
    ax.set_ylabel('episode return')
    ax.set_ylim(bottom=0)
  for ax, (kind, found) in zip(panel, curves.items()):
    found = sorted(found, key=lambda x: x['strength'])
    strengths = [x['strength'] for x in found]
    middle = np.array([np.mean(x['returns']) for x in found])
    std = np.array([np.std(x['returns']) for x in found])
    ax.axhline(
        np.mean(clean['returns']), color='C7', lw=1, ls=':', label='clean')
    ax.plot(strengths, middle, marker='o', ms=3)
    ax.fill_between(strengths, middle - std, middle + std, alpha=0.15, lw=0)
    ax.set(
        xlabel=f'{kind}: {perturbations.KINDS[kind].unit}',
        ylabel='episode return')
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)
  for ax in panel:
    ax.set_axis_off()
  figure.suptitle(
      f'{results["task"]}, {results["method"]}, seed {results["seed"]}, '
      f'{results["env_step"]:,} env steps; {results["episodes"]} episodes, '
      'std over them', fontsize=9)
  pictures.save(path, lambda f: figure.savefig(f, format='png', dpi=130))
  plt.close(figure)
