"""What a method declares, in a form that needs no TensorFlow.

The module of a method has a constant METHOD, which everything else reads: the
config its keys, presets and rules, `--help` and the docs their texts, `report`
the order of its presets and the curves to plot. For example

  METHOD = Method(
      keys={'scale': Key(0.1, 'weight of the bonus, 0: none', at_least(0))},
      presets={'curious': Preset('Dreamer with a bonus for new states.')})

in a module `curious` makes a key `curious.scale` and a preset `curious`.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple


class Rule(NamedTuple):
  """What a value must be.

  Attributes:
    text: str, behind `must be`.
    test: function of a scalar to bool.
  """

  text: str
  test: Callable[[Any], bool]


def amount(value):
  """Writes a number; the text of one that was changed on resuming as it is."""
  return f'({value})' if isinstance(value, str) else f'{value:g}'


def one_of(*names):
  """Makes the rule of a value that is one of these strings."""
  return Rule(' | '.join(names), lambda x: x in names)


def at_least(low):
  """Makes the rule of a number that is not below `low`."""
  return Rule(f'>= {low}', lambda x: x >= low)


def above(low):
  """Makes the rule of a number that is above `low`."""
  return Rule(f'> {low}', lambda x: x > low)


def between(low, high):
  """Makes the rule of a number in an interval.

  Args:
    low: number, the least value.
    high: number, the largest value.

  Returns:
    Rule.
  """
  return Rule(f'{low} to {high}', lambda x: low <= x <= high)


ZERO_OR_MORE_THAN_ONE = Rule('0 or >= 1', lambda x: x == 0 or x >= 1)


class Key(NamedTuple):
  """A key of a method.

  Attributes:
    default: scalar or list of scalars, or a dict of them: a section.
    text: str, what it is for.
    rule: Rule of each value beside its type, or None.
    fixed: bool, whether networks depend on it, so that a checkpoint fits no
      other value.
  """

  default: Any
  text: str
  rule: Rule | None = None
  fixed: bool = False


class Preset(NamedTuple):
  """A set of values with a name, which a comparison takes as an arm.

  Attributes:
    text: str, a sentence on what it is.
    settings: dict of dotted keys or regular expressions to values, beside
      `agent`, the method, and `method`, the preset's name.
    order: number, its place in tables; the rest follows by name.
  """

  text: str
  settings: dict[str, Any] = {}
  order: float = 100


class Panel(NamedTuple):
  """A diagram of what a method logs.

  Attributes:
    title: str, with the unit in brackets.
    low: float or None, the lower end of its axis.
    high: float or None, the upper end.
    curves: sequence of (metric, what it says beyond the title, line style).
  """

  title: str
  low: float | None
  high: float | None
  curves: Iterable[tuple[str, str, str]]


@dataclasses.dataclass(frozen=True)
class Method:
  """A method's declaration.

  Attributes:
    keys: dict of str to Key, in the section of the method's name.
    reads: names of other methods whose keys this one reads too.
    presets: dict of str to Preset.
    sizes: dict of the presets for small machines (`cpu`, `cpu_proprio`,
      `debug`) to dicts of this method's keys, dotted, to values.
    panels: sequence of Panel.
    conflicts: function of upstream's Config to the problems that values have
      with each other, one line each, if this is the method that trains.
    seen_in_training: function of a dict of dotted keys, the settings of a run,
      to the perturbations that its training makes on the images on purpose, a
      list of str; the report and evaluations must not call its images clean.
    adds: bool, whether it adds to another method instead of taking its place:
      the presets `idm rad` make `agent` idm+rad.
    name: str, what `agent` names the method by; filled in by the registry.
  """

  keys: dict[str, Key] = dataclasses.field(default_factory=dict)
  reads: tuple[str, ...] = ()
  presets: dict[str, Preset] = dataclasses.field(default_factory=dict)
  sizes: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
  panels: tuple[Panel, ...] = ()
  conflicts: Callable[[Any], Iterable[str]] = lambda config: ()
  seen_in_training: Callable[[dict[str, Any]], Iterable[str]] = (
      lambda settings: ())
  adds: bool = False
  name: str = ''

  @property
  def section(self):
    """Str, the section of the method's keys."""
    return self.name.rpartition('.')[2]

  def sources(self):
    """Writes keys and presets as configs.yaml has them.

    Returns:
      dict: `defaults` and `sizes`, with the method's section, and each preset.
    """
    defaults = {k: v.default for k, v in self.keys.items()}
    own = {'defaults': defaults, **self.sizes}
    usual = {} if self.adds else {'batch_multiplier': 1}
    return {k: {self.section: v} for k, v in own.items() if v} | {
        k: {'agent': self.name, 'method': k, **usual, **v.settings}
        for k, v in self.presets.items()}
