"""What a network between robot and controller costs: delay, jitter, loss and frames in another order, over real DDS.

Usage: python benchmarks/two_machines.py [--episodes N] [--out FILE]; as root, because it makes network namespaces

The episodes are of a test part; that they were looked at is written down in docs/results/test_ledger.csv.

The simulated robot runs in one network namespace and the bridge in another. Between them a line in user space
(benchmarks/network_line.py) delays and loses Ethernet frames, because not every kernel has `tc netem`. Each setting has its own
round trips, measured by messages of the same kinds before the episodes. The bridge file is told the delay of both ways as its
`latency`; all else is as shipped. The reference is the same controller on the same episodes in process.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from bridge_machine import machine
from network_line import Line
from tqdm import tqdm
from two_namespaces import INTERFACE, Machines

from adaptive_mbrl.config import read_mapping, save_yaml
from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.bags.reader import Bag
from robot_bridge.middleware.messages import JointState, String
from sim.episodes.policies import ControllerPolicy
from sim.episodes.run import run_scenarios
from sim.evaluation.ledger import append_to_ledger, ledger_entries
from sim.evaluation.setup import prepare
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

ROOT = Path(__file__).resolve().parent.parent
PROBE = Path(__file__).with_name("round_trip_probe.py")
ROBOT, SCENARIO = "cartpole", "cartpole/mass_gain:test"
SETTINGS = {
    "a cable": Line(),
    "5 ms": Line(delay=0.005),
    "5 ms, jitter 2 ms": Line(delay=0.005, jitter=0.002),
    "20 ms": Line(delay=0.02),
    "1 % lost": Line(loss=0.01),
    "5 % lost": Line(loss=0.05),
    "5 ms, 10 % overtake": Line(delay=0.005, reorder=0.1),
    "50 ms": Line(delay=0.05),
}
"""Each way has this delay, so that the round trip has twice as much."""
PATIENCE = 180.0
"""Longest wait for a process [s]."""
STATES = "/adaptive_mpc/state"


def main(episodes: int = 2, settings: tuple[str, ...] = tuple(SETTINGS), out: Path | None = None) -> None:
    """Run all settings.

    Args:
        episodes: number of episodes of each setting, from the first seed of the test part on.
        settings: which settings, by their names.
        out: JSON file for the figures; docs/results/two_machines.json by default.
    """
    found = load_scenario(SCENARIO)
    scenarios = found.episodes(episodes, found.seed)
    about = machine() | {"real_time_priority": os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)}
    looked = ledger_entries([ROBOT], SCENARIO, episodes, found.seed, "return with a network in between, against that in process")
    append_to_ledger(ROOT / "docs/results/test_ledger.csv", looked)
    rows = []
    for name in tqdm(settings, unit="setting"):
        line = SETTINGS[name]
        with Machines(line).connected() as machines:
            trips = round_trips(machines)
            runs = [episode(machines, scenario, 2 * line.delay) for scenario in scenarios]
        rows.append(
            {"setting": name, "line": asdict(line), "round_trips": trips, "episodes": runs, "summary": summary(trips, runs)}
        )
    inside = in_process(episodes)
    report = {"two_machines": rows, "robot": ROBOT, "scenario": SCENARIO, "in_process": inside, "machine": about}
    write_text_atomically(out or ROOT / "docs/results/two_machines.json", json.dumps(report, indent=1) + "\n")
    print(json.dumps({row["setting"]: row["summary"] for row in rows}, indent=1), "in process:", float(np.mean(inside)))


def round_trips(machines: Machines) -> list[float | None]:
    """Round trips of messages [s], None for those that were lost."""
    network = ("--interface", INTERFACE)
    echo = machines.start("controller", str(PROBE), "echo", *network, stdin=subprocess.PIPE)
    ask = machines.start("robot", str(PROBE), "ask", *network)
    try:
        text, mistakes = ask.communicate(timeout=PATIENCE)
    finally:
        ask.kill()
        echo.communicate("")
    if ask.returncode:
        raise RuntimeError(mistakes)
    trips: list[float | None] = [None if trip is None else round(trip, 6) for trip in json.loads(text)]
    return trips


def episode(machines: Machines, scenario: Scenario, latency: float) -> dict[str, Any]:
    """One episode in real time: the robot's report, and what the bridge recorded."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        bridge_file, scenario_file, report = folder / "bridge.yaml", folder / "scenario.yaml", folder / "report.json"
        save_yaml(bridge_file, read_mapping(ROOT / "configs/bridge" / f"{ROBOT}.yaml") | {"latency": latency})
        save_yaml(scenario_file, {k: v for k, v in scenario.to_mapping().items() if k != "last_change"})
        network = ("--interface", INTERFACE)
        arguments = ("-m", "adaptive_mbrl", "bridge", "--bridge", str(bridge_file), "--record", str(folder / "bag"), *network)
        bridge = machines.start("controller", *arguments, cwd=ROOT)
        lines = wait_for_hold(bridge)
        arguments = ("-m", "adaptive_mbrl", "simulated-robot", "--bridge", str(bridge_file), "--scenario", str(scenario_file))
        robot = machines.start("robot", *arguments, "--json", str(report), *network, cwd=ROOT)
        try:
            _, mistakes = robot.communicate(timeout=PATIENCE)
        finally:
            robot.kill()
            bridge.send_signal(signal.SIGINT)
            rest, more = bridge.communicate(timeout=PATIENCE)
        if robot.returncode or bridge.returncode:
            raise RuntimeError(f"{mistakes}{more}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found | recorded(folder / "bag") | {"timing": lines[1], "bridge": rest.splitlines()[-1].partition(": ")[2]}


def wait_for_hold(bridge: subprocess.Popen[str]) -> list[str]:
    """The bridge's lines until it waits for a robot."""
    lines: list[str] = []
    while bridge.stdout is not None and not any(line.startswith("hold") for line in lines):
        line = bridge.stdout.readline()
        if not line:
            raise RuntimeError(bridge.communicate()[1])
        lines.append(line.rstrip())
    return lines


def recorded(bag: Path) -> dict[str, Any]:
    """Ages of the observations when they arrived [s], and the share of the time in which the plan was not followed."""
    ages, states = [], []
    with Bag(bag) as opened:
        for _, received, message in opened.messages({"/joint_states": JointState, STATES: String}):
            if isinstance(message, JointState):
                ages.append((received * 1e-9, received * 1e-9 - message.header.stamp.seconds))
            elif isinstance(message, String):
                states.append((received * 1e-9, message.data))
    end = max(moment for moment, _ in ages)
    begin = min((moment for moment, state in states if state == "running"), default=end)
    during = [state for moment, state in states if begin <= moment <= end]
    held = [state != "running" for state in during]
    found = [age for _, age in ages]
    return {
        "age_median": float(np.median(found)),
        "age_p99": float(np.percentile(found, 99)),
        "held_share": float(np.mean(held)) if held else 1.0,
        "holds": sum(later and not earlier for earlier, later in itertools.pairwise(held)),
    }


def summary(trips: list[float | None], runs: list[dict[str, Any]]) -> dict[str, float]:
    """The figures of one setting."""
    back = [trip for trip in trips if trip is not None]
    commands, steps = (sum(run[key] for run in runs) for key in ("commands", "steps"))
    return {
        "round_trip_median": float(np.median(back)),
        "round_trip_p99": float(np.percentile(back, 99)),
        "round_trips_lost": 1.0 - len(back) / len(trips),
        "age_median": float(np.median([run["age_median"] for run in runs])),
        "age_p99": float(max(run["age_p99"] for run in runs)),
        "late_commands": sum(run["late_commands"] for run in runs) / max(1, commands),
        "missing_commands": max(0.0, 1.0 - commands / steps),
        "command_timeouts": sum(run["command_timeouts"] for run in runs),
        "holds": sum(run["holds"] for run in runs),
        "held_share": float(np.mean([run["held_share"] for run in runs])),
        "return": float(np.mean([run["return"] for run in runs])),
    }


def in_process(episodes: int) -> list[float]:
    """Returns of the same controller on the same episodes, without a network and without real time."""
    setup = prepare(ROBOT, SCENARIO, episodes=episodes, oracle=False)
    policy = ControllerPolicy(setup.controllers["adaptive"])
    run_of = run_scenarios(setup.robot, setup.scenarios, policy, source="policy")
    return [float(e.reward.sum()) for e in run_of.episodes]


if __name__ == "__main__":
    tyro.cli(main)
