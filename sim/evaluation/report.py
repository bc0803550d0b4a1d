"""An evaluation as JSON.

Keys are stable: what was not measured is null, never missing, and NaN never appears. Lists in `arms` have one entry per episode,
in the order of `scenarios`, and inner lists have one entry per control step of the episode; `diagnosis` has
the mean, the standard deviation and the truth of each physical parameter at the last step of each episode. After an episode that
ended by itself, for example because the robot fell, `rewards` go on with 0; `ended_after` says how many steps it had. `left_out`
lists the other episodes, whose physics became unstable in some arm.
"""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptive_mbrl import __version__
from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_text_atomically
from sim.evaluation.arms import Arm, Timing
from sim.evaluation.evaluate import Evaluation, LeftOut
from sim.evaluation.ledger import LedgerEntry, ledger_entries
from sim.evaluation.metrics import ratio_and_interval
from sim.evaluation.open_loop import OpenLoop
from sim.evaluation.setup import Setup
from sim.evaluation.summary import COMPARED_WITH, Report, normalized, returns_after_change, steps_to_oracle, summarize
from sim.scenarios.change import Change
from sim.scenarios.parameters import parameter_values
from sim.scenarios.scenario import Scenario

DIGITS = 6
PACKAGES = ("torch", "mujoco", "mjbatch", "numpy")


def make_report(evaluation: Evaluation, reason: str = "") -> Report:
    """The content of the JSON file, as plain values; `reason` says why one looks, for the ledger's lines."""
    setup, scenarios = evaluation.setup, [scenario_report(s) for s in evaluation.scenarios]
    arms = {name: arm_report(arm) for name, arm in evaluation.arms.items()}
    for name, arm in arms.items():
        arm["return_after_change"] = returns_after_change(arm["rewards"], scenarios)
        arm["normalized_after_change"] = list(normalized(arms, name, scenarios).per_episode)
        arm["steps_to_oracle"] = steps_to_oracle(arms, name, scenarios)
        arm["diagnosis"] = _final_diagnosis(evaluation, name)
    summary = summarize(arms, scenarios) | {"open_loop_10": _open_loop_summary(evaluation.open_loop)}
    report = {
        "scenario": setup.scenarios[0].name,
        "scenarios": scenarios,
        "left_out": [_left_out(entry) for entry in evaluation.left_out],
        "arms": arms,
        "summary": summary,
        "open_loop": _open_loop(evaluation.open_loop),
        "config": _config(setup),
        "ledger": [asdict(entry) for entry in ledger_of(evaluation, reason)],
    }
    return plain(report)


def ledger_of(evaluation: Evaluation, reason: str = "") -> list[LedgerEntry]:
    """What the ledger of test evaluations says about an evaluation, and why it was made."""
    setup = evaluation.setup
    models = [*setup.checkpoints.values(), *setup.baseline_folders]
    return ledger_entries(models, setup.scenarios[0].name, len(setup.scenarios), setup.seed, reason)


def write_report(path: Path, report: Report) -> None:
    """Write the JSON atomically, one line for each key of the top level."""
    lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in report.items()]
    write_text_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")


def describe(change: Change) -> str:
    """A change in a few words, for example ``actuator gain fshin 0``."""
    words = []
    for key, value in change.to_changes().items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        words += [" ".join(f"{key.replace('_', ' ')} {name} {_short(v)}".split()) for name, v in parts]
    return ", ".join(words) or "nominal"


def _left_out(entry: LeftOut) -> Report:
    instability = entry.instability
    return {
        "episode": entry.episode,
        "seed": entry.seed,
        "arm": entry.arm,
        "step": instability.step,
        "change": instability.change.to_changes(),
    }


def scenario_report(scenario: Scenario) -> Report:
    """What happened in an episode, as a scenario file writes it, with the step of the last change."""
    return {**scenario.to_mapping(), "last_change": scenario.last_change}


def arm_report(arm: Arm) -> Report:
    """What one arm did: returns, rewards, errors of its model and computing times."""
    fell_back = _by_episode(arm, arm.fell_back)
    return {
        "returns": [rewards.sum() for rewards in arm.rewards],
        "rewards": arm.rewards,
        "ended_after": [len(e) if e.ended else None for e in arm.episodes],
        "model_error": _by_episode(arm, arm.model_error),
        "prior_error": _by_episode(arm, arm.prior_error),
        "fell_back": None if fell_back is None else [steps.mean() for steps in fell_back],
        **_milliseconds(arm.single_timing, ""),
        **_milliseconds(arm.batch_timing, "batch_"),
        "simulated_steps": arm.simulated_steps,
    }


def _final_diagnosis(evaluation: Evaluation, name: str) -> list[Report] | None:
    """What an arm believed of the physical parameters at the last step of each episode, beside the truth."""
    arm = evaluation.arms[name]
    if arm.diagnosis is None or not arm.diagnosis.size:
        return None
    names, reports = evaluation.setup.controllers[name].diagnosis_names, []
    for i, (episode, scenario) in enumerate(zip(arm.episodes, evaluation.scenarios, strict=True)):
        last = len(episode) - 1
        # the last belief has not seen what the last action did
        truth = parameter_values(scenario.change_in_force(max(0, last - 1)), names)
        rows = zip(names, *arm.diagnosis[last, i], truth, strict=True)
        reports.append({parameter: {"mean": mean, "std": std, "truth": true} for parameter, mean, std, true in rows})
    return reports


def _by_episode(arm: Arm, values: np.ndarray | None) -> list[np.ndarray] | None:
    """Values of every step, (T, E), as one array per episode that is as long as the episode."""
    return None if values is None else [values[: len(e), i] for i, e in enumerate(arm.episodes)]


def _milliseconds(timing: Timing | None, prefix: str) -> Report:
    if timing is None:
        nothing = {"median": None, "p99": None, "robots": None, "steps": None}
        return {f"{prefix}adapt_ms": nothing, f"{prefix}plan_ms": nothing}
    return {
        f"{prefix}{key}": {
            "median": 1e3 * np.median(seconds),
            "p99": 1e3 * np.quantile(seconds, 0.99),
            "robots": timing.robots,
            "steps": len(seconds),
        }
        for key, seconds in (("adapt_ms", timing.adapt_seconds), ("plan_ms", timing.plan_seconds))
    }


def _open_loop(result: OpenLoop | None) -> Report | None:
    if result is None:
        return None
    errors = {name: rows.mean(0) for name, rows in result.errors.items()}
    return {"steps_ahead": np.arange(1, len(errors["adaptive"]) + 1), "windows": result.windows, **errors}


def _open_loop_summary(result: OpenLoop | None) -> Report | None:
    """Mean errors over 1 to 10 steps ahead, and their ratios: a ratio of 0.8 means that the adapted model has 20 % less error."""
    if result is None:
        return None
    means = {name: rows.mean(1) for name, rows in result.errors.items()}
    summary: Report = {name: values.mean() for name, values in means.items()}
    for other in COMPARED_WITH:
        ratio, interval = ratio_and_interval(means["adaptive"], means[other]) if other in means else (None, None)
        summary[f"adaptive_over_{other}"] = {"mean": ratio, "ci95": interval}
    return summary


def _config(setup: Setup) -> Report:
    return {
        "checkpoints": setup.checkpoints,
        # the checkpoint of a name may be another one when somebody reads the report
        "provenance": {arm: read_description(checkpoint).provenance for arm, checkpoint in setup.checkpoints.items()},
        "baselines": {name: policy.description.provenance for name, policy in setup.baselines.items()},
        "physics": list(setup.physics),
        "physics_error": setup.physics_error,
        "robot": setup.robot.name,
        "episodes": len(setup.scenarios),
        "seed": setup.seed,
        "planner_noise": "one stream per episode, from its seed",
        "robots_side_by_side": len(setup.scenarios),
        "planner_name": setup.planner.TAG,
        "planner": to_mapping(setup.planner)[setup.planner.TAG],
        "machine": {
            "cpu": cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
            "torch_threads": torch.get_num_threads(),
            "device": str(setup.controllers["adaptive"].device),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"adaptive-mbrl": __version__, "python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "git_revision": git_revision(),
    }


def plain(value: Any) -> Any:
    """The same content as lists, dicts and scalars that JSON knows; NaN becomes null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def _short(value: Any) -> str:
    return "(" + ", ".join(f"{v:g}" for v in value) + ")" if isinstance(value, list | tuple) else f"{value:g}"
