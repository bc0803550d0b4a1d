"""How soon the bridge answers a fault, over real middleware: each fault many times, at any phase of the loop, also under load.

Usage: python -m benchmarks.bridge_faults [FAULT...] [--times 100] [--conditions idle loaded] [--out FILE]

Sensors, node and an observer are processes of their own with DDS between them. Under `idle` nothing else runs. Under `loaded` a
process that never pauses runs on each core, and sensor messages come up to 20 ms late. The reaction is the time in control
periods of 0.04 s from the moment after which the plan must not be followed to the first safe action. The observer looks at every
command of the whole run, as a driver would get it, and counts those that are unsafe: beyond the limits, changed too fast, no
number, or following the plan later than the fault allows.

An injection takes about a second: 19 faults 100 times under both conditions take about 70 minutes. The report is written after
each fault; a run that was interrupted goes on where it was, unless `--again` is given.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tyro

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.evidence.faults import FAULTS, STEERED, bridge_text
from benchmarks.evidence.figures import digits, proportion, quantiles
from benchmarks.evidence.load import busy_cores
from benchmarks.evidence.rig import EvidenceRig, Injection, evidence_rig, phases
from benchmarks.evidence.steered_cartpole import write_steered_cartpole
from robot_bridge.bridge_config import load_bridge_config
from sim.paths import find_config
from sim.robot.robot import load_robot

JITTER = {"idle": 0.0, "loaded": 0.02}
"""Conditions, and how much later a sensor's message may come [s]."""
LATENESS = 0.1
"""What the machine may be late at a tick without a reaction being called late [control periods]."""
MAX_FAILURES = 5
"""After so many injections that did not come about, the next fault follows."""


def main(
    faults: tyro.conf.Positional[tuple[str, ...]] = (),
    times: int = 100,
    conditions: tuple[str, ...] = ("idle", "loaded"),
    seed: int = 0,
    domain: int = 43,
    again: bool = False,
    out: Path = Path("docs/results/bridge_faults.json"),
) -> None:
    """Inject, and write the report after each fault.

    Args:
        faults: which ones; all by default.
        times: number of times that each fault is injected.
        conditions: `idle`, `loaded`.
        seed: seed of the phases at which faults strike.
        domain: ROS 2's domain id.
        again: measure what is in the report, too.
        out: JSON file for the figures.
    """
    unknown = [*(set(faults) - set(FAULTS)), *(set(conditions) - set(JITTER))]
    if unknown:
        raise SystemExit(f"error: unknown: {unknown[0]}; allowed: {', '.join(FAULTS)}; conditions: {', '.join(JITTER)}")
    report = begun(out, again, {"dt": load_robot("cartpole").spec.dt, "times": times, "seed": seed})
    for condition in conditions:
        found = report["conditions"].setdefault(condition, {})
        wanted = [name for name in faults or FAULTS if name not in found]
        with busy_cores(condition == "loaded"):
            for kind in dict.fromkeys(FAULTS[name].robot for name in wanted):
                of_kind = [name for name in wanted if FAULTS[name].robot == kind]
                for name, figures in injected(kind, of_kind, times, JITTER[condition], seed, domain):
                    found[name] = figures
                    write_text_atomically(out, json.dumps({**report, "machine": machine()}, indent=1) + "\n")
                    print(condition, name, json.dumps({k: v for k, v in figures.items() if k != "periods"}), flush=True)


def begun(out: Path, again: bool, about: dict[str, Any]) -> dict[str, Any]:
    """The report to go on with; one that was measured differently is not gone on with."""
    known = json.loads(out.read_text()) if out.exists() and not again else {}
    if "conditions" in known and all(known.get(key) == value for key, value in about.items()):
        return known
    return {**about, "conditions": {}}


def injected(
    kind: str, names: Iterable[str], times: int, jitter: float, seed: int, domain: int
) -> Iterable[tuple[str, dict[str, Any]]]:
    """Inject each of these faults into one kind of robot; its name and figures."""
    spec, safety = load_robot("cartpole").spec, load_bridge_config(find_config("bridge", "cartpole")).safety
    limits = {
        "MAX_JUMP": safety.max_jump,
        "MAX_DRIFT": safety.max_drift,
        "TOLERANCE": safety.derivatives["pole_angle"].tolerance,
    }
    with tempfile.TemporaryDirectory() as folder:
        bridge = Path(folder) / "bridge.yaml"
        checkpoint = str(write_steered_cartpole(Path(folder) / "checkpoint")) if kind == STEERED else "cartpole"
        bridge.write_text(bridge_text(kind, limits, checkpoint))
        for name in names:
            # a rig of its own for each fault: what one has done to the node must not show in the next one
            with evidence_rig(domain, kind, bridge, spec, jitter, seed) as rig:
                yield name, of_one_fault(rig, name, times, seed)


def of_one_fault(rig: EvidenceRig, name: str, times: int, seed: int) -> dict[str, Any]:
    """Inject one fault many times."""
    began, injections, failures = time.monotonic(), [], []
    for pause in phases(times, rig.dt, seed):
        try:
            injections.append(rig.strike(name, float(pause)))
        except AssertionError as error:
            # on a machine that is too busy the node may not come to run; that is said, and no reason to lose the rest
            failures.append(str(error))
            if len(failures) > MAX_FAILURES:
                break
    took, witness = time.monotonic() - began, rig.witness()
    figures = figures_of(injections, FAULTS[name].periods, witness)
    return figures | {"seconds": digits(took, 1), "not_injected": failures}


def figures_of(injections: list[Injection], allowed: int, witness: dict[str, Any]) -> dict[str, Any]:
    """Figures of one fault.

    Args:
        injections: what came of each.
        allowed: control periods in which the safe action must come, with `LATENESS` beside them.
        witness: what the observer found, over all commands.
    """
    periods, observed = [i.periods for i in injections], [i.observed for i in injections]
    in_time = sum(not math.isnan(p) and p <= allowed + LATENESS for p in periods)
    broken = {promise: count for promise, count in witness["broken"].items() if count}
    unsafe = sum(i.late for i in injections) + sum(broken.values())
    return {
        "allowed": allowed,
        "sent": quantiles(periods),
        "observed": quantiles(observed),
        "in_time": proportion(in_time, len(periods)),
        "unsafe": proportion(unsafe, witness["count"]),
        "followed_too_long": sum(i.late for i in injections),
        "broken_promises": broken,
        "periods": [None if math.isnan(p) else digits(p) for p in periods],
    }


if __name__ == "__main__":
    tyro.cli(main)
