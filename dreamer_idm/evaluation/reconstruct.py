"""Shows how runs decode noisy latents (the paper's Figure 1), and measures it.

Every latent dimension, h and s alike, gets noise from N(0, sigma). Figure 1
shows the decodings at one sigma; the drift is the distance from the decoding
without noise, over sigma from 0 to 1. One run or several; all look at the same
episodes, one from each run's policy. Writes drift.json, drift.png and, for
agents that decode images, figure1.png.
"""

import json

import matplotlib
import numpy as np

from ..config import load as config_lib
from ..config import rules
from ..envs import environments
from ..envs import rendering
from ..errors import UsageError
from ..runs import files
from ..runs import plots

EXAMPLE = (
    'dreamer-idm reconstruct logdir/dmc_cheetah_run/dreamer/0 '
    'logdir/dmc_cheetah_run/idm/0')
SIGMAS = np.linspace(0, 1, 11)
COLUMNS = 8  # Frames in Figure 1.
SAME = (
    'task', 'action_repeat', 'render_size', 'time_limit', 'encoder.cnn_keys',
    'encoder.mlp_keys', 'decoder.cnn_keys', 'decoder.mlp_keys')


def add_arguments(parser):
  """Declares the command line.

  Args:
    parser: argparse.ArgumentParser.
  """
  add = parser.add_argument
  add('runs', nargs='+', metavar='RUN', type=files.expanded,
      help='folders of trained runs')
  add('--sigma', type=float, default=0.5,
      help='std of the noise in Figure 1 (default 0.5, the paper\'s)')
  add('--checkpoint', default='latest',
      help='latest, best, or an agent step that is still kept')
  add('--frames', type=int, default=200,
      help='states that the drift is measured on (default 200)')
  add('--seed', type=int, default=0, help='of episodes and noise')
  add('--threads', type=int, default=0, help='CPU threads, 0: one per core')
  add('--out', type=files.expanded,
      help='folder for the results (default: reconstruct in the first run)')


def run(args):
  """Compares the runs and writes the results.

  Args:
    args: namespace of `add_arguments`.

  Raises:
    UsageError: if the runs cannot be used, or compared.
  """
  if not 0 <= args.sigma <= 100:
    raise UsageError(f'--sigma must be from 0 to 100, but is {args.sigma}')
  if args.frames < 1:
    raise UsageError(f'--frames must be >= 1, but is {args.frames}')
  if args.threads < 0:
    raise UsageError(f'--threads must be >= 0, but is {args.threads}')
  configs = [config_lib.saved(x) for x in args.runs]
  for path, config in zip(args.runs, configs):
    if rules.decodes_nothing(config):
      raise UsageError(
          f'{path} ({config.method}) was trained without a decoder: there is '
          'nothing to reconstruct')
    for key in SAME:
      ours, first = config.flat[key], configs[0].flat[key]
      if ours != first:
        raise UsageError(
            f'{path} has {key} {ours}, but {args.runs[0]} has {first}: runs '
            'must share their task and what they observe')
  out = args.out or args.runs[0] / 'reconstruct'
  rendering.choose_backend(environments.renders(configs[0]))
  results = _compare(args, configs, out)
  with files.replacing(out / 'drift.json') as part:
    part.write_text(json.dumps({
        'sigma': SIGMAS.round(3).tolist(), 'task': configs[0].task,
        'frames': args.frames, 'runs': [x['drift'] for x in results]},
        indent=1))
  draw_drift([x['drift'] for x in results], configs[0].task, out / 'drift.png')
  names = ['drift.json', 'drift.png']
  if results[0]['rows']:
    names.append('figure1.png')
    draw_figure(results, args.sigma, configs[0].task, out / 'figure1.png')
  print(f'Results are in {out}: {", ".join(names)}')


def _compare(args, configs, out):
  # TensorFlow only comes now: mistakes answer at once.
  import tensorflow as tf

  from ..agent import tf_setup
  from . import rollout
  from .load import load_trained

  def as_trained(config):
    # Looked up where a layer is called or traced, so before each use of a run.
    tf_setup.configure(
        config.precision, args.threads, config.jit, config.fast)

  trained, episodes = [], []
  for path, config in zip(args.runs, configs):
    as_trained(config)
    tf_setup.seed(args.seed)
    one = load_trained(path, args.checkpoint)
    env, = environments.make_envs(one.config, 'eval', 1, args.seed + 7000)
    result = rollout.evaluate(one.agent, env, 1)
    env.close()
    files.folder(out)
    trained.append(one)
    episodes.append(result.episode)
    print(
        f'{path}: {one.config.method}, checkpoint {one.checkpoint} at env '
        f'step {one.env_step:,}, an episode of return {result.returns[0]:.0f}',
        flush=True)
  labels = _labels([x.config for x in trained], args.runs)
  results = []
  for label, one in zip(labels, trained):
    as_trained(one.config)
    tf.config.run_functions_eagerly(True)  # Or whole episodes would be traced.
    stoch, deter, frames = _states(one.agent, episodes, args.frames)
    drift = measure(one.agent.wm, stoch, deter, SIGMAS)
    results.append({
        'drift': {
            'label': label, 'task': one.config.task,
            'method': one.config.method, 'seed': one.config.seed,
            'env_step': one.env_step, **drift},
        'rows': _rows(one.agent.wm, stoch, deter, frames, args.sigma)})
    middle = int(np.argmin(abs(SIGMAS - args.sigma)))
    print(
        f'{label}: at sigma {SIGMAS[middle]:.1f} the decoder drifts by '
        f'{drift["kl"][middle]:.3g} nats, {drift["pixel_error"][middle]:.3g} '
        'rms per output', flush=True)
  tf.config.run_functions_eagerly(False)
  return results


def _labels(configs, paths):
  methods = [x.method for x in configs]
  if len(set(methods)) == len(methods):
    return methods
  return [f'{x.method} {path}' for x, path in zip(configs, paths)]


def _states(agent, episodes, count):
  # Posterior states of all episodes, evenly picked; in the order of time.
  import tensorflow as tf
  wm, stoch, deter, frames = agent.wm, [], [], []
  for episode in episodes:
    data = {k: tf.constant(v[None]) for k, v in episode.items()}
    data = wm.preprocess(data)
    post, _ = wm.rssm.observe(
        wm.encoder(data), data['action'], data['is_first'])
    stoch.append(post['stoch'][0])
    deter.append(post['deter'][0])
    frames.append({k: episode[k] for k in wm.heads['decoder'].cnn_keys})
  total = sum(len(x) for x in stoch)
  picked = np.linspace(0, total - 1, min(count, total)).round().astype(int)
  return (
      tf.gather(tf.concat(stoch, 0), picked),
      tf.gather(tf.concat(deter, 0), picked),
      {k: np.concatenate([x[k] for x in frames])[picked] for k in frames[0]})


def measure(world_model, stoch, deter, sigmas, draws=4):
  """Measures how far noise on the latents moves the decodings.

  Args:
    world_model: upstream's WorldModel or a subclass.
    stoch: float tensor [n, S], posterior states.
    deter: float tensor [n, D].
    sigmas: list of float, standard deviations of the noise on both.
    draws: int, noise samples per state.

  Returns:
    dict of lists, one number per sigma: `kl`, in nats, the mean KL between
    unit-variance Gaussians around the two decodings (the constraint's), and
    `pixel_error`, the root mean square difference over states, draws and
    outputs; of images, as a fraction of white.
  """
  from ..idm import decoding_constraint
  clean = _decode(world_model, stoch, deter)
  size = sum(np.prod(x.shape[1:]) for x in clean.values())
  result: dict = {'kl': [], 'pixel_error': []}
  for sigma in sigmas:
    kl = [
        decoding_constraint.decoding_kl(clean, _decode(
            world_model, *decoding_constraint.perturb(
                stoch, deter, float(sigma), float(sigma))), 1).numpy()
        for _ in range(draws)]
    result['kl'].append(float(np.mean(kl)))
    # The KL is half the summed square, so one mean is that of all squares.
    result['pixel_error'].append(float(np.sqrt(2 * np.mean(kl) / size)))
  return result


def _decode(world_model, stoch, deter):
  feat = world_model.rssm.get_feat({'stoch': stoch, 'deter': deter})
  return {k: v.mean() for k, v in world_model.heads['decoder'](feat).items()}


def _rows(world_model, stoch, deter, frames, sigma):
  # Rows of Figure 1: title -> frames; nothing without images.
  from ..idm import decoding_constraint
  if not frames:
    return {}
  key = next(iter(frames))
  picked = np.linspace(0, len(stoch) - 1, COLUMNS).round().astype(int)
  noisy = decoding_constraint.perturb(stoch, deter, sigma, sigma)

  def images(state):
    mean = _decode(world_model, *state)[key].numpy()[picked]
    return np.clip(255 * (mean + 0.5), 0, 255).astype(np.uint8)

  return {
      'original': frames[key][picked], 'clean': images((stoch, deter)),
      'noisy': images(noisy)}


def draw_figure(results, sigma, task, path):
  """Draws the paper's Figure 1: frames, and decodings with and without noise.

  Args:
    results: list of dicts with `drift` and `rows`, one per run.
    sigma: float, std of the noise.
    task: str.
    path: pathlib.Path of the PNG.
  """
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  rows = [('original', results[0]['rows']['original'])]
  for result in results:
    label = result['drift']['label']
    rows.append((f'{label}\nno noise', result['rows']['clean']))
    rows.append((f'{label}\nnoise {sigma:g}', result['rows']['noisy']))
  figure, axes = plt.subplots(
      len(rows), COLUMNS, figsize=(1.1 * COLUMNS + 0.8, 1.1 * len(rows) + 0.4),
      layout='constrained')
  for row, (title, images) in zip(axes, rows):
    row[0].set_ylabel(
        title, rotation=0, ha='right', va='center', fontsize=8)
    for ax, image in zip(row, plots.shown(images)):
      ax.imshow(image if image.shape[-1] > 1 else image[..., 0], cmap='gray')
      ax.set(xticks=[], yticks=[])
  figure.suptitle(
      f'{task}: decodings of latents with N(0, {sigma:g}) noise on every '
      'dimension', fontsize=9)
  with files.replacing(path) as part:
    figure.savefig(part, dpi=130)
  plt.close(figure)


def draw_drift(drifts, task, path):
  """Draws drift over sigma.

  Args:
    drifts: list of dicts with `label`, `kl` and `pixel_error` over SIGMAS.
    task: str.
    path: pathlib.Path of the PNG.
  """
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout='constrained')
  for ax, key, text in zip(axes, ('kl', 'pixel_error'), (
      'KL from the clean decoding, nats',
      'root mean square change per output')):
    for drift in drifts:
      ax.plot(
          SIGMAS, drift[key], marker='o', ms=3,
          label=f'{drift["label"]}, {drift["env_step"]:,} env steps')
    ax.set(xlabel='sigma of the noise on h and s', ylabel=text)
    plots.from_zero(ax, 0)
    ax.grid(alpha=0.3)
  axes[0].legend(frameon=False, fontsize=8)
  figure.suptitle(f'{task}: drift of the decoder', fontsize=9)
  with files.replacing(path) as part:
    figure.savefig(part, dpi=130)
  plt.close(figure)
