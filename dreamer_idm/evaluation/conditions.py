"""Which conditions are evaluated: clean, and perturbations at strengths.

A condition is a dict of `kind` (`clean` or a key of `perturbations.KINDS`),
`strength`, `per` and `fill`, as `perturbations.check` returns it.
"""

import argparse

from ..envs import environments
from ..envs import perturbations
from ..errors import UsageError

# Times a kind's default strength; in the scene easy, medium, hard.
SWEEP = (0.0, 1.0, 2.0, 3.0, 4.0)
SCENE_SWEEP = (0.0, *perturbations.LEVELS.values())


def strength(text):
  """Reads a strength of the command line: float, or str of a level.

  Raises:
    argparse.ArgumentTypeError: if it is neither.
  """
  if text in perturbations.LEVELS:
    return text
  try:
    return float(text)
  except ValueError:
    raise argparse.ArgumentTypeError(
        f'{text!r} is neither a number nor easy, medium or hard') from None


def check(args):
  """Refuses perturbations that are invalid for any agent.

  Args:
    args: namespace of `evaluate.add_arguments`.

  Raises:
    UsageError: if there is one.
  """
  if args.strength is not None and args.sweep:
    raise UsageError('--strength and --sweep exclude each other')
  for kind in args.perturb or []:
    if kind not in ('all', 'none'):
      _settings(args, kind, args.strength)
  if args.background:
    if not {'all', 'background'} & {*_wanted(args)}:
      raise UsageError('--background is for --perturb background')
    _settings(args, 'background', None)


def listed(args, config, seen):
  """Lists what is evaluated.

  Args:
    args: namespace of `evaluate.add_arguments`.
    config: upstream's Config.
    seen: dict of the spaces that the agent reads.

  Returns:
    list of conditions, clean first.

  Raises:
    UsageError: if a perturbation changes nothing that the agent reads.
  """
  possible = perturbations.kinds_for(
      seen, environments.has_scene(config.task))
  wanted = _wanted(args)
  kinds = possible if 'all' in wanted else [x for x in wanted if x != 'none']
  conditions = [{'kind': 'clean', 'strength': 0.0, 'per': '', 'fill': ''}]
  for kind in dict.fromkeys(kinds):
    if kind not in possible:
      raise UsageError(
          f'{kind} changes nothing here: this agent observes '
          f'{", ".join(seen)} of {config.task}; choose from '
          f'{", ".join(possible)}')
    rule = perturbations.KINDS[kind]
    sweep = SCENE_SWEEP if rule.of == 'scene' else SWEEP
    strengths = [args.strength] if not args.sweep else [
        min(x * rule.strength, rule.most) for x in sweep]
    conditions += [
        _settings(args, kind, x) for x in dict.fromkeys(strengths)]
  return conditions


def _wanted(args):
  return args.perturb or (['none'] if args.agent else ['all'])


def _settings(args, kind, value):
  fill = (kind == 'background' and args.background) or args.fill
  return perturbations.check(kind, value, args.per, fill)
