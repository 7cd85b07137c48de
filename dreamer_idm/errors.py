"""What the user is told."""


class UsageError(Exception):
  """A mistake in what was asked for; one line saying what to do instead."""
