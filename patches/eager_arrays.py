"""Upstream's update is given NumPy arrays, and runs without a graph.

Broken: `train` calls tensors' methods on its data. Where functions run eagerly
(`--jit False`) the arrays of a batch arrive as they are; with a discount head,
`astype` of a NumPy array is given TensorFlow's type, and raises a TypeError.
Since: dreamerv2 2.0, whose own dataset yields tensors.
Repairs: `train` makes tensors of its data, as upstream's `policy` does. In a
graph they are tensors already, so that nothing changes.
Can go: when the replay yields tensors.
"""


def apply(agent):
  """Lets `Agent.train` take arrays; before the functions are unwrapped."""
  import tensorflow as tf
  published = agent.Agent.train.python_function

  def train(self, data, state=None):
    data = {k: tf.convert_to_tensor(v) for k, v in data.items()}
    return published(self, data, state)

  agent.Agent.train = tf.function(train)
