"""How soon the bridge warns of a motor that works backwards, and how often of one that does not.

Usage: python -m benchmarks.reversal_alarms [ROBOT...] [--episodes 16] [--out FILE]

Each robot runs under its shipped checkpoint, in process, so that the machine does not matter. In mid-episode something changes,
as the validation parts of its splits `anything` and `outside` draw it: motors that become weak or reversed, loads, delays,
friction. The bridge's own check looks at the signs that the controller finds. Counted are

    false alarms    the bridge begins to warn of a motor that works forwards; motors that are dead count as such
    reversed        a motor whose gain becomes -0.7 or less and stays for three seconds at least
    told            a warning of it begins within these three seconds, and after how many control steps

Motors that are reversed and weaker than that are neither, since the rule adapts to them without turning a sign. 16 episodes of
both parts take about four minutes for each robot on one core. Robots may be measured by several processes, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.evidence.figures import quantiles, rate_interval, share_interval
from robot_bridge.safety.actuator_alarms import TurnedSigns
from robot_bridge.safety.config import SafetyConfig
from sim.episodes.policies import ControllerPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.parameters import motor_gains

ROBOTS = ("cartpole", "half_cheetah", "arm", "quadrotor")
SPLITS = ("anything", "outside")
SEED = 2900
"""Of the first episode of each part."""
REVERSED = -0.7
"""A motor with this gain or less should be told."""
SECONDS = 3.0
"""The time in which it should be told [s]."""


def main(
    robots: tyro.conf.Positional[tuple[str, ...]] = ROBOTS,
    episodes: int = 16,
    out: Path = Path("docs/results/reversal_alarms.json"),
) -> None:
    """Run the episodes of each robot, and look at the signs that its controller finds.

    Args:
        robots: robots with a shipped checkpoint.
        episodes: number of episodes of each of the two parts.
        out: JSON file for the figures; figures of other robots in it stay.
    """
    for name in robots:
        robot, alarms, gains = load_robot(name), [], []
        for split in SPLITS:
            drawn = load_scenario(f"{name}/{split}:validation")
            scenarios = drawn.episodes(episodes, SEED)
            recorded = run_scenarios(robot, scenarios, ControllerPolicy(load_controller(name, robot)), source="policy")
            for i, (scenario, episode) in enumerate(zip(scenarios, recorded.episodes, strict=True)):
                alarms.append(told(recorded.log.sign[: len(episode), i], robot))
                gains.append(np.array([motor_gains(scenario.change_in_force(step), robot) for step in range(len(episode))]))
        report = json.loads(out.read_text()) if out.exists() else {"reversal_alarms": {}}
        report["reversal_alarms"][name] = figures(alarms, gains, robot.spec.dt)
        write_text_atomically(out, json.dumps({**report, "episodes": episodes, "machine": machine()}, indent=1) + "\n")
        print(name, json.dumps(report["reversal_alarms"][name]), flush=True)


def told(signs: NDArray[np.float64], robot: Robot) -> NDArray[np.bool_]:
    """At which steps the bridge warns of which motor, (T, action_dim); `signs` has the same shape."""
    names = robot.spec.action_names
    check = TurnedSigns(names, SafetyConfig.sign_turned_seconds, robot.spec.dt)
    found = np.zeros(signs.shape, dtype=np.bool_)
    for step, row in enumerate(signs):
        for fault in check.look(row):
            found[step, names.index(fault.about)] = True
    return found


def figures(alarms: Sequence[NDArray[np.bool_]], gains: Sequence[NDArray[np.float64]], dt: float) -> dict[str, Any]:
    """What is told of reversed motors, and how often others are.

    Args:
        alarms: of each episode, from `told`.
        gains: of each episode, those of the motors at each step, (T, action_dim).
        dt: control period [s].
    """
    within, hours = round(SECONDS / dt), sum(map(len, alarms)) * dt / 3600
    false, steps, reversed_motors = 0, [], 0
    for alarm, gain in zip(alarms, gains, strict=True):
        false += int((begins(alarm) & (gain >= 0)).sum())
        for step, motor in np.argwhere(begins(gain <= REVERSED)):
            if (gain[step : step + within, motor] <= REVERSED).sum() < within:
                continue
            reversed_motors += 1
            # a warning that stood there before is none of this
            at = np.flatnonzero(begins(alarm)[step : step + within, motor])
            steps += [int(at[0])] if len(at) else []
    return {
        "hours": round(hours, 3),
        "false_alarms": false,
        "false_per_hour": rate_interval(false, hours),
        "reversed": reversed_motors,
        "told": len(steps),
        "share_95": share_interval(len(steps), reversed_motors),
        "steps": quantiles(steps),
    }


def begins(of: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where something becomes true, by motor, (T, action_dim)."""
    return of & ~np.concatenate([np.zeros_like(of[:1]), of[:-1]])


if __name__ == "__main__":
    tyro.cli(main)
