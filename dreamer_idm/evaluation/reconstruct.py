"""Shows how runs decode noisy latents (the paper's Figure 1), and measures it.

Every latent dimension, h and s alike, gets noise from N(0, sigma). Figure 1
shows the decodings at one sigma; the drift is the distance from the decoding
without noise, over sigma from 0 to 1. One run or several; all see the same
episodes, one from each run's policy, and the same noise. Writes drift.json,
drift.png and, for agents that decode images, figure1.png.
An earlier drift.json of anything else is quarantined.
"""

import json

import numpy as np

from .. import errors
from ..config import load as config_lib
from ..config import rules
from ..envs import environments
from ..envs import rendering
from ..errors import UsageError
from ..runs import files
from . import pictures

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
  configs = _check(args)
  out = args.out or args.runs[0] / 'reconstruct'
  rendering.choose_backend(environments.renders(configs[0]))
  drifts, rows = _compare(args, configs, out)
  task = configs[0].task
  results = {
      'sigma': SIGMAS.round(3).tolist(), 'task': task, 'frames': args.frames,
      'evaluation_seed': args.seed, 'runs': drifts}
  _quarantine_another(out / 'drift.json', results)
  with files.replacing(out / 'drift.json') as part:
    part.write_text(json.dumps(results, indent=1))
  pictures.draw_drift(results, out / 'drift.png')
  names = ['drift.json', 'drift.png']
  if rows:
    names.append('figure1.png')
    pictures.draw_figure1(
        rows, f'{task}: decodings of latents with N(0, {args.sigma:g}) noise '
        'on every dimension', out / 'figure1.png')
  print(f'Results are in {out}: {", ".join(names)}')


def _quarantine_another(path, results):
  """Renames an earlier drift.json of other settings, or a damaged one."""
  if not path.exists():
    return
  step = 'damaged'
  try:
    before = json.loads(path.read_text('utf-8'))
    if _identity(before) == _identity(results):
      return
    step = f'step_{int(before["runs"][0]["env_step"])}'
  except (
      OSError, ValueError, LookupError, TypeError, AttributeError,
      RecursionError, OverflowError):
    pass
  kept = files.quarantine(path, step)
  print(
      'There was a drift.json of other settings or trainings; it is now '
      f'{kept}.')


def _identity(results):
  """What a drift.json is of: all but the numbers that were measured."""
  return {**results, 'runs': [
      {k: v for k, v in x.items() if k not in ('kl', 'pixel_error')}
      for x in results['runs']]}


def _check(args):
  """Refuses what cannot be compared; returns the runs' configs."""
  if not 0 <= args.sigma <= 100:
    raise UsageError(f'--sigma must be from 0 to 100, but is {args.sigma}')
  errors.at_least(args, frames=1, threads=0, seed=0)
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
            'must have the same task and observations')
  return configs


def _compare(args, configs, out):
  """Measures all runs: list of their drifts, and dict of Figure 1's rows."""
  # TensorFlow only comes now: mistakes answer at once.
  import tensorflow as tf

  from ..idm import decoding_constraint
  from . import load
  from . import rollout
  trained, episodes = [], []
  for path, config in zip(args.runs, configs):
    load.set_up(config, args.threads, args.seed)
    one = load.load_trained(path, args.checkpoint)
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
  methods = [x.method for x in configs]
  labels = methods if len({*methods}) == len(methods) else [
      f'{x} {path}' for x, path in zip(methods, args.runs)]
  drifts, rows = [], dict[str, np.ndarray]()
  for label, one in zip(labels, trained):
    load.set_up(one.config, args.threads, args.seed)
    tf.config.run_functions_eagerly(True)  # Or whole episodes would be traced.
    wm = one.agent.wm
    stoch, deter, frames = _states(one.agent, episodes, args.frames)
    drift = measure(wm, stoch, deter, SIGMAS)
    drifts.append({
        'label': label, 'task': one.config.task, 'method': one.config.method,
        'seed': one.config.seed, 'env_step': one.env_step,
        'training': one.training, **drift})
    for key, images in [*frames.items()][:1]:  # None without images.
      picked = np.linspace(0, len(images) - 1, COLUMNS).round().astype(int)
      rows.setdefault('original', images[picked])
      for name, state in {
          'no noise': (stoch, deter), f'noise {args.sigma:g}':
          decoding_constraint.perturb(stoch, deter, args.sigma, args.sigma),
      }.items():
        rows[f'{label}\n{name}'] = pictures.pixels(
            _decode(wm, *state)[key].numpy()[picked])
    middle = int(np.argmin(abs(SIGMAS - args.sigma)))
    print(
        f'{label}: at sigma {SIGMAS[middle]:.1f} the decoder drifts by '
        f'{drift["kl"][middle]:.3g} nats, {drift["pixel_error"][middle]:.3g} '
        'rms per output', flush=True)
  tf.config.run_functions_eagerly(False)
  return drifts, rows


def _states(agent, episodes, count):
  """Evenly picked posterior states, [n, S] and [n, D], and their frames."""
  import tensorflow as tf
  wm, stoch, deter, frames = agent.wm, [], [], []
  for episode in episodes:
    data = wm.preprocess({k: v[None] for k, v in episode.items()})
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
  # This imports TensorFlow.
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
  """Means of all decoder heads at states [n, S] and [n, D]."""
  feat = world_model.rssm.get_feat({'stoch': stoch, 'deter': deter})
  return {k: v.mean() for k, v in world_model.heads['decoder'](feat).items()}
