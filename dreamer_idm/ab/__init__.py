"""Trains every method on every task with every seed.

Each trial is a process of its own in the folder LOGDIR/<task>/<method>/<seed>;
what it prints goes to ab.log there. Complete trials are skipped, interrupted
ones resume from their checkpoints, failed ones are retried. It goes seed by
seed, so that a comparison that is stopped early is a fair one.

Flags of `dreamer-idm train` after -- are passed on to every trial. Ctrl-C
lets the trials save; the same command resumes them. With Ray, all machines
must have the same Python environment and see LOGDIR and this package under the
same paths (a shared file system).
"""

import math
import signal

from .. import display
from ..config import methods
from ..errors import UsageError
from ..runs import files
from . import engine as engine_lib
from . import plan as plan_lib
from . import trial_table
from .comparison import Comparison

LEAST = {'threads': 1, 'memory': 0, 'retries': 0, 'jobs': 1, 'per_gpu': 1,
         'cpus': 0, 'gpus': 0, 'optuna': 1}
EXAMPLE = """\
dreamer-idm ab --configs cpu_proprio --tasks dmc_cheetah_run \\
      --methods dreamer idm --seeds 0 1 2 -- --steps 5000 --idm.sigma_h 0.2"""


def add_arguments(parser):
  """Adds the command's arguments.

  Args:
    parser: argparse.ArgumentParser.
  """
  add = parser.add_argument
  add('--configs', nargs='+', default=['dmc'], metavar='PRESET',
      help='presets of all trials (default: dmc)')
  add('--tasks', nargs='+', required=True, metavar='TASK',
      help='as for train, for example dmc_cheetah_run')
  add('--methods', nargs='+', default=['dreamer', 'idm'], metavar='METHOD',
      help='presets that name an arm and go after --configs: '
      f'{", ".join(methods.presets())}; several that add up as idm+rad '
      '(default: dreamer idm)')
  add('--grid', nargs='+', default=[], metavar='KEY=V1,V2',
      help='keys of the config with values: every combination is an arm of '
      'its own, with the folder <method>+KEY-V1 (a list has spaces: "a=1 2")')
  add('--optuna', type=int, metavar='N',
      help='does not train all of --grid: Optuna (pip install optuna) chooses '
      'N points by the returns of those before, also from ranges, '
      'KEY=LOW..HIGH or KEY=LOW..HIGH:log, and ends what is below the median')
  add('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED',
      help='default: 0 1 2')
  add('--logdir', default='logdir', type=files.expanded,
      help='default: logdir')
  add('--threads', type=int, default=1, metavar='N',
      help='CPU threads of a trial (default: 1)')
  add('--memory', type=float, default=0.0, metavar='GB',
      help='memory of a trial: as many run as fit into memory, and one whose '
      'processes have more resident is killed and counts as failed '
      '(default: no limit)')
  add('--retries', type=int, default=2, metavar='N',
      help='how often a trial that failed is retried, after a pause that '
      'grows from seconds to minutes (default: 2)')
  add('--jobs', type=int, metavar='N',
      help='local: trials at a time (default: cores / threads; on GPUs at '
      'most GPUs x --per-gpu)')
  add('--per-gpu', type=int, metavar='N',
      help='local: trials on each GPU at a time (default: 1). The GPUs are '
      'those in CUDA_VISIBLE_DEVICES, or all that nvidia-smi lists')
  add('--engine', choices=['local', 'ray'], default='local',
      help='local: processes on this machine; ray: a cluster, or a Ray '
      'started here for the time (pip install ray)')
  add('--address', metavar='ADDRESS',
      help="ray: the cluster's address, or auto (default: start a Ray here)")
  add('--cpus', type=float, metavar='N',
      help='ray: CPUs of a trial (default: threads); 0 only with --gpus')
  add('--gpus', type=float, metavar='N',
      help='ray: GPUs of a trial, 0.5 for two on one (default: 0, none)')
  add('flags', nargs='*', metavar='-- FLAGS', help='passed on to train')


def run(args, program=None):
  """Runs what is left of a comparison.

  Args:
    args: argparse.Namespace of `add_arguments`.
    program: see `plan.plan`.

  Returns:
    int exit code: see `Comparison.run`.

  Raises:
    UsageError: before anything is started.
  """
  for name, low in LEAST.items():
    value, flag = getattr(args, name), f'--{name.replace("_", "-")}'
    if value is not None and not low <= value < math.inf:  # Also of nan.
      raise UsageError(f'{flag} must be at least {low}, but is {value}')
  others = {'local': 'address cpus gpus', 'ray': 'jobs per_gpu'}[args.engine]
  for name in others.split():
    if getattr(args, name) is not None:
      raise UsageError(
          f'--{name.replace("_", "-")} is not for --engine {args.engine}; with '
          'ray, --cpus, --gpus and --memory say how many trials have room')
  trials: list = []
  if args.optuna:
    from . import search
    study = search.Study(args, program)
  else:
    trials = plan_lib.plan(args, program)
    done = sum(x.state == 'complete' for x in trials)
    if done == len(trials):
      print(f'All {done} trials are complete; nothing to do.')
      return 0
  engine_class = engine_lib.LocalEngine
  if args.engine == 'ray':
    from .engine_ray import RayEngine as engine_class
  engine = engine_class(args)
  # Clusters end jobs with SIGTERM; it is handled as Ctrl-C is.
  before = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    table = trial_table.Table(trials)
    if args.optuna:
      return search.Search(trials, engine, args.retries, table, study).run()
    table.note(
        f'{display.counted(len(trials), "trial")}, {done} of them complete; '
        f'{engine.slots} at a time, {engine.text}.')
    return Comparison(trials, engine, args.retries, table).run()
  finally:
    signal.signal(signal.SIGTERM, before)
    engine.close()
