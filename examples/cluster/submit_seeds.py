"""Train several seeds as jobs of a SLURM cluster with submitit (https://github.com/facebookincubator/submitit).

    pip install submitit
    python examples/cluster/submit_seeds.py --config cartpole --seeds 0..4
    python examples/cluster/submit_seeds.py --config cartpole --seeds 0..4 --cluster local      # on this machine, without SLURM

Each job is a training in RUN/seed_N. When SLURM preempts a job or its time is up, the training ends and submitit queues the job
again, which goes on from its last save.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import submitit

from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.options.seeds import parse_seeds
from sim.training.config import load_train_config


class Training:
    """One training as a job.

    Args:
        words: the words behind `adaptive-mbrl`.
    """

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Train, and return the exit code; a training that failed makes the job fail."""
        command = [sys.executable, "-m", "adaptive_mbrl", *self.words]
        self.process = subprocess.Popen(command)
        code = self.process.wait()
        if code != 0:
            raise subprocess.CalledProcessError(code, command)
        return code

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Called by submitit when the job has to leave: end the training, and queue the job again."""
        if self.process is not None:
            self.process.terminate()
            # not Popen.wait, which has a lock that the interrupted `__call__` holds
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return submitit.helpers.DelayedSubmission(Training(self.words))


def main() -> None:
    """Submit one job for each seed, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="training configuration: a YAML file, or the name of a shipped one")
    parser.add_argument("--seeds", default="0..4", help="training seeds, such as 0..4 or 0,3,7")
    parser.add_argument("--run", type=Path, help="folder of the runs; runs/train/NAME if not given")
    parser.add_argument("--cluster", choices=["slurm", "local", "debug"], default="slurm", help="local: on this machine")
    parser.add_argument("--partition", help="partition of the SLURM cluster")
    parser.add_argument("--minutes", type=int, default=240, help="limit of time of each job; it is queued again after it")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of each job")
    parser.add_argument("--cpus", type=int, default=4, help="cores of each job")
    given = parser.parse_args()
    try:
        # a mistake is found here, not when the jobs have waited for their turn
        load_train_config(given.config)
    except AdaptiveMBRLError as error:
        sys.exit(f"error: {error}")
    run = given.run or Path("runs/train") / Path(given.config).stem

    executor = submitit.AutoExecutor(folder=run / "submitit", cluster=given.cluster, slurm_max_num_timeout=100)
    executor.update_parameters(
        name="adaptive-mbrl", timeout_min=given.minutes, cpus_per_task=given.cpus, gpus_per_node=given.gpus or None, nodes=1
    )
    if given.partition is not None:
        executor.update_parameters(slurm_partition=given.partition)
    jobs = []
    for seed in parse_seeds(given.seeds):
        words = ["train", "--config", given.config, "--set", f"seed={seed}", "--run", str(run / f"seed_{seed}")]
        jobs.append(executor.submit(Training([*words, "--threads", str(given.cpus)])))
        print(f"seed {seed}: job {jobs[-1].job_id}, output in {jobs[-1].paths.stdout}")
    failed = [job for job in jobs if job.exception() is not None]
    for job in failed:
        print(f"job {job.job_id} failed: {(job.stderr() or 'no output').strip().splitlines()[-1]}")
    print(f"{len(jobs) - len(failed)} of {len(jobs)} trainings are done; adaptive-mbrl runs {run}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
