"""How soon the bridge answers a fault: the faults of tests/bridge/test_faults.py, each many times, with the shipped cart-pole.

Usage: python -m benchmarks.bridge_faults [--times 10] [--out FILE]

Each fault strikes right after a command, which is the worst moment. The result is the time in control periods of 0.04 s from the
moment after which the plan must not be followed (tests/bridge/faults.py) to the first safe action, once as the node sends it and
once as the process of the actuators receives it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from tests.bridge.faults import BRIDGE, DT, NODE, SENSORS, Reaction, rig


def main(times: int = 10, domain: int = 43, out: Path = Path("docs/results/bridge_faults.json")) -> None:
    """Inject, print a table, and write the report.

    Args:
        times: number of times that each fault is injected.
        domain: ROS 2's domain id.
        out: JSON file for the figures.
    """
    found, seen = machine(), {}
    with tempfile.TemporaryDirectory() as folder:
        bridge = Path(folder) / "bridge.yaml"
        bridge.write_text(BRIDGE.format(checkpoint="cartpole", rate=100.0))
        with rig(domain, bridge) as parts:
            for fault in [*SENSORS, *NODE]:
                seen[fault] = figures([parts.strike(fault) for _ in range(times)])
    write_text_atomically(out, json.dumps({"dt": DT, "times": times, "faults": seen, "machine": found}, indent=1) + "\n")
    show(seen)


def figures(reactions: list[tuple[Reaction, Reaction]]) -> dict[str, float]:
    """Figures of several times the same fault, for the commands that the node sent and those that the actuators got."""
    sent, got = ([r.periods for r in side] for side in zip(*reactions, strict=True))
    return {
        "periods_median": round(float(np.median(sent)), 2),
        "periods_max": round(max(sent), 2),
        "periods_max_at_actuators": round(max(got), 2),
        "commands_that_still_followed_the_plan_max": max(of_node.followed for of_node, _ in reactions),
    }


def show(seen: dict[str, dict[str, float]]) -> None:
    """A table of the faults."""
    table = Table(box=SIMPLE)
    table.add_column("fault")
    for header in ("periods, median", "max", "max at the actuators", "commands that still followed the plan, max"):
        table.add_column(header, justify="right")
    for fault, values in seen.items():
        table.add_row(fault, *(str(value) for value in values.values()))
    Console(width=130).print(table)


if __name__ == "__main__":
    tyro.cli(main)
