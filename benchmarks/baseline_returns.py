"""Run trained baselines on the very episodes of a report in docs/results/, and write what they earned.

Usage: python benchmarks/baseline_returns.py docs/results/half_cheetah.json runs/baselines/half_cheetah_*

Each run on a test part of a shipped split appends a line to docs/results/test_ledger.csv; commit it. Each run's report goes to
docs/results/baselines/RUN.json; `python benchmarks/make_baselines.py` writes the tables from them. The
baselines are no slower with other programs running, so this can run beside a training.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.revision import git_revision
from sim.baselines.policy import load_baseline
from sim.episodes.run import run_scenarios
from sim.evaluation.ledger import append_to_ledger, ledger_entries
from sim.evaluation.report import scenario_report, write_report
from sim.evaluation.summary import summarize
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "baselines"
DIGITS = 6


def main(reference: str, *runs: str) -> None:
    """Evaluate every run on the episodes of the report `reference`."""
    report = json.loads(Path(reference).read_text(encoding="utf-8"))
    scenarios = same_scenarios(report)
    for run in runs:
        if not (Path(run) / "policy").is_dir():
            print(f"{run}: not trained to its end, left out")
            continue
        result = evaluated(Path(run), scenarios)
        looks = ledger_entries([run], scenarios[0].name, len(scenarios), scenarios[0].seed, "a baseline of the tables")
        append_to_ledger(OUT.parent / "test_ledger.csv", looks)
        write_report(OUT / f"{Path(run).name}.json", rounded(result))
        (summary,) = (result["summary"][name] for name in result["arms"])
        print(f"{run}: return after the change {summary['return_after_change']}")


def same_scenarios(report: dict[str, Any]) -> list[Scenario]:
    """The scenarios of a report, drawn anew; what the report holds must be the same."""
    config = report["config"]
    drawn = load_scenario(report["scenario"]).episodes(config["episodes"], config["seed"])
    kept = {scenario["seed"]: scenario for scenario in report["scenarios"]}
    scenarios = [s for s in drawn if s.seed in kept]
    for scenario in scenarios:
        if rounded(scenario.to_mapping()) != {k: v for k, v in kept[scenario.seed].items() if k != "last_change"}:
            raise ConfigError(f"{report['scenario']}: the episode of seed {scenario.seed} is another one today; evaluate anew")
    return scenarios


def evaluated(run: Path, scenarios: list[Scenario]) -> dict[str, Any]:
    """What one baseline did, in the form of an evaluation's report."""
    robot = load_robot(scenarios[0].robot)
    baseline = load_baseline(run, robot)
    recorded = run_scenarios(robot, scenarios, baseline, source="policy")
    about = baseline.description
    arms = {
        about.algorithm.TAG: {
            "returns": [float(e.reward.sum()) for e in recorded.episodes],
            "rewards": [e.reward.tolist() for e in recorded.episodes],
            "model_error": None,
            "prior_error": None,
        }
    }
    courses = [scenario_report(s) for s in scenarios]
    return {
        "scenario": scenarios[0].name,
        "scenarios": courses,
        "unstable": [str(i) for i in recorded.instabilities if i is not None],
        "arms": arms,
        "summary": summarize(arms, courses),
        "config": {
            "run": run.name,
            "algorithm": to_mapping(about.algorithm),
            "provenance": about.provenance,
            "episodes": len(scenarios),
            "seed": scenarios[0].seed,
            "machine": {"cpu": cpu_model()},
            "git_revision": git_revision(),
        },
    }


def rounded(value: Any) -> Any:
    """The same content with as many digits as a report has."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return round(float(value), DIGITS) if isinstance(value, float) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
