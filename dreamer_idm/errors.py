"""Errors whose message is written for the user."""

import numbers


class _OneLine(Exception):
  """An error whose message is one line that any terminal can show."""

  def __init__(self, message):
    """Escapes what is not printable: what was typed may be quoted in it.

    Args:
      message: str.
    """
    super().__init__(''.join(
        x if x.isprintable() else ascii(x)[1:-1] for x in message))


class UsageError(_OneLine):
  """A mistake in what was asked for; says what to do instead."""


class TrainingError(_OneLine):
  """A training that cannot continue; says why and what is kept."""


def at_least(args, **lows):
  """Checks numbers of a command.

  Args:
    args: argparse.Namespace, or what a function fills like one.
    **lows: name -> the smallest int that it may be.

  Raises:
    UsageError: if one is not an int, or smaller.
  """
  for name, low in lows.items():
    value = getattr(args, name)
    if not isinstance(value, numbers.Integral) or value < low:
      raise UsageError(f'--{name} must be >= {low}, but is {value!r}')
