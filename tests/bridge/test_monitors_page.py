"""docs/robot_safety.md: the examples of monitors and of limits of plans are right, and the table names every key of a monitor."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

from adaptive_mbrl.config import from_mapping
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
from robot_bridge.safety.faults import FAULT_KINDS
from robot_bridge.safety.monitor_config import FAULTS_OF, MonitorConfig
from robot_bridge.safety.plan_geometry import make_plan_limits
from sim.robot.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "robot_safety.md").read_text(encoding="utf-8")
SHIPPED = sorted((ROOT / "configs" / "bridge").glob("*.yaml"))


def section(title: str) -> str:
    return PAGE.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def example(title: str) -> dict[str, Any]:
    """The section's example, in the shipped bridge file of the arm."""
    (block,) = re.findall(r"```yaml\n(.*?)```", section(title), re.S)
    part, content = yaml.safe_load(block), yaml.safe_load((ROOT / "configs" / "bridge" / "arm.yaml").read_text())
    actions = load_robot("arm").spec.action_names
    needed = {"posture": dict.fromkeys(actions, 0.0), "dampers": {actions[0]: {"velocity": "shoulder_yaw_velocity", "gain": 1.0}}}
    return content | part | {"safety": content["safety"] | needed | part.get("safety", {})}


def test_the_example_of_monitors_is_right():
    config = from_mapping(BridgeConfig, example("Monitors: battery, temperature, load, falls"), source="docs/robot_safety.md")

    assert {monitor.kind for monitor in config.monitors.values()} == {"battery", "temperature", "load", "fall"}
    assert len(config.safety.reactions) == 3


def test_the_example_of_limits_of_plans_is_right():
    config = from_mapping(BridgeConfig, example("Where a plan may lead"), source="docs/robot_safety.md")

    assert config.plan_limits is not None
    make_plan_limits(load_robot("arm").spec, config.plan_limits)


def test_the_table_names_every_key_of_a_monitor():
    rows = [
        line.split("|")[1] for line in section("Monitors: battery, temperature, load, falls").splitlines() if line[:3] == "| `"
    ]

    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(named) == sorted(field.name for field in dataclasses.fields(MonitorConfig))


def test_the_table_of_faults_names_every_kind():
    table = section("Faults and reactions").partition("| kind of fault")[2]

    assert set(FAULT_KINDS) <= set(re.findall(r"`(\w+)`", table))
    assert {kind for pair in FAULTS_OF.values() for kind in pair} <= set(FAULT_KINDS)


def test_the_shipped_monitors_and_limits_fit_their_robots():
    for path in SHIPPED:
        config, spec = load_bridge_config(path), load_robot(path.stem).spec
        assert all(monitor.channel in ("", *spec.obs_names) for monitor in config.monitors.values())
        if config.plan_limits is not None:
            make_plan_limits(spec, config.plan_limits)
