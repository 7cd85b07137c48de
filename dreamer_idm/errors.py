"""What the user is told."""


class UsageError(Exception):
  """A mistake in what was asked for; one line saying what to do instead."""


class TrainingError(Exception):
  """A training that cannot go on; one line saying why and what is kept."""
