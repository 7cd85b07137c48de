"""`ab --optuna`: points of a grid, or of ranges, that Optuna chooses.

Each point is an arm of every task, with every seed. Its value is the mean over
them of the last evaluation's mean return.
"""

import importlib.util
import statistics

from ..config import keys
from ..errors import UsageError
from . import comparison
from . import plan

LOG = 'optuna.log'  # The study, in Optuna's journal format.
TABLE = 'optuna.csv'


class Study:
  """An Optuna study in a comparison's folder, and the trials of its points."""

  def __init__(self, args, program=None):
    """Opens the study, which may have begun earlier, and checks its ranges.

    Args:
      args: argparse.Namespace of `ab.add_arguments`.
      program: see `plan.plan`.

    Raises:
      UsageError: if a value of a range could not be run, Optuna is missing, or
        the study in the folder is one of other settings.
    """
    if not importlib.util.find_spec('optuna'):
      raise UsageError(
          '--optuna needs Optuna, which is not installed: pip install optuna')
    if len(args.methods) > 1:
      raise UsageError(
          '--optuna searches the settings of one method: --methods dreamer, '
          'whose settings the others then take')
    if not args.grid:
      raise UsageError('--optuna needs --grid with the keys to choose')
    plan.check(args)
    import optuna
    from optuna.storages import journal
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    self.optuna, self.wanted = optuna, args.optuna
    self._args, self._program = args, program
    self._grid = dict(self._distribution(x) for x in args.grid)
    for end in (0, -1):  # Mistakes show before anything is trained.
      self.trials({k: _ends(x)[end] for k, x in self._grid.items()})
    args.logdir.mkdir(parents=True, exist_ok=True)
    self._study = optuna.create_study(
        study_name='dreamer_idm', direction='maximize', load_if_exists=True,
        storage=optuna.storages.JournalStorage(
            journal.JournalFileBackend(str(args.logdir / LOG))),
        sampler=optuna.samplers.TPESampler(constant_liar=True),
        pruner=optuna.pruners.MedianPruner())
    settings = {
        x: getattr(args, x)
        for x in ('configs', 'tasks', 'methods', 'grid', 'seeds', 'flags')}
    before = self._study.user_attrs.get('settings', settings)
    changed = [x for x in settings if before[x] != settings[x]]
    if changed:
      raise UsageError(
          f'{args.logdir / LOG} is a study with another '
          f'--{changed[0]} ({" ".join(map(str, before[changed[0]]))}): choose '
          'another --logdir')
    self._study.set_user_attr('settings', settings)

  def begun(self):
    """Lists the points that an earlier search left unfinished.

    Returns:
      list of pairs of an optuna.trial.Trial and the set of the steps at which
      it has reported a value.
    """
    running = self.optuna.trial.TrialState.RUNNING
    return [
        (self.optuna.trial.Trial(self._study, x._trial_id),
         set(x.intermediate_values))
        for x in self._study.get_trials(deepcopy=False) if x.state == running]

  def __len__(self):
    """Counts the points, of earlier searches too."""
    return len(self._study.get_trials(deepcopy=False))

  def ask(self):
    """Returns the next point, an optuna.trial.Trial."""
    return self._study.ask(self._grid)

  def tell(self, point, value=None, state=None):
    """Ends a point, by a float value or by a TrialState; writes the table."""
    self._study.tell(point, value, state)
    self._study.trials_dataframe(('number', 'state', 'value', 'params')).to_csv(
        self._args.logdir / TABLE, index=False)

  def trials(self, params):
    """Lists the Trials of a point, given as a dict of key to value."""
    point = [(k, text(x)) for k, x in params.items()]
    return [
        x for task in self._args.tasks for x in plan.arm(
            self._args, self._program, task, self._args.methods[0], point)]

  def best(self):
    """Describes the best point in a line; empty if none is complete."""
    complete = self.optuna.trial.TrialState.COMPLETE
    if not self._study.get_trials(deepcopy=False, states=(complete,)):
      return ''
    found = self._study.best_trial
    flags = ' '.join(f'--{k} {text(x)}' for k, x in found.params.items())
    return f'Best of {len(self)} points: {flags}, return {found.value:.1f}'

  def _distribution(self, words):
    key, values = plan.split(words)
    kinds = self.optuna.distributions
    if '..' not in values:
      return key, kinds.CategoricalDistribution(
          [x.strip() for x in values.split(',')])
    values, _, scale = values.partition(':')
    try:
      low, high = map(float, values.split('..'))
      if scale not in ('', 'log') or not low < high or (
          scale and low <= 0) or high == float('inf'):
        raise ValueError
    except ValueError:
      raise UsageError(
          f'--grid {words}: a range is KEY=LOW..HIGH, or KEY=LOW..HIGH:log '
          'above 0') from None
    config = plan.load(
        self._args.configs, self._args.tasks[0], self._args.threads,
        self._args.flags)
    first = config.flat[keys.find(config, key, '--')[0]]
    if isinstance(first, int) and low.is_integer() and high.is_integer():
      return key, kinds.IntDistribution(int(low), int(high), log=bool(scale))
    return key, kinds.FloatDistribution(low, high, log=bool(scale))


class Search(comparison.Comparison):
  """Trains the points of a study, and ends those that are below the median."""

  def __init__(self, trials, engine, retries, table, study):
    """Starts nothing yet.

    Args:
      trials: list to which the Trials of each point are appended; the table
        shows it.
      engine: LocalEngine or RayEngine.
      retries: int, how often a trial that failed is retried.
      table: trial_table.Table of `trials`.
      study: Study.
    """
    super().__init__(trials, engine, retries, table)
    self._study = study
    self._open: list = []  # Points, their reported steps, their Trials.
    for point, seen in study.begun():
      self._add(point, seen)
    table.note(
        f'{study.wanted} points, {len(study) - len(self._open)} of them done; '
        f'{engine.slots} trials at a time, {engine.text}.')

  def _add(self, point, seen):
    trials = self._study.trials(point.params)
    # Optuna may choose a point again, of categories or as it is rounded.
    known = {x.logdir: x for x in self._trials}
    trials = [known.get(x.logdir, x) for x in trials]
    self._open.append((point, seen, trials))
    for trial in trials:
      if trial.logdir not in known:
        trial.look()
        if trial.complete():
          trial.state = 'complete'
        self._trials.append(trial)

  def _start(self, now):
    busy = sum(x.state in ('waiting', 'running') for x in self._trials)
    while busy < self._engine.slots and len(self._study) < self._study.wanted:
      self._add(self._study.ask(), set())
      self._judge()  # It may be known already.
      busy = sum(x.state in ('waiting', 'running') for x in self._trials)
    super()._start(now)

  def _watch(self):
    super()._watch()
    self._judge()

  def _judge(self):
    """Reports evaluations that all trials of a point have; ends points."""
    states = self._study.optuna.trial.TrialState
    for entry in list(self._open):
      trials = entry[-1]
      ended = {x.state for x in trials} - {'waiting', 'running'}
      if {x.state for x in trials} == {'complete'}:
        value = statistics.mean(x.score for x in trials)
        self._end(entry, f'return {value:.1f}', value=value)
      elif 'failed' in ended:
        self._end(entry, 'failed', state=states.FAIL)
      elif 'pruned' in ended or self._below(*entry):
        self._end(entry, 'ended, below the median', state=states.PRUNED)

  def _below(self, point, seen, trials):
    steps = set.intersection(*(set(x.scores) for x in trials)) - seen
    for step in sorted(steps):
      point.report(statistics.mean(x.scores[step] for x in trials), step)
    seen |= steps
    return bool(steps) and point.should_prune()

  def _end(self, entry, words, **result):
    self._open.remove(entry)
    point, _, trials = entry
    self._study.tell(point, **result)
    futures = {
        self._trials[i].logdir: x for i, (x, _) in self._started.items()}
    for trial in trials:
      if trial.state in ('waiting', 'running'):
        trial.state = 'pruned'
        if trial.logdir in futures:
          self._engine.interrupt(futures[trial.logdir])
    flags = ' '.join(f'{k} {text(x)}' for k, x in point.params.items())
    self._table.note(f'point {point.number + 1} ({flags}): {words}')

  def _on_end(self, trial, future):
    if trial.state != 'pruned':
      super()._on_end(trial, future)

  def _summary(self):
    code = super()._summary()
    best = self._study.best()
    if best:
      self._table.note(best)
    return code


def text(value):
  """Writes a value of a point as a flag has it, floats with three digits."""
  return f'{value:.3g}' if isinstance(value, float) else str(value)


def _ends(distribution):
  if hasattr(distribution, 'choices'):
    return distribution.choices
  return distribution.low, distribution.high
