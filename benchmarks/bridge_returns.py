"""How much return does real middleware cost? Compares returns in two processes with those of the in-process evaluation.

Usage: python benchmarks/bridge_returns.py half_cheetah [--episodes N] [--repeats N] [--transport dds|rclpy]
           [--imperfections FILE] [--compile auto]

Every episode runs in real time: `adaptive-mbrl simulated-robot` in one process, `adaptive-mbrl bridge` in another, messages over
sockets between them. Its seed and its change of dynamics are those of an episode of docs/results/ROBOT.json. The reference is
the adaptive arm of that evaluation. Both returns depend on the planner's noise, which all episodes in process even share, so both
are means over several runs. The machine must have nothing else to do. Episodes of a test part of a shipped split are written down
in docs/results/test_ledger.csv; commit it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from bridge_machine import machine
from numpy.typing import NDArray
from tqdm import tqdm

from adaptive_mbrl.config import read_mapping, save_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.storage import write_text_atomically
from sim.episodes.policies import ControllerPolicy
from sim.episodes.run import run_scenarios
from sim.evaluation.ledger import append_to_ledger, ledger_entries
from sim.evaluation.metrics import ratio_and_interval
from sim.evaluation.setup import prepare

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
"""Longest wait for a process [s]."""
COMPILE_PATIENCE = 900.0
"""The same where the first process compiles."""
NOISES = 4
"""Number of runs in process, each with another seed of the planner's noise; the first seed is that of the evaluation."""
Array = NDArray[np.float64]


def main(
    robot: tyro.conf.Positional[str],
    episodes: int = 10,
    repeats: int = 2,
    transport: Literal["dds", "rclpy"] = "dds",
    domain: int = 90,
    imperfections: Path | None = None,
    compile: Literal["off", "auto"] = "off",
    out: Path | None = None,
) -> None:
    """Run the episodes and compare them.

    Args:
        robot: name of a bridge file and of a report.
        episodes: number of episodes, from the report's first seed on.
        repeats: number of times that each episode runs behind the middleware.
        transport: the transport between the two processes.
        domain: ROS 2's domain id.
        imperfections: YAML file with faults of the robot's sensors, actuators and network.
        compile: whether the bridge compiles its control step; see docs/robot_machine.md.
        out: JSON file for the figures; docs/results/bridge_ROBOT.json by default.
    """
    reference = json.loads((ROOT / "docs/results" / f"{robot}.json").read_text(encoding="utf-8"))
    if episodes > len(reference["scenarios"]):
        raise ConfigError(f"--episodes: {episodes} is out of range; docs/results/{robot}.json has {len(reference['scenarios'])}")
    found = machine()
    network = ["--transport", transport, "--domain", str(domain)]
    extra = [] if imperfections is None else ["--imperfections", str(imperfections)]
    scenarios = reference["scenarios"][:episodes]
    reason = "return behind real middleware, against that in process"
    first = reference["config"]["seed"]
    append_to_ledger(
        ROOT / "docs/results/test_ledger.csv", ledger_entries([robot], reference["scenario"], episodes, first, reason)
    )
    runs = [run(robot, compile, scenario, network, extra) for scenario in tqdm(scenarios * repeats, unit="episode")]
    behind = np.array([r["return_after_change"] for r in runs]).reshape(repeats, episodes).mean(0)
    inside = in_process(robot, reference["scenario"], episodes)
    report = {
        "robot": robot,
        "scenario": reference["scenario"],
        "transport": transport,
        "imperfections": None if imperfections is None else str(imperfections),
        "compile": compile,
        "repeats": repeats,
        "episodes": runs,
        "in_process": inside.round(2).tolist(),
        "summary": {
            "return_after_change": mean_and_interval(behind),
            "in_process": mean_and_interval(inside.mean(0)),
            "ratio": ratio_and_interval(behind, inside.mean(0)),
            "late_commands": sum(r["late_commands"] for r in runs),
            "overruns": sum(r["overruns"] for r in runs),
        },
        "machine": found,
    }
    path = out or ROOT / "docs/results" / f"bridge_{robot}.json"
    write_text_atomically(path, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["summary"], indent=1))


def run(robot: str, compile: str, scenario: dict[str, Any], network: list[str], extra: list[str]) -> dict[str, Any]:
    """One episode: the robot's report, and the bridge's lines about the time of plans, about holds, and the last one."""
    patience = PATIENCE if compile == "off" else COMPILE_PATIENCE
    with tempfile.TemporaryDirectory() as folder:
        path, scenario_file = Path(folder) / "report.json", Path(folder) / "scenario.yaml"
        bridge_file = str(Path(folder) / "bridge.yaml")
        save_yaml(Path(bridge_file), read_mapping(ROOT / "configs/bridge" / f"{robot}.yaml") | {"compile": compile})
        save_yaml(scenario_file, {key: value for key, value in scenario.items() if key != "last_change"})
        arguments = ["--bridge", bridge_file, "--scenario", str(scenario_file), "--json", str(path)]
        simulated = start("simulated-robot", *arguments, *network, *extra)
        bridge = start("bridge", "--bridge", bridge_file, *network)
        try:
            _, mistakes = simulated.communicate(timeout=patience)
        finally:
            simulated.kill()
            bridge.send_signal(signal.SIGINT)
            lines, more = bridge.communicate(timeout=patience)
        if simulated.returncode or bridge.returncode:
            raise RuntimeError(f"{mistakes}{more}")
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    said = lines.splitlines()
    # the last line is left out: at the end the robot is gone, and the bridge always holds
    held = [line for line in said[:-1] if line.startswith("hold")]
    return {**report, "timing": said[1], "held": held, "bridge": said[-1]}


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a sub-command in a process of its own."""
    command = [sys.executable, "-m", "adaptive_mbrl", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def in_process(robot: str, scenario: str, episodes: int) -> Array:
    """Returns after the change of the adaptive arm, under several seeds of the planner's noise, (`NOISES`, episodes)."""
    setup = prepare(robot, scenario, episodes=episodes, oracle=False)
    policy = ControllerPolicy(setup.controllers["adaptive"])
    returns = []
    for noise in tqdm(range(setup.seed, setup.seed + NOISES), unit="in-process run"):
        policy.controller.settings.planner.seed(noise)
        run_of = run_scenarios(setup.robot, setup.scenarios, policy, source="policy")
        returns.append([e.reward[s.last_change :].sum() for e, s in zip(run_of.episodes, setup.scenarios, strict=True)])
    return np.array(returns, dtype=np.float64)


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except ConfigError as mistake:
        sys.exit(f"error: {mistake}")
