"""With a seed, upstream's nested tf.functions repeat their noise.

Broken: `img_step` and `obs_step` are tf.functions inside the tf.function
`train`. They are traced once and called at each step; once TensorFlow has a
global seed, every copy of a random operation in them is given the same seed,
so that all steps of a chunk and of an imagined rollout draw the same noise.
(Upstream never seeds, and so never meets this.) Functions within functions are
also converted by AutoGraph and differentiated one by one, which is slow.
Since: TensorFlow 2.0.
Repairs: all that is called by `policy`, `train` and `report` is plain Python,
traced into the graph of its caller, where each random operation has a seed of
its own. AutoGraph converts `update_slow_target` only, the one body that
branches on a tensor.
Can go: never, while runs are seeded.
"""

import contextlib

INNER = {
    'EnsembleRSSM': ('observe', 'imagine', 'obs_step', 'img_step'),
    'GRUCell': ('call',),
    'Encoder': ('__call__',),
    'WorldModel': ('preprocess', 'video_pred')}
OUTER = {'Agent': ('policy', 'train', 'report')}


def apply(common, agent):
  """Unwraps the inner functions and turns AutoGraph off in the outer ones."""
  for owner, name, value in _replacements(common, agent):
    setattr(owner, name, value)


@contextlib.contextmanager
def removed(common, agent):
  """Context in which the functions are as upstream published them."""
  places = _replacements(common, agent)
  patched = [(x, name, vars(x)[name]) for x, name, _ in places]
  try:
    for owner, name, _ in places:
      setattr(owner, name, _PUBLISHED.get((owner, name), vars(owner)[name]))
    yield
  finally:
    for owner, name, value in patched:
      setattr(owner, name, value)


_PUBLISHED: dict = {}


def _replacements(common, agent):
  import tensorflow as tf
  found = []
  for functions, wrap in (
      (INNER, lambda x: x), (OUTER, lambda x: tf.function(x, autograph=False))):
    for class_name, names in functions.items():
      owner = getattr(agent, class_name, None) or getattr(
          common.nets, class_name)
      for name in names:
        published = _PUBLISHED.setdefault(
            (owner, name), vars(owner)[name])
        found.append((owner, name, wrap(published.python_function)))
  owner, name = agent.ActorCritic, 'update_slow_target'
  published = _PUBLISHED.setdefault((owner, name), vars(owner)[name])
  found.append((owner, name, tf.function(published)))
  return found
