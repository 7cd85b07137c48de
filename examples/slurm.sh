#!/usr/bin/env bash
# One task of a comparison in each job of an array:
#
#   mkdir -p logs && sbatch --array 0-2 examples/slurm.sh
#
# from the checkout, after `make .venv/ready` there. Change what the cluster
# needs (partition, account, GPU type) and what is compared, below.
#SBATCH --job-name dreamer-idm
#SBATCH --output logs/%A_%a.log
#SBATCH --open-mode append
#SBATCH --time 04:00:00
#SBATCH --cpus-per-task 4
#SBATCH --mem 32G
#SBATCH --requeue
# Two minutes before the time is over the shell below hears of it.
#SBATCH --signal B:TERM@120
##SBATCH --gpus 1

tasks=(dmc_cheetah_run dmc_walker_walk dmc_cartpole_swingup)

# `ab` lets its trials save on SIGTERM and ends with 130; the next job of the
# same name resumes them. Any other end is the end of the job as well.
trap 'kill -TERM $!' TERM
.venv/bin/dreamer-idm ab --configs cpu_proprio \
  --tasks "${tasks[$SLURM_ARRAY_TASK_ID]}" --methods dreamer idm \
  --seeds 0 1 2 --jobs "${SLURM_CPUS_PER_TASK:-1}" --logdir logdir/slurm &
wait $!
code=$?
if [ "$code" -gt 128 ]; then  # The signal ended `wait`, not yet `ab`.
  wait $!
  code=$?
fi
if [ "$code" -eq 130 ]; then
  scontrol requeue "$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
