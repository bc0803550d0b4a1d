"""Return against computing time: what planners make of few candidates, and of a short horizon.

Usage: python -m benchmarks.candidates ROBOT SCENARIO [--planner "{icem: {num_samples: 64}}"] [--episodes 12] [--only NAME ...]

Each case is the shipped checkpoint of a robot with another planner, or with other settings. All cases run the same episodes with
the same seeds, and each episode has noise of its own. The work of a case is its number of predicted steps: candidates x
iterations x horizon. The time is that of a control step of one robot, measured in turn with the others at the end. A case that is
in the report is not run again, so that an interrupted measurement goes on.

Use the train or the validation part of a split, because the result decides how robots plan.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
import tyro

from adaptive_mbrl.bench.driven import observed
from adaptive_mbrl.checkpoint import load_checkpoint, read_description
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.control.step import Precision
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.planning import CEMConfig, CVaRRiskConfig, ICEMConfig, RiskConfig, WorstRiskConfig
from adaptive_mbrl.planning.override import override_planner
from adaptive_mbrl.planning.sampling import SamplingConfig
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.timing import in_turn, timed
from benchmarks.bridge_machine import machine
from sim.episodes.policies import ControllerPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.evaluation.metrics import ratio_and_interval, return_after_change
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

matplotlib.use("agg")

WithElites = TypeVar("WithElites", bound=CEMConfig)
SHARES = (1.0, 0.5, 0.33, 0.17)
"""Shares of the number of candidates."""
CURVES = {
    ("icem", ""): "#0072b2",
    ("cem", ""): "#e69f00",
    ("cem", ", 3 iterations"): "#d55e00",
    ("mppi", ""): "#009e73",
}
"""What is drawn: planners by name, with what is changed beside the number of candidates; and colours."""
RISKS: dict[str, RiskConfig] = {"cvar 0.67": CVaRRiskConfig(0.67), "worst": WorstRiskConfig()}
"""Risks that are compared with the mean, by name; of the three members of the shipped models, the first one takes two."""
SECONDS_PER_CASE = 1.0
"""For how long a control step of each case is timed."""


class Case(NamedTuple):
    """How a controller plans."""

    planner: SamplingConfig
    precision: Precision = "float32"


def cases_of(planner: ICEMConfig) -> dict[str, Case]:
    """The planner first, and what it is compared with, by name."""
    full = f"icem {planner.num_samples}"
    cases = {full: Case(planner), f"{full}, bfloat16": Case(planner, "bfloat16")}
    for share in SHARES:
        few = resized(planner, share)
        samples, cem = few.num_samples, as_planner(few, "cem")
        cases[f"icem {samples}"] = Case(few)
        cases[f"icem {samples}, nothing kept"] = Case(replace(few, num_elites_kept=0))
        cases[f"icem {samples}, one iteration"] = Case(replace(few, num_iterations=1))
        cases[f"cem {samples}"] = Case(cem)
        cases[f"mppi {samples}"] = Case(as_planner(few, "mppi"))
        cases |= same_work(cem, num_iterations=few.num_iterations + 1)
    for horizon in (2 * planner.horizon // 3, planner.horizon // 2):
        cases[f"{full}, horizon {horizon}"] = Case(replace(planner, horizon=horizon))
    iterations, horizon = planner.num_iterations, 4 * planner.horizon // 3
    full_cem = as_planner(planner, "cem")
    cases |= same_work(full_cem, num_iterations=2 * iterations) | same_work(full_cem, horizon=horizon)
    cases |= same_work(full_cem, num_iterations=iterations + 1, horizon=horizon)
    # the two that robots ship with
    shipped = {full: cases[full]} | same_work(full_cem, num_iterations=iterations + 1)
    return cases | {f"{name}, {words}": other_risk(case, risk) for name, case in shipped.items() for words, risk in RISKS.items()}


def same_work(planner: CEMConfig, **more: int) -> dict[str, Case]:
    """As many predicted steps with fewer candidates: in more iterations, or over a longer horizon."""
    longer = replace(planner, **more)
    share = planner.num_iterations * planner.horizon / (longer.num_iterations * longer.horizon)
    few = resized(longer, share)
    words = [f"{few.num_iterations} iterations"] if "num_iterations" in more else []
    words += [f"horizon {few.horizon}"] if "horizon" in more else []
    return {", ".join([f"cem {few.num_samples}", *words]): Case(few)}


def other_risk(case: Case, risk: RiskConfig) -> Case:
    """The same with another risk over the particles."""
    return case._replace(planner=replace(case.planner, risk=risk))


def resized(planner: WithElites, share: float) -> WithElites:
    """The planner with a share of its candidates, and of its elites."""
    samples, elites = max(4, round(share * planner.num_samples)), max(2, round(share * planner.num_elites))
    few = {"num_samples": samples, "num_elites": elites}
    if isinstance(planner, ICEMConfig):
        few["num_elites_kept"] = min(planner.num_elites_kept, elites)
    return replace(planner, **few)


def as_planner(planner: SamplingConfig, name: str) -> Any:
    """Another planner, with the settings that both have."""
    return override_planner(planner, name, "a case")


def main(
    robot: tyro.conf.Positional[str],
    scenario: tyro.conf.Positional[str],
    episodes: int = 12,
    seed: int = 700,
    planner: str = "icem",
    only: tuple[str, ...] = (),
    out: Path | None = None,
    picture: Path | None = None,
) -> None:
    """Run all cases, and write the report after each one.

    Args:
        robot: a robot with a shipped checkpoint of its name.
        scenario: a part of a split.
        episodes: number of episodes.
        seed: random seed of the first episode.
        planner: what the cases are compared with, and made from: `icem` as `evaluate --planner` takes it.
        only: names of the cases to run; all by default. The first one always runs, since ratios are to it.
        out: JSON file for the figures; docs/results/candidates_ROBOT.json by default.
        picture: PNG file of the curve; docs/images/candidates_ROBOT.png by default.
    """
    torch.set_num_threads(1)
    path = out or Path(f"docs/results/candidates_{robot}.json")
    described = read_description(robot)
    compared = override_planner(described.planner, planner, "--planner")
    if not isinstance(compared, ICEMConfig):
        raise ConfigError(f"--planner: '{compared.TAG}'; allowed: icem")
    cases = cases_of(compared)
    for name in only:
        if name not in cases:
            raise ConfigError(f"--only: no case '{name}'; allowed: {', '.join(cases)}")
    about: dict[str, Any] = {"robot": robot, "scenario": scenario, "seed": seed, "episodes": episodes}
    about |= {"trained_at": described.provenance["git_revision"], "planner": to_mapping(compared)}
    reference = next(iter(cases))
    report = about | {"candidate_cases": []}
    if path.exists():
        report = json.loads(path.read_text(encoding="utf-8"))
        if {key: report.get(key) for key in about} != about:
            raise ConfigError(
                f"{path}: it is about other episodes, another checkpoint or another planner; allowed: another file with --out"
            )
    found = {case["name"]: case for case in report["candidate_cases"]}
    scenarios = load_scenario(scenario).episodes(episodes, seed)
    for name, case in cases.items():
        if name in found or (only and name not in (*only, reference)):
            continue
        began = time.perf_counter()
        returns = returns_after_change(load_robot(robot), case, scenarios)
        ratio, interval = ratio_and_interval(returns, np.array(found[reference]["returns"]) if found else returns)
        found[name] = {
            "name": name,
            "predicted_steps": case.planner.num_samples * case.planner.num_iterations * case.planner.horizon,
            "return_after_change": mean_and_interval(returns),
            "ratio": (ratio, interval),
            "returns": returns.tolist(),
        }
        report["candidate_cases"] = list(found.values())
        write_text_atomically(path, json.dumps(report, indent=1) + "\n")
        print(f"{name}: {returns.mean():.0f}, {ratio} {interval} ({time.perf_counter() - began:.0f} s)", flush=True)
    for name, seconds in step_seconds(robot, {name: cases[name] for name in found}).items():
        found[name]["milliseconds"] = round(1e3 * seconds, 2)
    write_text_atomically(path, json.dumps(report | {"machine": machine()}, indent=1) + "\n")
    draw(report, picture or Path(f"docs/images/candidates_{robot}.png"))


def returns_after_change(robot: Robot, case: Case, scenarios: list[Scenario]) -> np.ndarray:
    """Returns after the last change, one for each episode."""
    controller = controller_of(robot, case)
    controller.settings.planner.seed([scenario.seed for scenario in scenarios])
    recorded = run_scenarios(robot, scenarios, ControllerPolicy(controller), source="policy")
    # an episode that ended by itself earns nothing afterwards
    pairs = zip(recorded.episodes, scenarios, strict=True)
    return np.array([return_after_change(e.reward.astype(np.float64), s.last_change) for e, s in pairs])


def controller_of(robot: Robot, case: Case) -> AdaptiveController:
    """A robot's shipped controller with the planner of a case."""
    return load_controller(robot.name, robot, planner=case.planner).with_precision(case.precision)


def step_seconds(robot: str, cases: dict[str, Case]) -> dict[str, float]:
    """Median time of a control step of one robot in each case [s]; the cases take turns, so that all see the same machine."""
    checkpoint = load_checkpoint(robot)
    driven = {name: observed(controller_of(load_robot(robot), case), checkpoint, 1) for name, case in cases.items()}
    times = in_turn({name: timed(partial(each.step, 0)) for name, each in driven.items()}, SECONDS_PER_CASE * len(cases))
    return {name: statistics.median(took) for name, took in times.items()}


def draw(report: dict[str, Any], path: Path) -> None:
    """The return over the time of a control step, one curve for each planner over its number of candidates."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (method, changed), colour in CURVES.items():
        name = re.compile(rf"{method} \d+{changed}")
        plain = [case for case in report["candidate_cases"] if name.fullmatch(case["name"])]
        plain.sort(key=lambda case: case["milliseconds"])
        times = [case["milliseconds"] for case in plain]
        means = np.array([case["return_after_change"][0] for case in plain])
        ends = np.array([case["return_after_change"][1] or (np.nan, np.nan) for case in plain]).T
        axes.errorbar(times, means, np.abs(ends - means), color=colour, marker="o", capsize=3, label=method + changed)
        for case, x, y in zip(plain, times, means, strict=True):
            axes.annotate(
                case["name"].split()[1].rstrip(","), (x, y), xytext=(4, -11), textcoords="offset points", color=colour, fontsize=8
            )
    axes.set(xlabel="control step of one robot [ms]", ylabel="return after the change", ylim=(0, None))
    axes.set_xlim(0, 1.05 * max(case["milliseconds"] for case in report["candidate_cases"]))
    axes.set_title(f"{report['scenario']}, {report['episodes']} episodes; numbers: candidates", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    tyro.cli(main)
