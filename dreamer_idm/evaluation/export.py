"""Exports a trained agent: what acts, without the package and the training.

Writes saved_model (acts with TensorFlow alone), policy.onnx if tf2onnx is
installed, agent.json (what goes in and out, where it comes from, its scores),
config.yaml and spaces.json. Each model has acted as the agent on real steps
before anything is written.
"""

import contextlib
import json
import shutil
import time

import numpy as np

from .. import display
from .. import errors
from ..config import load as config_lib
from ..envs import environments
from ..envs import rendering
from ..errors import TrainingError
from ..errors import UsageError
from ..runs import files
from ..runs import metrics_file
from ..runs import provenance
from ..runs import spaces

EXAMPLE = (
    'dreamer-idm export logdir/dmc_cartpole_balance/idm/0 --out '
    'agents/cartpole_balance')
STEPS = 100  # On which the models are compared with the agent.
# The largest difference of a state or an action, by the run's precision. In
# half precision the recurrence rounds differently in another graph.
TOLERANCE = {'32': 1e-4, 'bf16': 0.1, '16': 0.1}
# Of provenance.jsonl, what says nothing about the machine's folders.
KEPT = ('time', 'version', 'commit', 'dirty', 'packages', 'python', 'device')


def add_arguments(parser):
  """Declares the command line.

  Args:
    parser: argparse.ArgumentParser.
  """
  add = parser.add_argument
  add('run', type=files.expanded, help='folder of a run')
  add('--out', required=True, type=files.expanded, help='folder to be made')
  add('--checkpoint', default='latest',
      help='latest, best, or an agent step that is still kept')
  add('--batch', type=int, default=1,
      help='environments that are acted in at once (default 1)')
  add('--episodes', type=int, default=5,
      help='whose returns are measured (default 5)')
  add('--seed', type=int, default=0, help='of the environment')


def run(args):
  """Exports and checks.

  Args:
    args: namespace of `add_arguments`.

  Raises:
    UsageError: if the run cannot be used, or the folder exists.
    TrainingError: if the exported policy does not act as the agent.
  """
  errors.at_least(args, batch=1, episodes=1, seed=0)
  if args.out.exists():
    raise UsageError(
        f'{args.out} exists: delete it, or choose another folder with --out')
  config = config_lib.saved(args.run)
  if (config.actor.dist == 'tanh_normal' and args.batch > 1
      and config.agent != 'drq'):  # It has a policy of its own.
    raise UsageError(
        '--batch must be 1 for actor.dist tanh_normal, whose mode is that of '
        'one row')
  rendering.choose_backend(environments.renders(config))
  # TensorFlow only comes now: mistakes answer at once.
  from . import load
  load.set_up(config, 0, args.seed)
  trained = load.load_trained(args.run, args.checkpoint)
  found = load.saved_spaces(args.run)
  if found is None:
    raise UsageError(
        f'{args.run} has no {spaces.NAME}: resume it once by the command that '
        'trained it (with what it has, it only writes this file)')
  files.folder(args.out.parent)
  with files.replacing(args.out) as folder:
    folder.mkdir(exist_ok=True)
    facts = _export(trained, found, folder, args)
  returns = np.array(facts['scores']['returns'])
  print(
      f'{args.out}: {config.task}, {config.method} at env step '
      f'{trained.env_step:,}, return {returns.mean():.1f} of '
      f'{display.counted(len(returns), "episode")} by the SavedModel.')
  for name, size in facts['bytes'].items():
    print(
        f'  {name}: {size / 1e3:,.0f} KB, '
        f'{facts["milliseconds"][name]:.2f} ms an action, at most '
        f'{facts["check"][name]:.1g} from the agent in {STEPS} steps.')
  print(f'  The agent itself: {facts["milliseconds"]["agent"]:.2f} ms.')
  if facts['no_onnx']:
    print(f'  No policy.onnx: {facts["no_onnx"]}')


def _export(trained, found, folder, args):
  """Writes the folder's files; returns what agent.json says, a dict."""
  from . import exported
  from . import exported_model
  config = trained.config
  module = exported.Exported(trained, found.action, args.batch)
  interface = module.describe()
  acts, why = write_models(module, folder)
  with _environment(config, args.seed) as env:
    times, recorded = _recorded(trained, env, interface)
  differences = {}
  for name, act in acts.items():
    times[name], differences[name] = compared(
        act, interface, recorded, name, trained.agent)
  random = np.random.default_rng(args.seed)
  with _environment(config, args.seed) as env:
    episodes = [
        exported_model.episode(acts['saved_model'], interface, env, random)
        for _ in range(args.episodes)]
  rows = metrics_file.read(args.run)
  last = [x for x in rows if 'eval_return' in x][-1:]
  facts = {
      'task': config.task, 'method': config.method, 'seed': config.seed,
      'env_step': trained.env_step, 'checkpoint': trained.checkpoint,
      'training': trained.training, 'action_repeat': config.action_repeat,
      'interface': interface,
      'scores': {
          'returns': [float(x['reward'].sum()) for x in episodes],
          'evaluation_seed': args.seed,
          'while_training': {
              k: v for x in last for k, v in x.items()
              if k == 'step' or k.startswith('eval') and 'return' in k}},
      'check': differences, 'milliseconds': times, 'no_onnx': why,
      'bytes': {k: size(folder / k) for k in acts},
      'provenance': [
          {k: x.get(k) for k in KEPT} for x in provenance.read(args.run)[-1:]]}
  (folder / 'agent.json').write_text(json.dumps(facts, indent=1) + '\n')
  config_lib.save(config.update({'logdir': ''}), folder / 'config.yaml')
  shutil.copyfile(args.run / spaces.NAME, folder / spaces.NAME)
  return facts


def write_models(module, folder):
  """Writes the SavedModel, and ONNX if that is possible.

  Args:
    module: exported.Exported.
    folder: pathlib.Path, existing.

  Returns:
    dict of file name -> function, see `exported_model.load`; and str, why
    there is no ONNX model, empty if there is one.
  """
  import tensorflow as tf

  from . import exported
  from . import exported_model
  tf.saved_model.save(module, str(folder / 'saved_model'))
  acts = {'saved_model': exported_model.load(folder / 'saved_model')}
  path = folder / 'policy.onnx'
  try:
    module.to_onnx(path)
    acts['policy.onnx'] = exported_model.load_onnx(path)
  except Exception as error:
    path.unlink(missing_ok=True)
    return acts, exported.why_no_onnx(error)
  return acts, ''


def _environment(config, seed):
  # With the initial states that `evaluate` begins with.
  env, = environments.make_envs(config, 'eval', 1, seed + 5000)
  return contextlib.closing(env)


def _recorded(trained, env, interface):
  """Steps of the agent in its environment, and how long it took for them.

  Returns a dict of milliseconds, and a list of (whether an episode begins,
  observation, noise, latent, action).
  """
  from . import rollout
  policy = rollout.act(trained.agent, 'eval')
  steps: list = []
  times = []
  batch = interface['action'][0][0]
  state, obs = None, env.reset()
  while len(steps) < STEPS:
    rows = {k: np.stack([v] * batch) for k, v in obs.items()}
    first, began = state is None, time.perf_counter()
    outputs, state = policy(rows, state)
    action = outputs['action'].numpy()
    times.append(time.perf_counter() - began)
    steps.append(step(interface, first, rows, outputs, state))
    obs = env.step({'action': action[0]})
    if obs['is_last']:
      state, obs = None, env.reset()
  return {'agent': 1e3 * float(np.median(times))}, steps


def step(interface, first, rows, outputs, state):
  """What is kept of a step of the agent, see `_recorded`; `rows` is [B, ...].

  With the noise that the agent drew a model must come to the same state.
  """
  from . import exported_model
  latent = {k: v.numpy().astype(np.float32) for k, v in state[0].items()}
  if 'mean' in latent:
    noise = (latent['stoch'] - latent['mean']) / latent['std']
  else:
    noise = 1e6 * latent['stoch']  # Gumbel noise that decides.
  return (
      first, exported_model.observation(interface['observation'], rows), noise,
      latent, outputs['action'].numpy())


def compared(act, interface, steps, name, agent):
  """Lets a model act on recorded steps.

  Returns milliseconds for an action, and the largest difference from the
  agent's latents and actions; TrainingError if it is too large.
  """
  from . import exported
  from . import exported_model
  times, worst = [], 0.0
  zeros = exported_model.zeros(interface)
  drawn = exported.drawn(agent)
  state: dict = {}
  for first, obs, noise, latent, action in steps:
    state = zeros if first else state
    began = time.perf_counter()
    _, state = act(obs, state, noise)
    times.append(time.perf_counter() - began)
    pairs = [(state[x], latent[x]) for x in ('stoch', 'deter')]
    if drawn:  # An action is a draw of its own.
      state['action'] = action
    else:
      pairs.append((state['action'], action))
    worst = max(worst, *(
        float(np.abs(np.asarray(x, np.float32) - y).max()) for x, y in pairs))
  if not worst <= TOLERANCE[agent.config.precision]:
    raise TrainingError(
        f'{name} does not act as the agent: after {STEPS} steps they differ by '
        f'{worst:.2g}; nothing was written')
  return 1e3 * float(np.median(times)), worst


def size(path):
  """Bytes of a file or of a folder's files, an int."""
  parts = [path, *path.rglob('*')] if path.is_dir() else [path]
  return sum(x.stat().st_size for x in parts if x.is_file())
