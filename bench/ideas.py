"""What each of the faster bodies gives: the update without one at a time.

  python bench/ideas.py --size half

Each variant is a process of its own and takes turns with `none`, as in
update.py.
"""

import harness
import update

MODULES = ('fast_decoder', 'fast_rssm', 'fast_actor')
VARIANTS = ('none', 'all', *(f'without {x}' for x in MODULES))


class Variant(update.Bench):
  """An agent with some of the faster bodies."""

  def __init__(self, size, method, variant, flags):
    """Builds the agent and runs its first update.

    Args:
      size: str, key of update.SIZES.
      method: str, see `update.settings`.
      variant: str, of VARIANTS.
      flags: list of str, further flags of run.py.
    """
    from dreamer_idm.patches import fast
    skipped = {'all': (), 'none': MODULES}.get(
        variant, (variant.split()[-1],))
    fast.SKIPPED = {f'dreamer_idm.patches.{x}' for x in skipped}
    super().__init__(size, method, flags)


def main():
  parser = harness.parser(__doc__, rounds=10)
  parser.add_argument('--size', choices=update.SIZES, default='half')
  parser.add_argument('--method', default='vanilla')
  arguments = parser.parse_args()
  results = update.measure(
      lambda name: harness.Process(
          Variant, arguments.size, arguments.method, name, arguments.flags,
          threads=arguments.threads), VARIANTS, arguments.rounds)
  print(update.table(results))
  harness.write(arguments, results)


if __name__ == '__main__':
  main()
