"""What is the return of trainings with and without privileges, in proportion to a reference, on the same episodes?

Usage: python benchmarks/privileges.py REFERENCE RUN... --scenario SPLIT:PART [--episodes 12] [--seed 0] --out FILE

REFERENCE and RUN are folders of `adaptive-mbrl train`, names of shipped checkpoints, or reports of `evaluate --json` about the
same episodes. A folder whose training is not complete counts with its last finished round. Only the adaptive arm runs.

FILE keeps what it holds already about the same episodes, so that runs can be added one by one. Choose settings with the train
part of a split and seeds that no training draws, such as 5000, and use the test part once, at the end. Each run on a test part of
a shipped split appends a line to docs/results/test_ledger.csv; commit it.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, read_description
from adaptive_mbrl.config import load_yaml, to_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.rounds import RoundRecord
from sim.episodes.policies import ControllerPolicy
from sim.episodes.run import run_scenarios
from sim.evaluation.ledger import append_to_ledger, ledger_entries
from sim.evaluation.metrics import ratio_and_interval
from sim.evaluation.setup import prepare
from sim.evaluation.summary import returns_after_change
from sim.training.config import load_train_config

Returns = NDArray[np.float64]
LEDGER = Path(__file__).resolve().parent.parent / "docs" / "results" / "test_ledger.csv"
COSTS = ("env_steps", "branch_steps", "oracle_steps", "updates", "seconds")


def main(
    names: tyro.conf.Positional[tuple[str, ...]],
    scenario: str,
    out: Path,
    episodes: int = 12,
    seed: int = 0,
) -> None:
    """Evaluate the runs and write the report.

    Args:
        names: the reference, then the runs that are compared with it.
        scenario: a part of a split.
        out: the JSON file.
        episodes: number of episodes.
        seed: seed of the first episode.
    """
    asked = {"scenario": scenario, "episodes": episodes, "seed": seed, "reference": names[0]}
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {**asked, "commands": [], "privileges": {}}
    if {key: report[key] for key in asked} != asked:
        raise ConfigError(f"{out}: holds a report about other episodes or another reference; choose another --out")
    report["commands"] = [*report["commands"], shlex.join(["python", "benchmarks/privileges.py", *sys.argv[1:]])]
    # before the ledger, a file of the repository, has a line of this run
    revision = git_revision() or "unknown"
    missing = [name for name in names if name not in report["privileges"]]
    ran = [name for name in missing if not name.endswith(".json")]
    entries = ledger_entries(ran, scenario, episodes, seed, "what privileges are worth")
    for name in missing:
        begun = time.perf_counter()
        if name.endswith(".json"):
            returns = reported(Path(name), scenario, episodes, seed)
        else:
            returns = run(name, scenario, episodes, seed)
            append_to_ledger(LEDGER, [entry for entry in entries if entry.checkpoint == name])
        report["privileges"][name] = {
            **about(name),
            "evaluated_at": revision,
            "returns_after_change": [round(r, 2) for r in returns.tolist()],
        }
        print(f"{name}: {returns.mean():.1f} ({time.perf_counter() - begun:.0f} s)", flush=True)
    reference = np.array(report["privileges"][names[0]]["returns_after_change"])
    for entry in report["privileges"].values():
        returns = np.array(entry["returns_after_change"])
        entry["return_after_change"] = mean_and_interval(returns)
        entry["ratio"] = ratio_and_interval(returns, reference)
    # what FILE holds already was measured at the revision that it says
    machine = {
        "cpu": cpu_model(),
        "git_revision": ", ".join(dict.fromkeys(e["evaluated_at"] for e in report["privileges"].values())),
    }
    write_text_atomically(out, json.dumps({**report, "machine": machine}, indent=1) + "\n")


def run(name: str, scenario: str, episodes: int, seed: int) -> Returns:
    """Returns after the last change of the adaptive arm, (episodes,)."""
    setup = prepare(checkpoint_of(name), scenario, episodes=episodes, seed=seed, oracle=False)
    policy = ControllerPolicy(setup.controllers["adaptive"])
    recorded = run_scenarios(setup.robot, setup.scenarios, policy, source="policy")
    return np.array([e.reward[s.last_change :].sum() for e, s in zip(recorded.episodes, setup.scenarios, strict=True)])


def reported(path: Path, scenario: str, episodes: int, seed: int) -> Returns:
    """The same from a report of `adaptive-mbrl evaluate`, which must hold these episodes."""
    report = json.loads(path.read_text())
    first = report["config"]["seed"]
    chosen = slice(seed - first, seed - first + episodes)
    if scenario != report["scenario"] or seed < first or len(report["scenarios"][chosen]) < episodes:
        raise ConfigError(f"{path}: is about other episodes; allowed: a report about {scenario} with seeds from {seed} on")
    return np.array(returns_after_change(report["arms"]["adaptive"]["rewards"][chosen], report["scenarios"][chosen]))


def checkpoint_of(name: str) -> str | Path:
    """The checkpoint of a run folder, that of its last round if it is not complete; any other name as it is."""
    folder = Path(name)
    rounds = sorted(p for p in (folder / "rounds").glob("[0-9]*") if (p / DESCRIPTION_FILE).is_file())
    return folder / "checkpoint" if (folder / "checkpoint").is_dir() else rounds[-1] if rounds else name


def about(name: str) -> dict[str, Any]:
    """What a training had: its settings beside the shipped ones, what it cost, and the return of each of its collections.

    Of a report, only what the report itself says: the checkpoint of that name may be another one today.
    """
    if name.endswith(".json"):
        config = json.loads(Path(name).read_text())["config"]
        provenance = config["provenance"]["adaptive"]
        return {key: provenance[key] for key in COSTS} | {"checkpoint": config["checkpoints"]["adaptive"]}
    description = read_description(checkpoint_of(name))
    costs = {key: description.provenance[key] for key in COSTS}
    found: dict[str, Any] = {**costs, "shaping": description.shaping, "checkpoint": Path(name).name}
    if (Path(name) / "config.yaml").is_file():
        records = [load_yaml(path, RoundRecord) for path in sorted(Path(name).glob("rounds/[0-9]*/round.yaml"))]
        curve = [(r.env_steps, round(r.scalars["collect/return"], 2)) for r in records if "collect/return" in r.scalars]
        found["settings"] = differences(load_yaml(Path(name) / "config.yaml", TrainConfig), description.spec.name)
        found["return_of_collections"] = curve
    return found


def differences(config: TrainConfig, robot: str) -> dict[str, Any]:
    """Settings that are not those of the robot's shipped training."""
    ours, shipped = flat(to_mapping(config)), flat(to_mapping(load_train_config(robot)))
    return {key: value for key, value in ours.items() if key not in shipped or shipped[key] != value}


def flat(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


if __name__ == "__main__":
    tyro.cli(main)
