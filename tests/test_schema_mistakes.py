"""One mistake in a file: whatever of the schema it breaks, the loader refuses it too, and the other way round.

The mistakes are made from the schema's own tree: an unknown key in each mapping, each required key left out, each value of
another type, out of its range, or none of the choices.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.file_kinds import FILE_KINDS
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.schema.json_schema import json_schema
from adaptive_mbrl.schema.shapes import Choice, Either, Key, Kinds, Record, Row, Scalar, Sequence, Shape, Table
from adaptive_mbrl.stores.lerobot.channels import DatasetConfig
from adaptive_mbrl.sweeps.space import read_space
from adaptive_mbrl.training.config import TrainConfig
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.simulated.imperfections import Imperfections
from sim.baselines.config import BaselineConfig
from sim.benchmark.suite import Suite
from sim.robot.config import RobotConfig
from sim.robot.environment_config import EnvironmentConfig
from sim.robot.loading import load_task
from sim.scenarios import distribution, loading
from sim.scenarios.distribution import PARTS, load_split
from sim.scenarios.loading import parse_scenario

Mistake = tuple[str, Any]

SAMPLES = {
    "robot": """
        mjcf: package:arm.xml
        name: mine
        dt: 0.02
        sim_dt: 0.01
        obs:
          - {name: x, unit: rad, kind: angle, source: {qpos: joint, index: 0}}
          - {name: v, unit: m/s, source: {sensor: s}, target: direct}
        actions: [{name: motor, unit: N m, low: -1, high: 1}]
        objective: [{kind: tolerance, weight: 2.0, channels: [v], target: [1.0], scale: 0.5}, {kind: action_quadratic}]
        goal: {names: [g], kind: uniform, low: [0], high: [1], every: 5, period_s: [4.0, 5.0], random_phase: true}
        reset: {qpos: {joint: 0.5, ball: [1, 0, 0, 0]}, qpos_noise: 0.1, qvel_noise: {joint: 0.1}, qvel_distribution: uniform}
        healthy: [{name: v, low: -1, high: 1}]
        terminate_when_unhealthy: false
    """,
    "scenario": """
        robot: cartpole
        steps: 50
        seed: 3
        changes: [{at: 20, actuator_gain: {slide: 0.5}, action_delay: 2, slope_deg: 5}, {at: 30, body_mass: 2.0}]
    """,
    "split": """
        robot: cartpole
        steps: 50
        seed: 3
        train:
          initial: [{weight: 2}, {body_mass: {uniform: [1, 2]}, gravity: 0.9}]
          change:
            at: {fraction: [0.1, 0.9]}
            probability: 0.5
            times: {uniform: [1, 3]}
            alternatives:
              - {actuator_gain: {one_of: [slide], value: {uniform: [0.5, 1]}}, action_delay: {choice: [0, 1]}}
              - {external_force: {cart: [{uniform: [-1, 1]}, 0, 0]}}
        test: {change: {at: 10, alternatives: [{body_mass: {same: [pole_1], value: 0.5}}]}}
    """,
    "train": """
        scenarios: cartpole/mass_gain:train
        seed: 1
        model: {hidden: [32], members: 2, activation: relu}
        window: 8
        adaptation: [{context: {}}, {gradient: {steps: 1, parameters: all, learning_rate: 0.5}}]
        outer: {query: 3, learning_rate: 0.001, balancing: {cvar: {}}}
        planner: {mppi: {horizon: 10, temperature: 0.5}}
        data: {steps: 40, random_episodes: 2, oracle_planner: icem, iterations: 1, weighting: {}}
        value: {discount: 0.9}
        resets: {rounds: [1]}
        updates_initial: 5
    """,
    "baseline": """
        scenarios: cartpole/mass_gain:train
        algorithm: {ppo: {rollout: 10}}
        env_steps: 640
        num_envs: 8
        rounds: 2
        seed: 0
    """,
    "suite": """
        protocols:
          - name: a
            scenarios: [cartpole/mass_gain:test]
            methods: [{name: m, checkpoint: cartpole, seeds: [0]}]
        episodes: 2
        seed: 0
        arms: [adaptive, oracle]
    """,
    "bridge": """
        checkpoint: cartpole
        inputs: {joints: {topic: /joint_states, type: sensor_msgs/msg/JointState}}
        obs: {x: {input: joints, field: position, joint: slide}}
        output: {topic: /commands, type: std_msgs/msg/Float64MultiArray, order: [slide]}
        safety:
          rate_limits: {slide: 5.0}
          obs_limits: {x: {low: -1, high: 1}}
          margin: 0.1
          safe_action: zero
          max_missed_deadlines: 2
          jerk_limits: {slide: 5.0}
          max_age_of: {x: 0.5}
          reactions: {drift: {action: slow, after: 0.5}}
          stopping: {at_rest: {v: 0.1}, then: [hold, zero]}
        goal: {topic: /goal, type: geometry_msgs/msg/Twist, fields: [linear.x], initial: [0.5], preview: false}
        monitors:
          battery: {kind: battery, topic: /b, type: std_msgs/msg/Float64, field: data, warn: {low: 0.3}, seconds: 1.0}
        plan_limits:
          seconds: 0.5
          workspace: {x: {low: -1, high: 1}}
          collision:
            clearance: 0.1
            boxes: {t: {low: [0.0, 0.0, 0.0], high: [1.0, 1.0, 1.0]}}
            distances: {d: {between: [a, b], low: 0.1}}
        latency: 0.01
    """,
    "environment": """
        environment: gymnasium:Pendulum-v1
        obs: [{name: cosine}, {name: sine}, {name: speed, unit: rad/s, kind: velocity, target: direct}]
        actions: [{name: torque, unit: N m, low: -1, high: 1}]
        parameters: {m: {low: 0.3, high: 3.0, attribute: m}}
        dt: 0.05
        termination: none
    """,
    "imperfections": """
        noise: {rad: 0.1}
        sensors: {latency: 0.01, loss: 0.1}
        commands: {jitter: 0.01}
        power: {charge: 0.5}
        seed: 2
    """,
    "logs": """
        name: rover
        dt: 0.1
        obs:
          - {name: v, unit: m/s, kind: velocity, column: speed, scale: 0.5}
          - {name: a, unit: rad, quaternion: [w, x, y, z], angle: yaw}
        action: [{name: u, unit: N, low: -1, high: 1, degrees: false}]
        time: {column: t, unit: ms}
        objective: [{kind: linear, channels: [v]}]
        tags: {constant: {place: hall}, columns: [wind]}
        max_gap: 0.5
        min_steps: 10
    """,
    "dataset": "{name: r, dt: 0.1, obs: [{name: v, unit: m/s, column: c}], action: [{name: u, unit: N, low: -1, high: 1}]}",
    "sweep": """
        objective: validation/adapted_loss
        space: {outer.learning_rate: {low: 0.001, high: 0.1, log: true}, window: {choices: [8, 16]}}
        direction: minimise
        pruning: {startup_trials: 2, warmup_rounds: 1}
    """,
}
CLASSES = {
    "robot": RobotConfig,
    "environment": EnvironmentConfig,
    "train": TrainConfig,
    "baseline": BaselineConfig,
    "suite": Suite,
    "bridge": BridgeConfig,
    "imperfections": Imperfections,
    "logs": LogConfig,
    "dataset": DatasetConfig,
}


def load(kind: str, content: Any, path: Path) -> None:
    """Load plain values as the loader of their kind does."""
    if kind == "scenario":
        parse_scenario(content, path)
    elif kind == "split":
        for part in [part for part in PARTS if part in content] if isinstance(content, dict) else PARTS:
            load_split(content, path, part)
    elif kind == "sweep":
        path.write_text(yaml.safe_dump(content))
        read_space(path)
    else:
        from_mapping(CLASSES[kind], content, source=str(path))


def mistakes(shape: Shape, value: Any) -> Iterator[Mistake]:
    """Values with one mistake each, and what the mistake is."""
    match shape:
        case Record():
            yield "unknown key", {**value, "no_such_key": 1}
            yield "no mapping", 7
            for key in shape.keys:
                yield from mistakes_of_key(shape, key, value)
        case Scalar(type="number" | "whole number"):
            yield "a word for a number", "word"
            if shape.type == "whole number":
                yield "a fraction", 1.5
            if shape.low is not None:
                yield "too small", type(value)(shape.low - 1)
            if shape.high is not None:
                yield "too large", type(value)(shape.high + 1)
            if shape.above is not None:
                yield "not above", type(value)(shape.above)
        case Scalar(type="text" | "path" | "true or false"):
            yield "a number", 3
        case Choice():
            yield "no choice", "no_such_choice"
        case Sequence() if isinstance(value, list):
            yield "no list", 7
            for i, item in enumerate(value):
                for what, wrong in mistakes(shape.item, item):
                    yield f"[{i}]: {what}", [*value[:i], wrong, *value[i + 1 :]]
        case Row():
            yield "too short", value[:-1]
            for i, (item, one) in enumerate(zip(shape.items, value, strict=True)):
                for what, wrong in mistakes(item, one):
                    yield f"[{i}]: {what}", [*value[:i], wrong, *value[i + 1 :]]
        case Table():
            yield "no mapping", 7
            for name, one in value.items():
                for what, wrong in mistakes(shape.item, one):
                    yield f"{name}: {what}", {**value, name: wrong}
        case Kinds() if isinstance(value, dict):
            yield "unknown kind", {"no_such_kind": {}}
            yield "two kinds", {**value, "no_such_kind": {}}
            (tag, settings), *_ = value.items()
            for what, wrong in mistakes(next(record for record in shape.records if record.tag == tag), settings):
                yield f"{tag}: {what}", {tag: wrong}
        case Kinds():
            yield "unknown kind", "no_such_kind"
        case Either():
            yield "none of the forms", [{"no_such_key": [None]}]
            # what is wrong in one form may be right in another one: where names are free, {value: 1} may name a part 'value'
            free = any(isinstance(option, Table) for option in shape.options)
            for option in shape.options:
                if isinstance(option, Record | Kinds) and fits(option, value):
                    nested = ((what, wrong) for what, wrong in mistakes(option, value) if isinstance(wrong, dict))
                    yield from ((what, wrong) for what, wrong in nested if not (free and what.startswith("missing")))


def mistakes_of_key(record: Record, key: Key, value: Any) -> Iterator[Mistake]:
    if key.name not in value:
        return
    if key.required and record.instead is None:
        yield f"missing {key.name}", {name: inner for name, inner in value.items() if name != key.name}
    for what, wrong in mistakes(key.shape, value[key.name]):
        yield f"{key.name}: {what}", {**value, key.name: wrong}


def fits(shape: Record | Kinds, value: Any) -> bool:
    """Whether a value has this one of several forms."""
    holder = Record("holder", "", (Key("value", shape, required=True),))
    return Draft202012Validator(json_schema(holder, "holder")).is_valid({"value": value})


@pytest.fixture(autouse=True)
def robots_are_compiled_once(monkeypatch: pytest.MonkeyPatch):
    cached = functools.cache(load_task)
    for module in (loading, distribution):
        monkeypatch.setattr(module, "load_task", cached)


@pytest.mark.parametrize("kind", FILE_KINDS, ids=lambda kind: kind.name)
def test_schema_and_loader_refuse_the_same_mistakes(kind, tmp_path: Path):
    content, path, record = yaml.safe_load(SAMPLES[kind.name]), tmp_path / "file.yaml", kind.describe()
    validator = Draft202012Validator(kind.json_schema())
    load(kind.name, copy.deepcopy(content), path)
    assert [error.message for error in validator.iter_errors(content)] == []

    found = list(mistakes(record, content))

    assert len(found) >= 15
    assert [what for what, wrong in found if validator.is_valid(wrong)] == []
    assert [what for what, wrong in found if loads(kind.name, wrong, path)] == []


def loads(kind: str, content: Any, path: Path) -> bool:
    try:
        load(kind, copy.deepcopy(content), path)
    except ConfigError:
        return False
    return True


def test_the_mistakes_that_a_variant_of_a_robot_may_have():
    validator = Draft202012Validator(next(kind for kind in FILE_KINDS if kind.name == "robot").json_schema())

    assert validator.is_valid({"extends": "half_cheetah", "dt": 0.1})
    assert not validator.is_valid({"dt": 0.1})
    assert not validator.is_valid({"extends": "half_cheetah", "dt": 11})


def test_a_bridge_file_may_name_known_faults_and_reactions_that_stop_only():
    validator = Draft202012Validator(next(kind for kind in FILE_KINDS if kind.name == "bridge").json_schema())
    content = yaml.safe_load(SAMPLES["bridge"])
    for key, value in (("reactions", {"stail": {"action": "hold"}}), ("stopping", {"at_rest": {"v": 0.1}, "then": ["warn"]})):
        wrong = copy.deepcopy(content)
        wrong["safety"][key] = value
        assert not validator.is_valid(wrong)
