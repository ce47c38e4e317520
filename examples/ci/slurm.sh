#!/bin/sh
# SPDX-License-Identifier: MIT
# Slurm: an array of three shards, and a job that merges them when all have ended. The directory
# must be on a file system that all nodes share:
#
#   sbatch --parsable --array=1-3 slurm.sh
#   sbatch --dependency=afterany:ID slurm.sh merge
#
# or, from the login node, both: ./slurm.sh submit. SLURM_ARRAY_TASK_* say which shard it is, and
# SLURM_ARRAY_JOB_ID names the run. A shard whose node died is queued again by Slurm (--requeue), or
# by "scontrol requeue ID_M"; it keeps the name of the run and replaces its record.
#SBATCH --job-name=ktest
#SBATCH --requeue
#SBATCH --open-mode=append

case ${1:-shard} in
submit)
	id=$(sbatch --parsable --array=1-3 "$0") && sbatch --dependency="afterany:$id" "$0" merge
	;;
shard)
	./ktests --shard auto -o "out/$SLURM_ARRAY_TASK_ID"
	;;
merge)
	./ktests merge out -o merged --junit junit.xml --html ktest.html
	;;
esac
