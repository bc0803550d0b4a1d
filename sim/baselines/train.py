"""Training a baseline in rounds: after each, the run can be resumed, and it ends as if it had never been interrupted.

A run is a folder:

    config.yaml, robot.yaml, scenarios.yaml, git_revision.txt, lock     as `adaptive_mbrl.training.run` has them
    rounds/NNN/                      the learner's state and figures after the newest round; complete or not there at all
    tensorboard/                     Stable-Baselines3's scalars
    policy/                          the trained baseline, written when the run is complete
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize
from tqdm import tqdm

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import atomic_folder
from adaptive_mbrl.training.run_folder import claimed
from sim.baselines.config import BaselineConfig
from sim.baselines.policy import FORMAT_VERSION, BaselineDescription, BaselinePolicy, save_baseline
from sim.baselines.state import BaselineRecord, load_learner, normalizer, save_learner
from sim.baselines.vec_env import SB3VecEnv
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import files_of_training, find_scenario, load_training_part

RECORD_FILE = "round.yaml"


def train_baseline(config: BaselineConfig, run: Path, device: torch.device | str = "cpu") -> Path:
    """Run or resume the training of a baseline.

    Args:
        config: the configuration of the run.
        run: the run folder; a new one is made, an existing one must be of the same run.
        device: where the networks are trained.

    Returns:
        The folder of the trained baseline, which `sim.baselines.policy.load_baseline` reads.

    Raises:
        ConfigError: the scenarios are no part to train on, or the run folder is of another run.
    """
    distribution = load_training_part(config.scenarios)
    if find_scenario(config.scenarios)[1].startswith("test"):
        raise ConfigError(
            f"key 'scenarios': '{config.scenarios}' is held out for testing; allowed: a part whose name does not begin "
            "with 'test'"
        )
    robot = load_robot(distribution.robot)
    revision = git_revision() or "unknown"
    with claimed(run, config, files_of_training(config.scenarios, distribution), revision):
        policy = run / "policy"
        if not policy.exists():
            learner, record = _run_rounds(config, run, str(device))
            save_baseline(policy, _trained(learner, config, robot, record, revision))
        return policy


def _run_rounds(config: BaselineConfig, run: Path, device: str) -> tuple[BaseAlgorithm, BaselineRecord]:
    """Run the rounds that are left; without any, the learner is that of the last one."""
    rounds = run / "rounds"
    done = sorted(p for p in rounds.glob("[0-9]*") if p.name.isdigit())
    record = load_yaml(done[-1] / RECORD_FILE, BaselineRecord) if done else BaselineRecord(0, 0, 0.0)
    begin = int(done[-1].name) + 1 if done else 0
    for index in range(begin, config.rounds):
        learner = _learner(config, index, device)
        if index:
            load_learner(learner, rounds / f"{index - 1:03d}", record)
        learner.set_logger(configure(str(run / "tensorboard"), ["tensorboard"]))
        record = _learn(learner, config, index, record)
        learner.logger.close()
        with atomic_folder(rounds / f"{index:03d}") as temporary:
            save_learner(learner, temporary)
            save_yaml(temporary / RECORD_FILE, record)
        for old in (p for p in rounds.glob("[0-9]*") if p.name.isdigit() and int(p.name) < index):
            # a replay buffer is large, and only the newest one is ever read
            shutil.rmtree(old)
        mean = "-" if record.mean_return is None else f"{record.mean_return:.1f}"
        tqdm.write(f"round {index + 1}/{config.rounds}: {record.env_steps} env steps, return {mean}, {record.seconds:.0f} s")
    if begin == config.rounds:
        learner = _learner(config, config.rounds, device)
        load_learner(learner, rounds / f"{config.rounds - 1:03d}", record)
    return learner, record


def _learner(config: BaselineConfig, index: int, device: str) -> BaseAlgorithm:
    """A new learner for a round; its random numbers depend on the run's seed and the round alone."""
    algorithm = config.algorithm
    seed = int(np.random.SeedSequence([config.seed, index]).generate_state(1)[0] >> 1)
    env = VecNormalize(
        VecMonitor(SB3VecEnv(config.num_envs, config.scenarios, algorithm.last_action)),
        norm_reward=algorithm.normalize_reward,
        gamma=algorithm.gamma,
    )
    return algorithm.learner(env, config.env_steps, seed, device)


def _learn(learner: BaseAlgorithm, config: BaselineConfig, index: int, before: BaselineRecord) -> BaselineRecord:
    steps = config.steps_until(index + 1) - config.steps_until(index)
    begun = time.monotonic()
    with tqdm(total=steps, desc=f"round {index + 1}/{config.rounds}", unit="step", leave=False) as bar:
        learner.learn(steps, callback=_Progress(bar), reset_num_timesteps=False)
    returns = [episode["r"] for episode in learner.ep_info_buffer or ()]
    return BaselineRecord(
        learner.num_timesteps,
        learner._n_updates,
        before.seconds + time.monotonic() - begun,
        float(np.mean(returns)) if returns else None,
    )


class _Progress(BaseCallback):
    """Advances the bar."""

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._bar = bar

    def _on_step(self) -> bool:
        self._bar.update(self.training_env.num_envs)
        return True


def _trained(
    learner: BaseAlgorithm, config: BaselineConfig, robot: Robot, record: BaselineRecord, revision: str
) -> BaselinePolicy:
    provenance = {
        "scenarios": config.scenarios,
        "env_steps": record.env_steps,
        "updates": record.updates,
        "seconds": round(record.seconds, 1),
        "seed": config.seed,
        "num_envs": config.num_envs,
        "git_revision": revision,
    }
    objective = robot.objective
    about = BaselineDescription(FORMAT_VERSION, robot.spec, objective.terms, objective.goal_names, config.algorithm, provenance)
    moments = normalizer(learner).obs_rms
    mean, var = (torch.as_tensor(np.asarray(x, dtype=np.float64)) for x in (moments.mean, moments.var))
    return BaselinePolicy(about, learner.policy, mean, var)
