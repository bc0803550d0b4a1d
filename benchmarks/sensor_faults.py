"""Sensors that lie, seen by the checks of the bridge: how soon are they told, and how often is a healthy robot told?

Usage: python benchmarks/sensor_faults.py [ROBOT...] [--episodes 8] [--out docs/results/sensor_faults.json]

Each robot runs under its shipped checkpoint and the limits of its bridge file, in process, so that the machine does not matter.
Its dynamics change in mid-episode, as its split `anything` draws them for the validation part. In each episode one channel begins
to lie at a random step, another one in each episode:

    frozen   it keeps its value
    jump     its value is wrong by half a range of the training data from then on
    drift    its value moves away by a fiftieth of such a range in each control period
    none     nothing lies: everything that is told is a false alarm

The controller sees the lie and acts on it. A report also holds the largest innovations of healthy channels. Limits must be above
them.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from adaptive_mbrl.controller import Command, StepInfo
from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.robot_files import training_range
from robot_bridge.safety.model_checks import ModelChecks
from robot_bridge.safety.supervisor import Observed, TrainingRange
from sim.episodes.policies import ControllerPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.paths import find_config
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

ROBOTS = ("cartpole", "half_cheetah", "arm", "quadrotor")
LIES = ("none", "frozen", "jump", "drift")
FIRST = 60
"""The first step at which a channel may begin to lie."""


class LyingPolicy:
    """A controller whose observations lie from some step on, and the checks that look at it.

    Args:
        policy: the controller.
        checks: the checks of each robot.
        lie: one of `LIES`.
        channel: the channel that lies, by robot, (B,).
        begin: the step at which it begins, by robot, (B,).
        training: ranges of the training data.

    Attributes:
        told: for each step, what each robot's checks told: kinds of faults.
        innovations: what the model had not predicted, (B, obs_dim) for each step.
    """

    def __init__(
        self,
        policy: ControllerPolicy,
        checks: list[ModelChecks],
        lie: str,
        channel: NDArray[np.int64],
        begin: NDArray[np.int64],
        training: TrainingRange,
    ) -> None:
        self._policy, self._checks, self._lie, self._channel, self._begin = policy, checks, lie, channel, begin
        self._training, self.preview = training, policy.preview
        self.told: list[list[set[str]]] = []
        self.innovations: list[NDArray[np.float32]] = []
        self._kept = np.zeros(len(channel))
        self._dt = policy.controller.spec.dt

    def reset(self, simulation: Any) -> None:
        self._policy.reset(simulation)

    def act(self, obs: Any, goal: Any, sent: Any) -> tuple[Any, StepInfo]:
        step, seen = len(self.told), obs.copy()
        for robot, (channel, begin) in enumerate(zip(self._channel, self._begin, strict=True)):
            seen[robot, channel] = self._lied(float(obs[robot, channel]), step - int(begin), robot, int(channel))
        actions, info = self._policy.act(seen, goal, sent)
        now = step * self._dt
        told = []
        for robot, checks in enumerate(self._checks):
            rows = {f.name: getattr(info, f.name) for f in dataclasses.fields(info)}
            rows = {name: row[robot : robot + 1] if isinstance(row, np.ndarray) else row for name, row in rows.items()}
            command = Command(actions[robot], actions[robot][None], StepInfo(**rows))
            observed = Observed(seen[robot].astype(np.float64), np.full(seen.shape[1], now))
            told.append({fault.kind for fault in checks.look(now, observed, command)})
        self.told.append(told)
        self.innovations.append(info.innovation)
        return actions, info

    def _lied(self, true: float, since: int, robot: int, channel: int) -> float:
        if since < 0 or self._lie == "none":
            self._kept[robot] = true
            return true
        reach = 2.0 * float(self._training.std[channel])
        return {"frozen": float(self._kept[robot]), "jump": true + reach, "drift": true + 0.04 * since * reach}[self._lie]


def main(
    robots: tyro.conf.Positional[tuple[str, ...]] = ROBOTS,
    episodes: int = 8,
    seed: int = 900,
    out: Path = Path("docs/results/sensor_faults.json"),
) -> None:
    """Run the episodes of each robot, once with each lie.

    Args:
        robots: robots with a shipped checkpoint and a bridge file.
        episodes: number of episodes.
        seed: seed of the first episode.
        out: JSON file for the figures.
    """
    report: dict[str, Any] = {"episodes": episodes, "seed": seed, "sensor_faults": {}}
    for robot in robots:
        report["sensor_faults"][robot] = {lie: run(robot, lie, episodes, seed) for lie in LIES}
        print(robot, json.dumps(report["sensor_faults"][robot]), flush=True)
    write_text_atomically(out, json.dumps({**report, "machine": machine()}, indent=1) + "\n")


def run(name: str, lie: str, episodes: int, seed: int) -> dict[str, Any]:
    """What the checks tell of one robot with one lie."""
    robot, config = load_robot(name), load_bridge_config(find_config("bridge", name))
    split = load_scenario(f"{name}/anything:validation")
    if isinstance(split, Scenario):
        raise TypeError(f"{name}/anything:validation is a single scenario")
    scenarios = split.episodes(episodes, seed)
    steps = scenarios[0].steps
    controller = load_controller(name, robot)
    rng, number = np.random.default_rng(seed), controller.spec.obs_dim
    channel = np.arange(episodes) * max(1, number // episodes) % number
    begin = rng.integers(FIRST, steps - FIRST, episodes)
    checks = [ModelChecks(controller.spec, config.safety, controller.diagnosis_names) for _ in range(episodes)]
    policy = LyingPolicy(ControllerPolicy(controller), checks, lie, channel, begin, training_range(controller))
    run_scenarios(robot, scenarios, policy, source="policy")
    kinds = np.array([[len(told) > 0 for told in row] for row in policy.told])
    after = [np.flatnonzero(kinds[start:, i]) for i, start in enumerate(begin)]
    delays = [int(found[0]) for found in after if len(found)]
    early = sum(int(kinds[:start, i].sum()) for i, start in enumerate(begin)) if lie != "none" else int(kinds.sum())
    looked = int(begin.sum()) if lie != "none" else kinds.size
    innovations = np.abs(np.nan_to_num(np.array(policy.innovations)))
    return {
        "told": len(delays) if lie != "none" else 0,
        "of": episodes,
        "steps_until_told": delays,
        "false_alarm_steps": early,
        "of_steps": looked,
        "kinds": sorted({kind for row in policy.told for told in row for kind in told}),
        "largest_innovation": round(float(innovations.max()), 2) if lie == "none" else None,
        "largest_by_channel": (
            {c.name: round(float(v), 2) for c, v in zip(robot.spec.obs, innovations.max((0, 1)), strict=True)}
            if lie == "none"
            else None
        ),
    }


if __name__ == "__main__":
    tyro.cli(main)
