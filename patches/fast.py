"""Faster bodies of upstream's methods, for both arms of an A/B.

The bodies that follow equal upstream's up to rounding, given the same noise;
`tests/patches/test_fast.py` shows each. They are used while `ENABLED` is set,
which is looked up when a graph is traced: the key `fast` sets it for a run.
`SKIPPED` names modules that sit out, for measuring what each of them gives.
"""

import functools

ENABLED = True
SKIPPED: set = set()


def replace(owner, name, body):
  """Puts a faster body in the place of a method.

  Args:
    owner: class of upstream's.
    name: str, its method.
    body: function of the published method, the instance, and the method's
      arguments.
  """
  published = getattr(owner, name)

  @functools.wraps(published)
  def method(self, *args, **kwargs):
    if not ENABLED or body.__module__ in SKIPPED:
      return published(self, *args, **kwargs)
    return body(published, self, *args, **kwargs)

  setattr(owner, name, method)
