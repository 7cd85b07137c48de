"""The control `doubled_starts`: every start twice, and nothing else."""

import numpy as np
import tensorflow as tf
from conftest import chunk
from conftest import make_agent
from conftest import small_config
from conftest import trained

from dreamer_idm import upstream
from dreamer_idm.agent import registry
from dreamer_idm.idm import derived_memory

PRESETS = ('dmc', 'doubled_starts')


def test_it_has_derived_memory_alone_and_the_batch_of_dreamer():
  config, plain = small_config(presets=PRESETS), small_config(presets=('dmc',))
  found = registry.extensions(config)
  assert [type(x) for x in found] == [derived_memory.DerivedMemory]
  assert config.batch_multiplier == plain.batch_multiplier == 1
  # Nor does anything of a preset in front stay behind.
  after = small_config(presets=('dmc', 'doubled', 'idm', 'doubled_starts'))
  other = {k for k, v in after.flat.items() if v != config.flat[k]}
  assert not other


def test_starts_are_the_posteriors_twice_bit_for_bit(eager, monkeypatch):
  seen = {}
  imagine = upstream.agent.WorldModel.imagine

  def watch(self, policy, start, is_terminal, horizon):
    seen.update(start=start, is_terminal=is_terminal)
    return imagine(self, policy, start, is_terminal, horizon)

  monkeypatch.setattr(upstream.agent.WorldModel, 'imagine', watch)
  agent = make_agent(small_config(presets=PRESETS))
  data = {k: tf.constant(v) for k, v in chunk().items()}
  agent.train(data)
  for key, value in {**seen['start'], 'end': seen['is_terminal']}.items():
    assert value.shape[0] == 6, key
    np.testing.assert_array_equal(value[:3], value[3:], key)


def test_the_world_model_learns_as_dreamer_s_does():
  ours, found = trained(small_config(presets=PRESETS), steps=1)
  theirs, expected = trained(
      small_config(presets=('dmc',)), upstreams=True, steps=1)
  for key in ('model_loss', 'kl_loss', 'image_loss', 'reward_loss'):
    np.testing.assert_array_equal(found[0][key], expected[0][key], key)
  for x, y in zip(ours.wm.variables, theirs.wm.variables, strict=True):
    np.testing.assert_array_equal(x, y, x.name)
  assert not [x for x in found[0] if x.startswith('idm_')]
