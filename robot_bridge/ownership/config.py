"""Configuration of who has the robot: the `ownership` part of a bridge YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.fields import field_of
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from robot_bridge.middleware.topics import require_topic

PLANNER = "planner"
"""The name of the bridge's own planner among the sources of commands."""
Mode = Literal["warn", "refuse", "priority"]


@dataclass(frozen=True)
class CommandSource:
    """Somebody else who commands the robot through the bridge: a joystick, another controller.

    Attributes:
        topic: the topic of its commands, in the type, order and units of `output`.
        priority: the source with the highest priority that is not silent has the robot.
        timeout: age of its last command from which on it counts as silent [s].
    """

    topic: str
    priority: int = bounded(low=0, high=255)
    timeout: float = bounded(0.5, low=1e-2, high=60.0)

    def __post_init__(self) -> None:
        require_topic(self.topic)


@dataclass(frozen=True)
class PresentCommand:
    """Where the command can be read that the actuators obey at the moment: a driver's echo, or a measured effort.

    Attributes:
        input: name of one of the bridge file's `inputs`, a JointState or a Float64MultiArray.
        field: path in the message, like ``data.0``; in a JointState ``position``, ``velocity`` or ``effort``.
        joint: name of the joint in a JointState; empty for other messages.
    """

    input: str
    field: str
    joint: str = ""


@dataclass(frozen=True)
class OwnershipConfig:
    """Who may command the robot, and how it passes from one to another.

    Attributes:
        mode: what is done about others. `warn` says that there are others, and goes on. `refuse` lets `activate` fail while
            another node publishes commands, and brings a running robot to rest when one comes. `priority` is `refuse`, and lets
            `sources` have the robot through this bridge.
        publishers: nodes, named as topics are, or beginnings of GUIDs. They may publish commands beside this bridge without being
            refused.
        priority: the planner's own priority.
        sources: others whose commands pass through the bridge's supervisor, by name.
        takeover_periods: how many control periods the active node may be silent before one that stands by takes over.
        present: where the present command of each action channel is read; empty where it cannot be read.
        memory: a file that keeps the last command for a node that starts after this one was killed; empty for none.
        memory_seconds: how old that command may be [s]; not longer than the driver goes on obeying it.
        fast: the root mean square of the velocities from which on a robot counts as moving fast [training stds]. Such a robot is
            followed up with a plan at once, without a ramp.
    """

    mode: Mode = "warn"
    publishers: tuple[str, ...] = ()
    priority: int = bounded(50, low=0, high=255)
    sources: Mapping[str, CommandSource] = field(default_factory=dict)
    takeover_periods: float = bounded(1.75, low=1.25, high=100.0)
    present: Mapping[str, PresentCommand] = field(default_factory=dict)
    memory: str = ""
    memory_seconds: float = bounded(0.5, low=1e-2, high=3600.0)
    fast: float = bounded(0.5, low=0.0)

    def __post_init__(self) -> None:
        if self.sources and self.mode != "priority":
            raise ConfigError(f"key 'sources': got some with mode '{self.mode}'; allowed with mode 'priority' only")
        if self.mode == "priority" and not self.sources:
            raise ConfigError("key 'sources': missing with mode 'priority'; allowed: {NAME: {topic: , priority: , timeout: }}")
        if PLANNER in self.sources:
            raise ConfigError(f"key 'sources.{PLANNER}': the name of the bridge's own planner; allowed: another name")
        taken = {self.priority: PLANNER}
        for name, source in self.sources.items():
            if source.priority in taken:
                other = taken[source.priority]
                raise ConfigError(
                    f"key 'sources.{name}.priority': {source.priority} is that of '{other}'; allowed: one of its own"
                )
            taken[source.priority] = name

    @property
    def is_exclusive(self) -> bool:
        """Whether nobody else may publish commands."""
        return self.mode != "warn"

    def require_topics(self, output: str, inputs: Mapping[str, str]) -> None:
        """Refuse sources on topics that are others', and a present command that is not among the inputs.

        Args:
            output: the topic of commands.
            inputs: type of the messages of each input, by its name.
        """
        topics: dict[str, str] = {output: "output.topic"}
        for name, source in self.sources.items():
            if source.topic in topics:
                raise ConfigError(
                    f"key 'ownership.sources.{name}.topic': '{source.topic}' is that of '{topics[source.topic]}'; "
                    "allowed: a topic of its own"
                )
            topics[source.topic] = f"ownership.sources.{name}"
        for action, present in self.present.items():
            _require_present(action, present, inputs)


def _require_present(action: str, present: PresentCommand, inputs: Mapping[str, str]) -> None:
    key = f"ownership.present.{action}"
    if present.input not in inputs:
        raise ConfigError(f"key '{key}.input': unknown input '{present.input}'; known inputs: {', '.join(inputs)}")
    kind = inputs[present.input]
    if kind == JointState.ros_type:
        if present.field not in ("position", "velocity", "effort") or not present.joint:
            raise ConfigError(f"key '{key}': a JointState needs a joint, and the field position, velocity or effort")
    elif kind == Float64MultiArray.ros_type:
        try:
            field_of(Float64MultiArray(), present.field)
        except AttributeError as error:
            raise ConfigError(f"key '{key}.field': got '{present.field}'; allowed: an index like data.0") from error
    else:
        raise ConfigError(f"key '{key}.input': got a {kind}; allowed: {JointState.ros_type}, {Float64MultiArray.ros_type}")
