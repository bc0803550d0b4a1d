"""Run the arms of an evaluation on the same episodes.

All episodes of an arm run side by side. Seeds, changes and planner settings are the same for every arm, so that the arms can be
compared in pairs, episode by episode. Each episode has planner noise of its own, from its seed, so that intervals cover it. An
episode whose physics became unstable in one arm is left out of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sim.episodes.policies import Policy
from sim.evaluation.arms import Arm, BeginArm, make_policies, run_arm
from sim.evaluation.open_loop import OpenLoop, open_loop_errors
from sim.evaluation.setup import Setup
from sim.scenarios.scenario import Scenario
from sim.simulation.instability import Instability, SimulationError


@dataclass(frozen=True)
class LeftOut:
    """An episode that is left out of the figures of all arms.

    Attributes:
        episode: its number among the episodes that were asked for.
        seed: its seed.
        arm: the arm in which its physics became unstable.
        instability: when that was, and under which change.
    """

    episode: int
    seed: int
    arm: str
    instability: Instability

    def __str__(self) -> str:
        return f"episode {self.episode} (seed {self.seed}), arm {self.arm}: {self.instability}"


@dataclass(frozen=True)
class Evaluation:
    """What the arms did.

    Attributes:
        setup: what was asked for.
        scenarios: the scenarios of the E episodes that were stable in all arms.
        arms: what each arm did in these episodes, by name.
        open_loop: how the models predict along the data that all arms left behind; None if there are too few steps.
        left_out: the other episodes, once for every arm in which they became unstable.
    """

    setup: Setup
    scenarios: tuple[Scenario, ...]
    arms: dict[str, Arm]
    open_loop: OpenLoop | None
    left_out: tuple[LeftOut, ...] = ()


def evaluate(setup: Setup, begin_arm: BeginArm = lambda arm, steps: lambda: None) -> Evaluation:
    """Run every arm; the same setup gives the same episodes again, however often it is run.

    Args:
        setup: what to run, from `prepare`.
        begin_arm: reports progress.

    Raises:
        SimulationError: no episode was stable in all arms.
    """
    arms, left_out = _run_arms(setup, make_policies(setup), begin_arm)
    unstable = {entry.episode for entry in left_out}
    kept = [i for i in range(len(setup.scenarios)) if i not in unstable]
    scenarios = tuple(setup.scenarios[i] for i in kept)
    arms = {name: arm.select(kept) for name, arm in arms.items()}
    # the random policy's states say nothing about control, and with optional arms the error stays the same as without them
    optional = ("random", *setup.baselines, *setup.physics)
    episodes = [arm.episodes for name, arm in arms.items() if name not in optional]
    changes = [s.last_change for s in scenarios]
    return Evaluation(setup, scenarios, arms, open_loop_errors(setup.controllers, episodes, changes), tuple(left_out))


def _run_arms(setup: Setup, policies: dict[str, Policy], begin_arm: BeginArm) -> tuple[dict[str, Arm], list[LeftOut]]:
    arms: dict[str, Arm] = {}
    left_out: list[LeftOut] = []
    for name, policy in policies.items():
        arms[name] = run_arm(setup, name, policy, begin_arm)
        left_out += _unstable_episodes(setup.scenarios, name, arms[name])
        if len({entry.episode for entry in left_out}) == len(setup.scenarios):
            raise SimulationError(f"no episode is left, all became unstable in some arm; {left_out[0]}")
    return arms, left_out


def _unstable_episodes(scenarios: Iterable[Scenario], name: str, arm: Arm) -> list[LeftOut]:
    return [
        LeftOut(i, scenario.seed, name, instability)
        for i, (scenario, instability) in enumerate(zip(scenarios, arm.instabilities, strict=True))
        if instability is not None
    ]
