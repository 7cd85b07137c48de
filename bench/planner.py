"""How long PlaNet takes to plan one action, beside one update of its agent.

  python bench/planner.py --json results.json

One environment, plans of the preset's size, random frames. Actions and updates
take turns in one process, so that whatever else the machine does meets both;
the ratio of the two is the number to trust on a busy machine.
"""

import harness
import update

SIZES = {'dmc': 'paper', 'cpu': 'cpu'}


class Planning(update.Bench):
  """The PlaNet agent, its random batch, and a stream of random frames."""

  def __init__(self, size, flags=()):
    """Builds the agent; its first update and its first action trace.

    Args:
      size: str, key of SIZES.
      flags: list of str, further flags of run.py.
    """
    super().__init__(SIZES[size], 'planet', flags)
    from dreamer_idm.agent import tf_setup
    from dreamer_idm.evaluation import rollout
    tf_setup.seed(0)
    self.policy, self.latent = rollout.act(self.agent, 'explore'), None
    self.obs = {
        k: v[:1, 0].numpy() for k, v in self.data.items() if k != 'action'}
    self.first_action = harness.timed(self._action)['seconds']

  def measure(self, rounds):
    """Lets actions and updates take turns.

    Args:
      rounds: int, of each that count.

    Returns:
      dict: seconds of each `action` and `update`, `first_action` in seconds,
      and `planet`, the planner's settings.
    """
    self._update(), self._action()
    pairs = [
        (harness.timed(self._action)['seconds'], self.update()['seconds'])
        for _ in range(rounds)]
    return {
        'action': [x for x, _ in pairs], 'update': [x for _, x in pairs],
        'first_action': self.first_action,
        'planet': dict(self.agent.config.planet)}

  def _action(self):
    """Plans one action."""
    outputs, self.latent = self.policy(self.obs, self.latent)
    outputs['action'].numpy()


def table(results):
  """Lays the results out.

  Args:
    results: dict of size -> dict of `Planning.measure`.

  Returns:
    str, a Markdown table.
  """
  lines = [
      '| size | plans | action, ms (quartiles) | update, ms (quartiles) '
      '| action / update | first action, s |', '|---|---|---|---|---|---|']
  for size, found in results.items():
    ratios = [x / y for x, y in zip(found['action'], found['update'])]
    plans = '{candidates} x {horizon} x {iterations}'.format(**found['planet'])
    lines.append(
        f'| {size} | {plans} | {harness.quartiles(found["action"], 1e3)} | '
        f'{harness.quartiles(found["update"], 1e3)} | '
        f'{harness.quartiles(ratios, digits=2)} | '
        f'{found["first_action"]:.1f} |')
  return '\n'.join(lines)


def main():
  parser = harness.parser(__doc__, rounds=10)
  parser.add_argument(
      '--sizes', nargs='+', choices=SIZES, default=list(SIZES))
  arguments = parser.parse_args()
  results = {}
  for size in arguments.sizes:
    process = harness.Process(
        Planning, size, arguments.flags, threads=arguments.threads)
    results[size] = process.call('measure', arguments.rounds)
    process.close()
  print(table(results))
  harness.write(arguments, results)


if __name__ == '__main__':
  main()
