"""Meta-training in simulation: the rounds of `adaptive_mbrl.training.run`, which collect their episodes.

Round 0 collects random and oracle episodes. Every later round collects with the controller of the round before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.reward_fit import require_rewards
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.given_episodes import files_of_recordings, given_episodes
from adaptive_mbrl.training.run import Training, new_value
from adaptive_mbrl.training.run_folder import claimed_by_all
from sim.robot.loading import load_task
from sim.robot.task import RobotTask
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import files_of_training, load_training_part
from sim.training.collecting import LearnedParts, exploring_controller, new_collector
from sim.training.environment_training import completed, require_on_policy


def train(
    config: TrainConfig,
    run: Path,
    device: torch.device | str = "cpu",
    execution: Execution = Execution(),  # noqa: B008
) -> Path:
    """Run or resume a training.

    Args:
        config: the configuration of the run.
        run: the run folder; a new one is made, an existing one must be of the same run.
        device: where the model is trained.
        execution: how the training is carried out.

    Returns:
        The folder of the final checkpoint.
    """
    with open_training(config, run, torch.device(device), execution) as training:
        return training.run()


@contextmanager
def open_training(
    config: TrainConfig,
    run: Path,
    device: torch.device,
    execution: Execution = Execution(),  # noqa: B008
    kind: Callable[..., SimulatedTraining] | None = None,
) -> Iterator[SimulatedTraining]:
    """Check a configuration, claim its run folder for this process, and load what earlier rounds have left there.

    Args:
        config: the configuration of the run.
        run: the run folder.
        device: where the model is trained.
        execution: how the training is carried out.
        kind: makes the training, from the arguments of `SimulatedTraining`; None for one that alternates.
    """
    if config.scenarios is None:
        raise ConfigError(
            "key 'scenarios': missing; a training in simulation needs a split's part, such as cartpole/mass_gain:train"
        )
    scenarios = config.scenarios
    distribution = load_training_part(scenarios)
    robot = load_task(distribution.robot)
    config = completed(config, robot)
    require_on_policy(config, robot)
    recordings = files_of_recordings(config, run)
    given = given_episodes(config, robot.spec, recordings)
    if given is not None and config.learned_reward is not None:
        require_rewards(given.episodes)
    # what cannot be trained begins no run
    new_value(config, robot.spec, robot.objective_to_plan(config.shaping))
    # the revision of the code that is running: the checkout may change during a long training
    revision = git_revision() or "unknown"
    files = files_of_training(scenarios, distribution) | recordings
    with claimed_by_all(execution.process, run, config, files, revision):
        training = (kind or SimulatedTraining)(config, run, robot, distribution, device, revision, given, execution)
        try:
            yield training
        finally:
            training.recorder.close()


class SimulatedTraining(Training):
    """A training that collects its episodes in simulation.

    Args:
        config: the configuration of the run.
        run: the run folder, claimed for this process.
        robot: the robot that is simulated.
        distribution: the distribution that training scenarios are drawn from.
        device: where the model is trained.
        revision: git revision of the running code.
        given: the episodes to train on; None if the training collects its own.
        execution: how it is carried out.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Path,
        robot: RobotTask,
        distribution: ScenarioDistribution,
        device: torch.device,
        revision: str,
        given: EpisodeStore | None,
        execution: Execution = Execution(),  # noqa: B008
    ) -> None:
        objective = robot.objective_to_plan(config.shaping)
        super().__init__(config, run, robot.spec, objective, device, revision, given, execution)
        self.robot, self.distribution = robot, distribution

    def controller(self, seed: int, bonus: float = 0.0) -> AdaptiveController:
        """A controller with the present parameters.

        Args:
            seed: seed of its planner's noise.
            bonus: weight of the ensemble's spread of returns in the planner's score, for exploration.
        """
        return exploring_controller(
            self.config,
            self.robot,
            self.adapter,
            LearnedParts(self.value, self.learned_reward, self.learned_termination),
            self.description(),
            seed=seed,
            bonus=bonus,
            device=self.device,
            dump_folder=self.dump_folder,
        )

    def collect(self, index: int) -> None:
        """Collect the episodes of a round, each process its share, and store them with what their collection cost and showed."""
        begun = time.monotonic()
        config = self.config
        collector = new_collector(config, self.robot, self.distribution, self.dump_folder, self.process)
        if index == 0:
            collected = collector.initial()
        else:
            collected = collector.on_policy(index, self.controller(config.seed * 1000 + index, config.data.bonus_in(index)))
        if not self.process.is_main:
            return
        seconds = time.monotonic() - begun
        costs = {"oracle_steps": collected.oracle_steps, "scalars": collected.scalars, "seconds": seconds}
        self.store.append(collected.episodes, costs)
