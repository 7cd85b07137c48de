"""The tiniest training that is a real one, on the environment of bench/."""

import itertools
import os
import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT))
from bench import faults  # noqa: E402
from bench import ledger  # noqa: E402
from dreamer_idm import upstream  # noqa: E402
from dreamer_idm.config import load as config_lib  # noqa: E402
from dreamer_idm.training import collector  # noqa: E402

STEPS = 2 * ledger.LENGTH


def config(*flags):
  """Loads the config of a tiny training.

  Args:
    *flags: str, further command-line words.

  Returns:
    upstream's Config.
  """
  return config_lib.load([*faults.FLAGS, *flags])


def make_collector(folder, *flags, saved=None, step=0, note=print):
  """Opens a collector.

  Args:
    folder: pathlib.Path of the replay.
    *flags: str, further command-line words.
    saved: dict, see Collector.
    step: int, agent steps done.
    note: function of str.

  Returns:
    Collector.
  """
  os.environ['PYTHONPATH'] = str(ROOT)  # For environments in processes.
  ledger.Ledger.steps = itertools.count(1)
  return collector.Collector(
      config(*flags), folder, upstream.common.Counter(step), 0, saved, note)
