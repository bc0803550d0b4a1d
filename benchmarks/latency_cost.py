"""How much return does latency cost, how much does prediction win back, and what are candidates worth? In process.

Usage: python benchmarks/latency_cost.py half_cheetah half_cheetah/cadm_cripple:train [--episodes 12] [--out FILE]

Nothing runs in real time here, so every machine finds the same. In every case the controller acts once in each control period, on
an observation that was measured some time before the command acts:

    age     age of the observation at the tick [control periods], caused by sensors, network and actuators
    lead    time between the start of a plan and the effect of its command [control periods]; 1 plans from tick to tick
    start   the state that the plan begins from: `observed` is the observation, as if it were new; `predicted` is the model's
            prediction, as in the bridge; `true` is the state when the command acts, which no controller can know, with a belief
            as old as in `predicted`

A machine that has no time for all candidates in float32 plans in bfloat16 or with fewer candidates; both are measured, too.

Use the train part of a split, because the result decides how the bridge plans.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from bridge_machine import machine
from numpy.typing import NDArray

from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.control.sent_commands import SentCommands
from sim.evaluation.metrics import ratio_and_interval
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario
from sim.simulation.substeps import SubstepSimulation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """How a controller is coupled to a robot, as described above."""

    lead: float = 0.0
    age: float = 0.0
    start: Literal["observed", "predicted", "true"] = "predicted"
    samples_share: float = 1.0
    bfloat16: bool = False

    def in_physics_steps_of(self, robot: Robot) -> Case:
        """The same case with age and lead rounded to physics steps."""
        age, lead = (round(x * robot.substeps) / robot.substeps for x in (self.age, self.lead))
        return replace(self, age=age, lead=lead)


CASES = (
    Case(),
    Case(age=0.25),
    Case(age=0.25, start="observed"),
    Case(lead=0.5),
    Case(lead=1.0),
    Case(lead=1.0, start="observed"),
    Case(lead=1.0, start="true"),
    Case(lead=1.0, age=0.25),
    Case(lead=1.0, samples_share=0.5),
    Case(lead=1.0, bfloat16=True),
)


def main(
    robot: tyro.conf.Positional[str],
    scenario: tyro.conf.Positional[str],
    episodes: int = 12,
    seed: int = 500,
    out: Path | None = None,
) -> None:
    """Run all cases on the same episodes.

    Args:
        robot: a robot with a shipped checkpoint of its name.
        scenario: a part of a split.
        episodes: number of episodes.
        seed: random seed of the first episode.
        out: JSON file for the figures; docs/results/latency_cost_ROBOT.json by default.
    """
    torch.set_num_threads(1)
    parts = load_scenario(scenario)
    if isinstance(parts, Scenario):
        raise ConfigError(f"'{scenario}' is a single scenario; allowed: a part of a split")
    report: dict[str, Any] = {"robot": robot, "scenario": scenario, "seed": seed, "episodes": episodes, "latency_cases": []}
    found_at_start = machine()
    reference = None
    for case in (case.in_physics_steps_of(load_robot(robot)) for case in CASES):
        began = time.perf_counter()
        returns = run(load_robot(robot), case, parts.episodes(episodes, seed))
        reference = returns if reference is None else reference
        found = {"return_after_change": mean_and_interval(returns), "ratio": ratio_and_interval(returns, reference)}
        report["latency_cases"].append({**asdict(case), **found, "returns": [round(r, 2) for r in returns.tolist()]})
        print(f"{case}: {returns.mean():.0f}, {found['ratio'][0]:.3f} ({time.perf_counter() - began:.0f} s)", flush=True)
    path = out or Path(f"docs/results/latency_cost_{robot}.json")
    write_text_atomically(path, json.dumps({**report, "machine": found_at_start}, indent=1) + "\n")


def run(robot: Robot, case: Case, scenarios: Sequence[Scenario]) -> Array:
    """Returns after the last change, (episodes,)."""
    controller = AdaptiveController.load(robot.name).with_precision("bfloat16" if case.bfloat16 else "float32")
    simulations = [SubstepSimulation(robot, scenario) for scenario in scenarios]
    seen = Course(simulations, case, robot.spec.dt)
    samples = round(case.samples_share * controller.settings.planner.num_samples)
    horizon = controller.settings.planner.horizon
    goals = np.stack([robot.goals(scenario.seed, scenario.steps, horizon) for scenario in scenarios])
    before: float | None = None
    for step in range(scenarios[0].steps):
        # the plan for tick `step`; with a lead of a whole period it learns from the observation of the tick before
        now = step * robot.spec.dt
        measured = now - (case.age + (1.0 if case.lead > 0 else 0.0)) * robot.spec.dt
        latest = now - (case.age + case.lead) * robot.spec.dt
        acted = None if before is None else seen.commands.mean(before, measured)
        pending, remaining = seen.commands.pending(latest, now) if case.start == "predicted" else ([], 1.0)
        begin = seen.at(now) if case.start == "true" else seen.at(latest)
        options = StepOptions(
            sent=acted,
            after_gap=acted is None,
            pending=np.stack(pending, 1) if pending else None,
            latest=begin,
            remaining=remaining,
            num_samples=samples,
        )
        goal = robot.known_goals(goals, step, horizon - 1) if goals.shape[-1] else None
        command = controller.step(seen.at(measured), goal, options)
        before = measured
        seen.go_on(command.action, now)
    return np.array(
        [s.rewards()[scenario.last_change :].sum() for s, scenario in zip(simulations, scenarios, strict=True)], dtype=np.float64
    )


class Course:
    """The observations and the commands of a batch of simulations so far.

    Args:
        simulations: the simulations, at their start.
        case: the case, whose age and lead say how long commands must be remembered.
        dt: control period [s].
    """

    def __init__(self, simulations: Sequence[SubstepSimulation], case: Case, dt: float) -> None:
        self._simulations = simulations
        self.commands = SentCommands(dt, 0.0, memory=(case.lead + case.age + 3) * dt)
        self._obs = [self._observe()]

    def at(self, moment: float) -> NDArray[np.float32]:
        """The observations at a time [s], (episodes, obs_dim); before the start those of the start."""
        return self._obs[max(0, round(moment / self._simulations[0].sim_dt))]

    def go_on(self, actions: NDArray[np.float32], now: float) -> None:
        """Simulate one control period with these actions, (episodes, action_dim), from the time `now` on [s]."""
        self.commands.add(now, actions.astype(np.float64))
        for _ in range(self._simulations[0].robot.substeps):
            for simulation, action in zip(self._simulations, actions, strict=True):
                simulation.advance(action)
            self._obs.append(self._observe())

    def _observe(self) -> NDArray[np.float32]:
        return np.stack([s.observe() for s in self._simulations])


if __name__ == "__main__":
    tyro.cli(main)
