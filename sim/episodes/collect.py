"""Training episodes from simulation: random noise, the oracle, the current controller, and branches off the last two."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.planning import PlannerConfig, make_planner
from adaptive_mbrl.planning.base import Planner
from adaptive_mbrl.process import SINGLE, Process, Share
from adaptive_mbrl.training.data_config import DataConfig
from sim.episodes.branches import branch_episodes
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.episodes.rank_correlation import rank_correlation
from sim.episodes.recorded import Recorded
from sim.episodes.run import run_scenarios
from sim.robot.robot import Robot
from sim.robot.task import RobotTask
from sim.scenarios.distribution import ScenarioDistribution
from sim.simulation.instability import SimulationError


@dataclass(frozen=True)
class Collected:
    """What one collection gave.

    Attributes:
        episodes: new episodes, branches included.
        oracle_steps: number of control steps that the oracle simulated to choose its actions.
        scalars: figures about the collection, by name.
    """

    episodes: list[Episode]
    oracle_steps: int = 0
    scalars: dict[str, float] = field(default_factory=dict)


class Collector:
    """Collects what a `DataConfig` asks for; every call depends on its arguments and the seed alone.

    Args:
        config: what is collected, and how much of it.
        robot: the robot that is simulated.
        distribution: the distribution that training scenarios are drawn from.
        planner: settings of the controller's planner; branches try its candidates.
        window: K, the number of steps of history that a branch starts with.
        seed: seed of all randomness.
        dump_folder: where steps that become unstable are written for a replay; None writes nothing.
        shaping: whether the oracle's planner maximises the robot's shaping terms too.
        process: this process among those that share the robots; each gets all that they collect.
    """

    def __init__(
        self,
        config: DataConfig,
        robot: RobotTask,
        distribution: ScenarioDistribution,
        planner: PlannerConfig,
        window: int,
        seed: int,
        dump_folder: Path | None = None,
        *,
        shaping: bool = True,
        process: Process = SINGLE,
    ) -> None:
        self.shaping, self.process = shaping, process
        self.config, self.robot, self.distribution = config, robot, distribution
        self.planner, self.window, self.seed, self.dump_folder = planner, window, seed, dump_folder

    def initial(self) -> Collected:
        """Random and oracle episodes for round 0."""
        config, spec = self.config, self.robot.spec
        oracle = OraclePolicy(spec, config.oracle_planner, self.seed, shaping=self.shaping)
        episodes: list[Episode] = []
        scalars: dict[str, float] = {}
        if config.random_episodes:
            numbers = range(config.random_episodes)
            policy = RandomPolicy(spec, self.seed, config.steps, share=self._share(len(numbers)))
            random = self._run(policy, "random", numbers, (0, 0), 0.0)
            episodes += random.episodes
            scalars["collect/random_return"] = mean_return(random)
        if config.oracle_episodes:
            recorded = self._run(oracle, "oracle", range(config.oracle_episodes), (0, 1), config.action_noise)
            episodes += [*recorded.episodes, *self._branches(recorded, make_planner(spec, self.planner), (0, 3))]
            scalars["collect/oracle_return"] = mean_return(recorded)
        oracle_steps = oracle.steps_simulated
        if config.oracle_episodes and self._share(config.oracle_episodes).process.world_size > 1:
            oracle_steps = sum(self.process.gather(oracle_steps))
        return Collected(episodes, oracle_steps, scalars)

    def on_policy(self, index: int, controller: AdaptiveController, part: range | None = None) -> Collected:
        """Episodes of round `index` with the current controller, and how well its model orders plans.

        Args:
            index: number of the round.
            controller: the controller.
            part: numbers of the round's episodes to collect; None for all. A part has random numbers of its own: those of no
                other part.
        """
        numbers = range(self.config.episodes_per_iteration) if part is None else part
        streams = {use: (index, use) if part is None else (index, use, part.start) for use in (2, 3, 4)}
        recorded = self._run(ControllerPolicy(controller), "policy", numbers, streams[2], self.config.action_noise, part is None)
        assert recorded.log is not None, "a controller reports every step"
        scalars = {"collect/return": mean_return(recorded)}
        for name in ("adapted_error", "prior_error", "fell_back"):
            values = recorded.while_running(getattr(recorded.log, name))
            # errors begin with the second step, which no episode may have reached
            if not np.isnan(values).all():
                scalars[f"collect/{name}"] = float(np.nanmean(values))
        horizon = self.planner.horizon
        few = dataclasses.replace(recorded, snapshots={t: recorded.snapshots[t] for t in self._middle_of(recorded)})
        horizons = sorted({h for h in (1, 5, 10, horizon) if h <= horizon})
        if isinstance(self.robot, Robot):
            ordered = rank_correlation(self.robot, controller, few, horizons, seed=self._seed_of(*streams[4]))
            scalars |= {f"rank_correlation/{h}_steps": value for h, value in ordered.items()}
        branches = self._branches(recorded, controller.settings.planner, streams[3])
        return Collected([*recorded.episodes, *branches], scalars=scalars)

    def _run(
        self, policy: Policy, source: str, numbers: range, stream: tuple[int, ...], noise: float, is_whole: bool = True
    ) -> Recorded:
        """Run new scenarios and tag the episodes that are held out for validation.

        Args:
            policy: chooses the actions.
            source: tag of the episodes.
            numbers: numbers of the scenarios within their round; those that become unstable are left out.
            stream: keeps the random numbers of this collection apart from those of others.
            noise: std of the noise on the actions [half ranges].
            is_whole: whether these are all of the round; if not, the round's first episodes are still those that are held out.
        """
        rng = np.random.default_rng([self.seed, *stream])
        scenarios = [self.distribution.sample(rng, self.config.steps) for _ in numbers]
        last_snapshot = self.config.steps - self.planner.horizon
        share = self._share(len(numbers))
        steps, quiet = share.size * self.config.steps, not self.process.is_main
        with tqdm(total=steps, desc=f"collect ({source})", unit=" env steps", leave=False, disable=quiet) as bar:
            recorded = run_scenarios(
                self.robot,
                scenarios,
                policy,
                source=source,
                action_noise=noise * 0.5 * (np.array(numbers) % 3),
                noise_seed=int(rng.integers(2**31)),
                snapshot_steps=range(self.config.branch_every, last_snapshot + 1, self.config.branch_every),
                hook=lambda t, simulation: bar.update(simulation.num_robots),
                dump_folder=self.dump_folder,
                share=share,
            )
        recorded = recorded.without_unstable(lambda line: self.process.say(f"left out of the collection ({source}): {line}"))
        if not recorded.episodes:
            raise SimulationError(f"the collection ({source}) has no episode left: the physics of all robots became unstable")
        num = len(recorded.episodes) if is_whole else self.config.episodes_per_iteration
        fraction = self.config.validation_fraction
        held_out = min(num - 1, max(1, round(num * fraction))) if fraction > 0 else 0
        tagged = (
            dataclasses.replace(e, tags={**e.tags, "validation": i < held_out})
            for i, e in enumerate(recorded.episodes, numbers.start)
        )
        return dataclasses.replace(recorded, episodes=tuple(tagged))

    def _branches(self, recorded: Recorded, planner: Planner, stream: tuple[int, ...]) -> list[Episode]:
        num = self.config.branches_per_state
        # a training of another kind of robot has refused branches before it began
        if not num or not isinstance(self.robot, Robot):
            return []
        return branch_episodes(self.robot, planner, recorded, self.window, num, self._seed_of(*stream), self.process)

    def _share(self, num: int) -> Share:
        """The robots that this process simulates, of `num`; all of them where there are too few to share."""
        return (self.process if num >= self.process.world_size else SINGLE).share(num)

    def _seed_of(self, *stream: int) -> int:
        return int(np.random.default_rng([self.seed, *stream]).integers(2**31))

    @staticmethod
    def _middle_of(recorded: Recorded) -> Sequence[int]:
        """Steps of the snapshots at one third and at two thirds of all."""
        steps = sorted(recorded.snapshots)
        return sorted({steps[len(steps) // 3], steps[2 * len(steps) // 3]}) if steps else ()


def mean_return(recorded: Recorded) -> float:
    """Mean of the episodes' returns."""
    return float(np.mean([e.reward.sum() for e in recorded.episodes]))
