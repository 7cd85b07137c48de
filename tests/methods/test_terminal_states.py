"""Every method with the head that predicts terminal states."""

import numpy as np
import pytest

from bench import faults
from bench import ledger
from dreamer_idm import upstream
from dreamer_idm.config import load as config_lib
from dreamer_idm.training import collector as collector_lib
from dreamer_idm.training import learner


@pytest.fixture(scope='module')
def collected(tmp_path_factory):
  """A function of a config that gives a collector with random episodes."""
  made = []
  def collect(config):
    folder = tmp_path_factory.mktemp('episodes')
    made.append(collector_lib.Collector(
        config, folder, upstream.common.Counter(0), 0, None, print))
    made[-1].prefill(2 * ledger.LENGTH)
    return made[-1]
  yield collect
  for collector in made:
    collector.close()


@pytest.mark.parametrize('method', [
    'dreamer', 'idm', 'wo_eva', 'wo_dm', 'wo_cst_dm', 'doubled',
    'doubled_starts', 'bird', 'soft_bird', 'bird_soft', 'planet', 'no_value',
    'contrastive', 'reward_only', 'world_models'])
def test_terminal_states_are_learned(collected, eager, method):
  config = config_lib.load(
      ['--configs', 'cpu_proprio', method, *faults.FLAGS[2:]])
  assert config.pred_discount and 'discount' in config.grad_heads
  collector = collected(config)
  found = learner.Learner(
      config, collector.replay, collector.obs_space, collector.act_space,
      collector.step, note=print)
  metrics = {k: np.asarray(v) for k, v in found.update().items()}
  assert all(np.isfinite(v).all() for v in metrics.values())
  assert metrics['discount_loss'] > 0
