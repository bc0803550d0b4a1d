"""Which messages of ROS 2 a robot's channels come from, where its commands go, and its safety limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channel_names import plain_word
from sim.init.draft import Entry, Task, Timing, rounded
from sim.init.joints import BALL, FREE, HINGE, SLIDE, Joint

JOINT_STATE, IMU = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Imu"
ODOMETRY, ARRAY = "nav_msgs/msg/Odometry", "std_msgs/msg/Float64MultiArray"
_WHOLE_RANGES_PER_PERIOD = 1.25
_MAX_AGES = 3.0
"""Oldest observation that may be acted on [control periods]."""
_BEYOND_LIMITS = 0.1
"""How far beyond a joint's limit is a fault, as a share of its range: limits give way a little."""


@dataclass(frozen=True)
class BridgeDraft:
    """The parts of a bridge file.

    Attributes:
        inputs: topics by their names.
        obs: where each channel is read.
        goal: the topic of the goal; None without one.
        output: where commands go.
        rate_limits: fastest change of each command [its unit/s].
        obs_limits: allowed ranges of channels.
        max_age: oldest observation that may be acted on [s].
        safe_action: what is sent instead of the plan.
    """

    inputs: Mapping[str, Mapping[str, str]]
    obs: Mapping[str, Mapping[str, str]]
    goal: Mapping[str, Any] | None
    output: Mapping[str, Any]
    rate_limits: Mapping[str, float]
    obs_limits: Mapping[str, Mapping[str, float]]
    max_age: float
    safe_action: str


def bridge_of(
    anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...], task: Task, timing: Timing
) -> BridgeDraft:
    """The bridge file of a robot whose encoders, IMU and state estimate have a topic each."""
    wiring = _Wiring(anatomy)
    obs = {str(e.values["name"]): wiring.place(e.values["source"]) for e in channels if e.active}
    positions = [a.joint.name for a in actuators if a.unit in ("rad", "m") and a.joint is not None]
    output: dict[str, Any] = {"topic": "/effort_controller/commands"}
    if positions:
        output = {"topic": "/position_controller/commands", "joints": positions}
    rates = {a.name: rounded(_WHOLE_RANGES_PER_PERIOD * (a.high - a.low) / timing.dt) for a in actuators}
    return BridgeDraft(
        inputs=wiring.inputs,
        obs=obs,
        goal=_goal(task),
        output=output,
        rate_limits=rates,
        obs_limits=_limits(anatomy, channels),
        max_age=rounded(_MAX_AGES * timing.dt),
        safe_action="hold" if positions else "zero",
    )


class _Wiring:
    """Finds a place for every channel, and collects the topics that this takes.

    Attributes:
        inputs: the topics so far.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.inputs: dict[str, dict[str, str]] = {}
        self._joints = {j.name: j for j in anatomy.joints}
        turning = [j for j in anatomy.base if j.kind == HINGE]
        # two twists are no orientation
        self._turn = turning[0].name if len(turning) == 1 else None

    def place(self, source: Mapping[str, Any]) -> dict[str, str]:
        """Where a channel with this source is read."""
        kind = next(key for key in source if key not in ("index", "axis"))
        name = str(source[kind])
        if kind == "displacement_rate":
            return {"input": self._input("estimator", "/state_estimator/forward_speed", ARRAY), "field": "data.0"}
        if kind == "site":
            topic = self._input(_word(name), f"/{_word(name)}/odometry", ODOMETRY)
            return {"input": topic, "field": f"pose.pose.position.{source['axis']}"}
        joint = self._joints[name]
        if joint.kind in (FREE, BALL):
            return self._of_body(joint, kind, int(source.get("index", 0)), str(source.get("axis", "")))
        if joint.of_base and joint.letter is not None and (joint.kind == SLIDE or joint.name == self._turn):
            return self._of_base(joint, kind)
        field = "position" if kind == "qpos" else "velocity"
        return {"input": self._input("joints", "/joint_states", JOINT_STATE), "field": field, "joint": name}

    def _of_base(self, joint: Joint, kind: str) -> dict[str, str]:
        if joint.kind == HINGE:
            field = f"orientation.twist_{joint.letter}" if kind == "qpos" else f"angular_velocity.{joint.letter}"
            return {"input": self._input("imu", "/imu/data", IMU), "field": field}
        part = "pose.pose.position" if kind == "qpos" else "twist.twist.linear"
        return {"input": self._input("odometry", "/odom", ODOMETRY), "field": f"{part}.{joint.letter}"}

    def _of_body(self, joint: Joint, kind: str, index: int, axis: str) -> dict[str, str]:
        name = "odometry" if joint.of_base else _word(joint.name)
        odometry = self._input(name, "/odom" if joint.of_base else f"/{name}/odometry", ODOMETRY)
        if kind == "euler":
            return {"input": odometry, "field": f"pose.pose.orientation.{axis}"}
        if kind == "qpos":
            return {"input": odometry, "field": f"pose.pose.position.{'xyz'[index]}"}
        if joint.kind == FREE and index < 3:
            return {"input": odometry, "field": f"twist.twist.linear.{'xyz'[index]}"}
        letter = "xyz"[index % 3]
        if joint.of_base:
            return {"input": self._input("imu", "/imu/data", IMU), "field": f"angular_velocity.{letter}"}
        return {"input": odometry, "field": f"twist.twist.angular.{letter}"}

    def _input(self, name: str, topic: str, message: str) -> str:
        self.inputs.setdefault(name, {"topic": topic, "type": message})
        return name


def _word(name: str) -> str:
    """A name as part of a topic."""
    return plain_word(name, "part")


def _goal(task: Task) -> dict[str, Any] | None:
    if task.goal is None:
        return None
    low, high = task.goal["low"], task.goal.get("high", task.goal["low"])
    middle = [rounded((a + b) / 2) for a, b in zip(low, high, strict=True)]
    fields = [f"data.{i}" for i in range(len(low))]
    return {"topic": "/goal", "type": ARRAY, "fields": fields, "initial": middle}


def _limits(anatomy: Anatomy, channels: tuple[Entry, ...]) -> dict[str, dict[str, float]]:
    limits = {j.name: j.limits for j in anatomy.limbs if j.limits is not None}
    found = {}
    for entry in channels:
        ends = limits.get(entry.values["source"].get("qpos", ""))
        if entry.active and ends is not None:
            slack = _BEYOND_LIMITS * (ends[1] - ends[0])
            found[str(entry.values["name"])] = {"low": rounded(ends[0] - slack), "high": rounded(ends[1] + slack)}
    return found
