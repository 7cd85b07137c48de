"""The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them."""

import itertools
import os
import re
import subprocess

VARIABLE = 'CUDA_VISIBLE_DEVICES'


def visible():
  """Lists the GPUs that trials may use.

  Those that CUDA_VISIBLE_DEVICES names, if it is set; else all that
  `nvidia-smi -L` lists, by their UUIDs, because CUDA may number them in
  another order. Where a GPU is partitioned (MIG) these are the partitions.

  Returns:
    list of str, values for CUDA_VISIBLE_DEVICES.
  """
  if VARIABLE in os.environ:
    # CUDA stops at the first name that is no device.
    return list(itertools.takewhile(
        lambda x: x not in ('', '-1', 'NoDevFiles'),
        (x.strip() for x in os.environ[VARIABLE].split(','))))
  try:
    listed = subprocess.run(
        ['nvidia-smi', '-L'], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=True).stdout
  except (OSError, subprocess.SubprocessError):
    return []  # No driver of NVIDIA's, or none that works.
  found = re.findall(r'\(UUID: (\S+)\)', listed)
  return [x for x in found if x.startswith('MIG-')] or found
