"""Training episodes from simulation: random noise, the oracle, the current controller, and branches off the last two."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.config import bounded
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.planning import PlannerConfig, make_planner
from adaptive_mbrl.planning.base import Planner
from sim.episodes.branches import branch_episodes
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.episodes.rank_correlation import rank_correlation
from sim.episodes.run import Recorded, run_scenarios
from sim.robot.robot import Robot
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.scenario import Scenario
from sim.simulation.physics import SimulationError


@dataclass(frozen=True)
class DataConfig:
    """Where the training episodes come from.

    Attributes:
        steps: control steps of an episode.
        random_episodes: with coloured noise, in round 0.
        oracle_episodes: with the oracle planner, in round 0; its simulator steps are counted apart.
        oracle_planner: the oracle's planner.
        iterations: rounds of collection with the current controller.
        episodes_per_iteration: episodes of each of them.
        action_noise: std of noise on oracle and controller actions [half ranges]; a third of the episodes each gets none, half
            and all of it.
        branches_per_state: candidate plans simulated at each snapshot of oracle and controller episodes (`episodes.branches`).
        branch_every: control steps between two snapshots.
        validation_fraction: share of episodes held out from every collection, at least one episode of several; 0 for no
            validation.
        episodes_from: take the episodes of this run and collect none; for comparisons on the same data.
    """

    steps: int = bounded(200, low=2)
    random_episodes: int = bounded(16, low=0)
    oracle_episodes: int = bounded(0, low=0)
    oracle_planner: PlannerConfig = PlannerConfig()
    iterations: int = bounded(8, low=0)
    episodes_per_iteration: int = bounded(16, low=1)
    action_noise: float = bounded(0.2, low=0.0, high=2.0)
    branches_per_state: int = bounded(0, low=0)
    branch_every: int = bounded(5, low=1)
    validation_fraction: float = bounded(0.1, low=0.0, high=0.5)
    episodes_from: Path | None = None


@dataclass(frozen=True)
class Collected:
    """New episodes, branches included, and what their collection cost and showed."""

    episodes: list[Episode]
    oracle_steps: int = 0
    scalars: dict[str, float] = field(default_factory=dict)


class Collector:
    """Collects what a `DataConfig` asks for; every call depends on its arguments and the seed alone.

    Args:
        config: the amounts.
        robot: the robot.
        distribution: of training scenarios.
        planner: of the controller; branches try its candidates.
        window: K, history that a branch starts with.
        seed: of everything.
    """

    def __init__(
        self, config: DataConfig, robot: Robot, distribution: ScenarioDistribution, planner: PlannerConfig, window: int, seed: int
    ) -> None:
        self.config, self.robot, self.distribution = config, robot, distribution
        self.planner, self.window, self.seed = planner, window, seed

    def initial(self) -> Collected:
        """Random and oracle episodes for round 0."""
        config, spec = self.config, self.robot.spec
        oracle = OraclePolicy(spec, config.oracle_planner, self.seed)
        episodes: list[Episode] = []
        scalars: dict[str, float] = {}
        if config.random_episodes:
            random = self._run(RandomPolicy(spec, self.seed, config.steps), "random", config.random_episodes, (0, 0), 0.0)
            episodes += random.episodes
            scalars["collect/random_return"] = mean_return(random)
        if config.oracle_episodes:
            recorded = self._run(oracle, "oracle", config.oracle_episodes, (0, 1), config.action_noise)
            episodes += [*recorded.episodes, *self._branches(recorded, make_planner(spec, self.planner, self.seed))]
            scalars["collect/oracle_return"] = mean_return(recorded)
        return Collected(episodes, oracle.steps_simulated, scalars)

    def on_policy(self, index: int, controller: AdaptiveController) -> Collected:
        """Episodes of round `index` with the current controller, and how well its model orders plans."""
        recorded = self._run(
            ControllerPolicy(controller), "policy", self.config.episodes_per_iteration, (index, 2), self.config.action_noise
        )
        scalars = {
            "collect/return": mean_return(recorded),
            "collect/adapted_error": float(np.nanmean([i.adapted_error for i in recorded.infos])),
            "collect/prior_error": float(np.nanmean([i.prior_error for i in recorded.infos])),
            "collect/fell_back": float(np.mean([i.fell_back for i in recorded.infos])),
        }
        horizon = self.planner.horizon
        few = dataclasses.replace(recorded, snapshots={t: recorded.snapshots[t] for t in self._middle_of(recorded)})
        for h, value in rank_correlation(
            self.robot, controller, few, sorted({h for h in (1, 5, 10, horizon) if h <= horizon})
        ).items():
            scalars[f"rank_correlation/{h}_steps"] = value
        return Collected([*recorded.episodes, *self._branches(recorded, controller.planner)], scalars=scalars)

    def _run(self, policy: Policy, source: str, num: int, stream: tuple[int, int], noise: float) -> Recorded:
        rng = np.random.default_rng([self.seed, *stream])
        scenarios = [self.distribution.sample(rng, self.config.steps) for _ in range(num)]
        recorded = self._run_stable(policy, source, scenarios, noise, int(rng.integers(2**31)))
        num = len(recorded.episodes)
        fraction = self.config.validation_fraction
        held_out = min(num - 1, max(1, round(num * fraction))) if fraction > 0 else 0
        tagged = (dataclasses.replace(e, tags={**e.tags, "validation": i < held_out}) for i, e in enumerate(recorded.episodes))
        return dataclasses.replace(recorded, episodes=tuple(tagged))

    def _run_stable(self, policy: Policy, source: str, scenarios: Sequence[Scenario], noise: float, noise_seed: int) -> Recorded:
        """Run the scenarios; those whose physics becomes unstable are left out, for every resume would come to them again."""
        last_snapshot = self.config.steps - self.planner.horizon
        with tqdm(total=self.config.steps, desc=f"collect ({source})", unit="step", leave=False) as bar:
            try:
                return run_scenarios(
                    self.robot,
                    scenarios,
                    policy,
                    source=source,
                    action_noise=noise * 0.5 * (np.arange(len(scenarios)) % 3),
                    noise_seed=noise_seed,
                    snapshot_steps=range(self.config.branch_every, last_snapshot + 1, self.config.branch_every),
                    hook=lambda t, simulation: bar.update(),
                )
            except SimulationError as error:
                if len(scenarios) == 1:
                    raise
                tqdm.write(f"left out of the collection ({source}): {error}")
                stable = [s for i, s in enumerate(scenarios) if i != error.robot_index]
        return self._run_stable(policy, source, stable, noise, noise_seed)

    def _branches(self, recorded: Recorded, planner: Planner) -> list[Episode]:
        if self.config.branches_per_state == 0:
            return []
        return branch_episodes(self.robot, planner, recorded, self.window, self.config.branches_per_state)

    @staticmethod
    def _middle_of(recorded: Recorded) -> Sequence[int]:
        steps = sorted(recorded.snapshots)
        return sorted({steps[len(steps) // 3], steps[2 * len(steps) // 3]}) if steps else ()


def mean_return(recorded: Recorded) -> float:
    """Mean of the episodes' returns."""
    return float(np.mean([e.reward.sum() for e in recorded.episodes]))
