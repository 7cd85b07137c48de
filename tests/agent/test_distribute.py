"""tf.distribute, on two logical devices of one CPU."""

import pytest
from conftest import ROOT
from conftest import run_script

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from conftest import chunk, make_agent, small_config
import numpy as np
import tensorflow as tf

cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
with strategy.scope():
  agent = make_agent(small_config())
  state = agent.wm.rssm.initial(3)
chunks = [chunk(seed=0), chunk(seed=1)]
data = strategy.experimental_distribute_values_from_function(
    lambda context: {{
        k: tf.constant(v) for k, v in
        chunks[context.replica_id_in_sync_group].items()}})

@tf.function
def update(data, state):
  body = type(agent).train.python_function
  return strategy.run(lambda *args: body(agent, *args), args=(data, state))

before = [x.numpy() for x in agent.variables]
for _ in range(2):
  _, metrics = update(data, state)
losses = strategy.experimental_local_results(metrics['image_loss'])
assert float(losses[0]) != float(losses[1])  # Each had a chunk of its own.
copies = [strategy.experimental_local_results(x) for x in agent.variables]
assert sum(len(x) == 2 for x in copies) > 50, len(copies)
for one in copies:  # And yet there is one agent.
  np.testing.assert_array_equal(one[0], one[-1])
  assert np.isfinite(one[0].numpy()).all()
moved = [np.abs(x[0] - y).max() > 0 for x, y in zip(copies, before)]
assert sum(moved) > 50, moved
print('ok')
"""


@pytest.mark.slow
def test_two_replicas_train_one_agent(tmp_path):
  done = run_script(
      tmp_path, SCRIPT.format(tests=str(ROOT / 'tests')), timeout=900)
  assert done.stdout.splitlines()[-1:] == ['ok'], done.stderr[-2000:]
