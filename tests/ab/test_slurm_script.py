"""examples/slurm.sh, with programs that stand in for SLURM's and for ours."""

import os
import signal
import subprocess

import ab_runs
from conftest import ROOT

IDM = """#!/bin/sh
trap 'sleep 0.3; echo saved >> log; exit 130' TERM
echo "$@" >> log
while ! [ -e done ]; do sleep 0.05; done
"""


def program(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  path.chmod(0o755)


def job(folder):
  program(folder / '.venv' / 'bin' / 'dreamer-idm', IDM)
  program(folder / 'bin' / 'scontrol', '#!/bin/sh\necho "$@" >> queued\n')
  return subprocess.Popen(
      ['bash', ROOT / 'examples' / 'slurm.sh'], cwd=folder, env={
          **os.environ, 'PATH': f'{folder / "bin"}:{os.environ["PATH"]}',
          'SLURM_ARRAY_JOB_ID': '77', 'SLURM_ARRAY_TASK_ID': '1',
          'SLURM_CPUS_PER_TASK': '3'})


def test_a_job_whose_time_is_over_saves_and_is_queued_again(tmp_path):
  process = job(tmp_path)
  ab_runs.wait_for((tmp_path / 'log').exists)
  process.send_signal(signal.SIGTERM)
  assert process.wait(900) == 130
  begun, saved = (tmp_path / 'log').read_text().splitlines()
  assert '--tasks dmc_walker_walk ' in begun and '--jobs 3' in begun
  assert saved == 'saved'
  assert (tmp_path / 'queued').read_text() == 'requeue 77_1\n'


def test_a_job_that_is_complete_is_not(tmp_path):
  process = job(tmp_path)
  ab_runs.wait_for((tmp_path / 'log').exists)
  (tmp_path / 'done').touch()
  assert process.wait(900) == 0
  assert not (tmp_path / 'queued').exists()
