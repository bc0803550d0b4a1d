"""Publishes what the monitors of a bridge file read, as far as a simulated robot knows it: battery, temperatures, loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.middleware.fields import write_field
from robot_bridge.middleware.health_messages import HEALTH_MESSAGES, DynamicJointState, InterfaceValue
from robot_bridge.middleware.messages import (
    BatteryState,
    DiagnosticArray,
    DiagnosticStatus,
    Float32,
    Float64,
    Float64MultiArray,
    Header,
    JointState,
    KeyValue,
    Message,
    Temperature,
    Time,
)
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.monitor_config import MonitorConfig
from robot_bridge.simulated.power import Power

PERIOD = 0.1
"""Time between two messages of a topic [s]."""
OWN_TOPICS = (
    BatteryState,
    Temperature,
    DynamicJointState,
    DiagnosticArray,
    JointState,
    Float32,
    Float64,
    Float64MultiArray,
)
Monitored = Mapping[str, MonitorConfig]


class HealthOutput:
    """Publishes the topics of monitors that are no inputs, ten times a second.

    Args:
        spec: the robot's channels.
        config: the bridge file.
        transport: the transport between robot and bridge.
        power: the battery and the temperatures.

    Raises:
        ConfigError: a monitor reads something that a simulated robot does not know.
    """

    def __init__(self, spec: RobotSpec, config: BridgeConfig, transport: Transport, power: Power) -> None:
        self._spec, self._power, self._due = spec, power, -math.inf
        inputs = {topic.topic for topic in config.inputs.values()}
        groups: dict[tuple[str, str], dict[str, MonitorConfig]] = {}
        for name, monitor in config.monitors.items():
            if monitor.topic and monitor.topic not in inputs:
                self._require_known(name, monitor)
                groups.setdefault((monitor.topic, monitor.frame), {})[name] = monitor
        self._topics: list[tuple[type[Message], Monitored, Callable[[Message], None]]] = []
        for (topic, _), monitors in groups.items():
            kind = HEALTH_MESSAGES[next(iter(monitors.values())).type]
            self._topics.append((kind, monitors, transport.publisher(topic, kind, reliable=False)))

    def publish(self, now: float, stamp: float) -> None:
        """Publish what is due at `now`, monotonic [s]; `stamp` is the same moment since the epoch [s]."""
        if now < self._due:
            return
        self._due = now + PERIOD
        for kind, monitors, publish in self._topics:
            publish(self._message(kind, monitors, stamp))

    def _require_known(self, name: str, monitor: MonitorConfig) -> None:
        """Refuse a monitor of something that is not simulated."""
        where = f"key 'monitors.{name}"
        if HEALTH_MESSAGES[monitor.type] not in OWN_TOPICS:
            allowed = ", ".join(kind.ros_type for kind in OWN_TOPICS)
            raise ConfigError(f"{where}.type': a simulated robot sends {monitor.type} as an input only; allowed: {allowed}")
        if monitor.joint and monitor.joint not in self._spec.action_names:
            known = ", ".join(self._spec.action_names)
            raise ConfigError(f"{where}.joint': a simulated robot knows the loads of its actuators only: {known}")
        if monitor.kind not in ("battery", "temperature", "load"):
            raise ConfigError(f"{where}.kind': a simulated robot cannot measure it; allowed: battery, temperature, load")

    def _message(self, kind: type[Message], monitors: Monitored, stamp: float) -> Message:
        message: Any = self._battery() if kind is BatteryState else kind()
        if hasattr(message, "header"):
            message.header = Header(Time.of(stamp), next(iter(monitors.values())).frame)
        names, power = list(self._spec.action_names), self._power
        if isinstance(message, JointState):
            message.name, message.effort = names, power.action.tolist()
        elif isinstance(message, DynamicJointState):
            rows = zip(power.temperatures.tolist(), power.action.tolist(), strict=True)
            message.joint_names = names
            message.interface_values = [InterfaceValue(["temperature", "effort"], list(row)) for row in rows]
        elif isinstance(message, DiagnosticArray):
            by_status: dict[str, list[KeyValue]] = {}
            for name, monitor in monitors.items():
                value = KeyValue(monitor.field, f"{self._number(name, monitor):.4g}")
                by_status.setdefault(monitor.status, []).append(value)
            message.status = [DiagnosticStatus(name=status, values=values) for status, values in by_status.items()]
        elif not isinstance(message, BatteryState):
            for name, monitor in monitors.items():
                write_field(message, monitor.field, self._number(name, monitor))
        return message

    def _battery(self) -> BatteryState:
        power = self._power
        return BatteryState(
            voltage=power.voltage,
            temperature=math.nan,
            current=math.nan,
            charge=math.nan,
            capacity=math.nan,
            design_capacity=math.nan,
            percentage=power.charge,
            power_supply_status=BatteryState.POWER_SUPPLY_STATUS_DISCHARGING,
            power_supply_health=BatteryState.POWER_SUPPLY_HEALTH_GOOD,
            power_supply_technology=BatteryState.POWER_SUPPLY_TECHNOLOGY_LIPO,
            present=True,
        )

    def _number(self, name: str, monitor: MonitorConfig) -> float:
        """The charge, or the temperature or the load of the actuator that a name of the monitor contains, or else the largest."""
        if monitor.kind == "battery":
            return self._power.charge
        values = self._power.temperatures if monitor.kind == "temperature" else np.abs(self._power.action)
        words = (monitor.frame, monitor.status, monitor.topic, name)
        named = [i for i, action in enumerate(self._spec.action_names) if any(action in word for word in words)]
        return float(values[named[0]] if len(named) == 1 else values.max())
