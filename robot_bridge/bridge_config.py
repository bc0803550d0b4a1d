"""The bridge YAML: which message carries which observation channel, where commands go, and the safety limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from adaptive_mbrl.config import bounded, did_you_mean, load_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.control.pause_config import AdaptationConfig
from robot_bridge.machine.periodicity import PeriodicityConfig
from robot_bridge.middleware.fields import field_of
from robot_bridge.middleware.messages import (
    MESSAGES,
    Float64MultiArray,
    Imu,
    JointState,
    JointTrajectory,
    Message,
    Odometry,
    PoseStamped,
    Twist,
    WrenchStamped,
)
from robot_bridge.middleware.reception import MAX_SAMPLE_BYTES, largest
from robot_bridge.middleware.topics import require_topic
from robot_bridge.monitor_values import require_monitored
from robot_bridge.ownership.config import OwnershipConfig
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.monitor_config import MonitorConfig
from robot_bridge.safety.plan_limits_config import PlanLimitsConfig
from robot_bridge.safety.reactions import Reaction

MessageType = type[Message]
INPUTS = tuple(message.ros_type for message in (JointState, Imu, Odometry, PoseStamped, WrenchStamped, Float64MultiArray))
"""The types of messages that observations are read from."""
OUTPUTS = (Float64MultiArray.ros_type, JointTrajectory.ros_type, JointState.ros_type)
"""The types of messages that commands are."""
GOALS = (Twist.ros_type, Float64MultiArray.ros_type)
"""The types of messages that goals are."""
_POSITION_UNITS = ("rad", "m")


@dataclass(frozen=True)
class TopicConfig:
    """A ROS 2 topic that the bridge subscribes to.

    Attributes:
        topic: the topic's name, e.g. ``/joint_states``, or ``joint_states`` for one in the node's namespace. The same holds for
            all topics of a bridge file.
        type: the message type, e.g. ``sensor_msgs/msg/JointState``.
        publisher: the node whose messages are taken, e.g. ``/joint_state_broadcaster``, in the bridge's namespace without slash,
            or the beginning of its GUID; messages of others are dropped. Empty for all publishers. It needs the transport `dds`,
            because rclpy does not tell who has sent a message.
    """

    topic: str
    type: str
    publisher: str = ""

    def __post_init__(self) -> None:
        require_topic(self.topic)
        if self.type not in INPUTS:
            raise ConfigError(f"key 'type': got '{self.type}'{did_you_mean(self.type, INPUTS)}; allowed: {', '.join(INPUTS)}")

    @property
    def message_type(self) -> MessageType:
        """The class of the topic's messages."""
        return MESSAGES[self.type]


@dataclass(frozen=True)
class ChannelInput:
    """The place where an observation channel is read.

    Attributes:
        input: name of one of the bridge file's `inputs`.
        field: path in the message, e.g. ``twist.twist.linear.x``, ``data.3``, ``pose.pose.orientation.pitch``; in a JointState
            ``position``, ``velocity`` or ``effort``.
        joint: name of the joint in a JointState; empty for other messages.
    """

    input: str
    field: str
    joint: str = ""


@dataclass(frozen=True)
class OutputConfig:
    """The topic that commands are published on.

    Attributes:
        topic: the topic's name, e.g. ``/effort_controller/commands``.
        type: ``std_msgs/msg/Float64MultiArray``, ``trajectory_msgs/msg/JointTrajectory`` or ``sensor_msgs/msg/JointState``. The
            last two have a stamp and name their joints.
        order: action channels in the order that the robot's low-level controller wants; empty for the order of the robot spec.
        joints: names of the joints that are commanded, one for each entry of `order`. Empty where commands belong to no joints,
            or are no positions and the type does not name joints.
        field: what the joints are commanded. With positions the robot starts and rests where its joints are.
    """

    topic: str
    type: str = Float64MultiArray.ros_type
    order: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    field: Literal["position", "velocity", "effort"] = "position"

    def __post_init__(self) -> None:
        if self.type not in OUTPUTS:
            raise ConfigError(f"key 'type': got '{self.type}'; allowed: {', '.join(OUTPUTS)}")
        require_topic(self.topic)
        if self.type != Float64MultiArray.ros_type and not self.joints:
            raise ConfigError(f"key 'joints': missing; a {self.type.rpartition('/')[2]} names its joints")
        if self.field != "position" and (self.type == JointTrajectory.ros_type or not self.joints):
            raise ConfigError(
                f"key 'field': got '{self.field}'; allowed: with joints, and not with a JointTrajectory, which holds positions"
            )

    @property
    def is_position(self) -> bool:
        """Whether commands are joint positions. A robot at rest then stays where its joints are, instead of getting zeros."""
        return bool(self.joints) and self.field == "position"


@dataclass(frozen=True)
class GoalInput:
    """A topic that changes the objective's goal while the controller runs.

    Attributes:
        topic: the topic's name.
        type: ``geometry_msgs/msg/Twist`` or ``std_msgs/msg/Float64MultiArray``.
        fields: path in the message of each goal entry, in the objective's order.
        initial: the goal until the first message.
        max_age: longest time without a message before the goals count as lost [s]; 0 lets the last goal hold for ever.
        preview: whether an array holds one goal after the other, one for each control period from its arrival on. Each goal has
            as many numbers as there are `fields`, and the last one stays. The planner then knows the coming goals.
    """

    topic: str
    type: str
    fields: tuple[str, ...]
    initial: tuple[float, ...]
    preview: bool = False
    max_age: float = bounded(0.0, low=0.0, high=3600.0)

    def __post_init__(self) -> None:
        if self.type not in GOALS:
            raise ConfigError(f"key 'type': got '{self.type}'; allowed: {', '.join(GOALS)}")
        require_topic(self.topic)
        if self.preview and self.type != Float64MultiArray.ros_type:
            raise ConfigError(f"key 'preview': needs type {Float64MultiArray.ros_type}, got {self.type}")
        for path in self.fields:
            _require_field("fields", MESSAGES[self.type], path)
        if not self.fields:
            raise ConfigError("key 'fields': empty; allowed: a path for each entry of the objective's goal")
        if len(self.fields) != len(self.initial):
            raise ConfigError(f"key 'initial': {len(self.initial)} values for {len(self.fields)} fields")
        numbered = {f"data.{i}" for i in range(len(self.fields))}
        if self.preview and set(self.fields) != numbered:
            raise ConfigError(
                f"key 'fields': got {', '.join(self.fields)} with a preview; allowed: {', '.join(sorted(numbered))}"
            )


@dataclass(frozen=True)
class OperatorInput:
    """A topic on which somebody says again and again that the robot may go on: a dead man's button, a heartbeat.

    Attributes:
        topic: the topic's name. Its messages are `std_msgs/msg/Bool`; `true` says that the operator is there.
        max_age: longest time without such a message [s].
    """

    topic: str
    max_age: float = bounded(0.5, low=1e-2, high=3600.0)

    def __post_init__(self) -> None:
        require_topic(self.topic)


@dataclass(frozen=True)
class BridgeConfig:
    """A robot behind ROS 2.

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one. It may be a link that is replaced, as a training's
            published/newest; `~/reload` takes up what it points to.
        inputs: topics that are subscribed to, under names that `obs` refers to.
        obs: the place where each observation channel is read.
        output: the topic that commands are published on.
        safety: limits, and reactions to faults.
        goal: the goal's topic, which an objective with a goal needs.
        operator: the topic of an operator who must be there; without it nobody has to be.
        monitors: numbers that the model does not need and that must stay within limits, such as a battery's charge, by a name.
        plan_limits: where a plan may lead, checked before it is sent; without it anywhere.
        latency: shortest time from a measurement to the effect of a command that answers it at once, through sensors, network
            and actuators [s]. The planner looks so much further ahead. Further delays of observations are found from stamps.
        adaptation: when adapting pauses by itself.
        ownership: who may command the robot beside this bridge; without it others are only warned of.
        urdf: the robot's URDF. Its limits of joints are the defaults of `safety.obs_limits` for channels of a JointState, and of
            `safety.action_limits` for an output with `joints`. Empty for none.
        newest_at_activate: whether `activate` takes up a checkpoint that has come in the place of the one in use, as `~/reload`
            does. It takes some seconds longer then.
        max_message_bytes: largest message of observations, goals and the operator on the wire [bytes]; larger ones are refused
            before they are decoded. With 0 it is 16384 for types that hold lists, such as a JointState, and 4096 for all others.
        periodicity: thresholds of the diagnosis of the control loop's period.
        compile: `auto` compiles the control step when the node is configured, where this machine can. That takes up to minutes,
            less once it has been done, and plans take less time then. A checkpoint that is taken up later is used uncompiled.
    """

    checkpoint: str
    inputs: Mapping[str, TopicConfig]
    obs: Mapping[str, ChannelInput]
    output: OutputConfig
    safety: SafetyConfig
    goal: GoalInput | None = None
    operator: OperatorInput | None = None
    monitors: Mapping[str, MonitorConfig] = field(default_factory=dict)
    plan_limits: PlanLimitsConfig | None = None
    latency: float = bounded(0.0, low=0.0, high=1.0)
    urdf: str = ""
    newest_at_activate: bool = False
    adaptation: AdaptationConfig = AdaptationConfig()
    ownership: OwnershipConfig | None = None
    max_message_bytes: int = bounded(0, low=0, high=MAX_SAMPLE_BYTES)
    periodicity: PeriodicityConfig = PeriodicityConfig()
    compile: Literal["auto", "off"] = "off"

    def __post_init__(self) -> None:
        if self.ownership is not None:
            self.ownership.require_topics(self.output.topic, {name: topic.type for name, topic in self.inputs.items()})
        taken = [name for name, topic in self.inputs.items() if topic.topic == self.output.topic]
        if taken:
            raise ConfigError(f"key 'output.topic': '{self.output.topic}' is input '{taken[0]}'; allowed: a topic of its own")
        if self.output.is_position:
            self._require_positions()
        for name, source in self.obs.items():
            if source.input not in self.inputs:
                raise ConfigError(
                    f"key 'obs.{name}.input': unknown input '{source.input}'; known inputs: {', '.join(self.inputs)}"
                )
            is_joint = self.inputs[source.input].message_type is JointState
            if is_joint and source.field not in ("position", "velocity", "effort"):
                raise ConfigError(f"key 'obs.{name}.field': got '{source.field}'; allowed: position, velocity, effort")
            if is_joint != bool(source.joint):
                raise ConfigError(f"key 'obs.{name}.joint': {'missing' if is_joint else 'only a JointState has joints'}")
            if not is_joint:
                _require_field(f"obs.{name}.field", self.inputs[source.input].message_type, source.field)

        self._require_monitors()

    def _require_monitors(self) -> None:
        """Refuse monitors whose messages cannot hold their number, or that read a topic as another type than others do."""
        types = {topic.topic: topic.type for topic in self.inputs.values()}
        for name, monitor in self.monitors.items():
            if monitor.channel:
                continue
            try:
                require_topic(monitor.topic)
                require_monitored(monitor)
            except ConfigError as error:
                raise ConfigError(f"monitors.{name}: {error}") from error
            if types.setdefault(monitor.topic, monitor.type) != monitor.type:
                known = types[monitor.topic]
                raise ConfigError(f"key 'monitors.{name}.type': got '{monitor.type}'; '{monitor.topic}' is read as {known}")

    def largest(self, message_type: MessageType) -> int:
        """The largest message of a type that is decoded [bytes]."""
        return self.max_message_bytes or largest(message_type)

    def _require_positions(self) -> None:
        """A robot under position commands starts and rests where its joints are, so their positions must be observed."""
        safety = self.safety
        named: list[tuple[str, Reaction]] = [("safe_action", safety.safe_action)]
        named += [(f"reactions.{kind}.action", reaction.action) for kind, reaction in safety.reactions.items()]
        named += [] if safety.stopping is None else [("stopping.then", reaction) for reaction in safety.stopping.then]
        for key, reaction in named:
            if reaction in ("damping", "zero"):
                raise ConfigError(f"key 'safety.{key}': got '{reaction}' with position commands; allowed: hold, return")
        observed = {source.joint for source in self.obs.values() if source.field == "position"}
        missing = [joint for joint in self.output.joints if joint not in observed]
        if missing:
            raise ConfigError(f"key 'output.joints': the position of '{missing[0]}' is not observed; allowed: joints that are")


def _require_field(key: str, message_type: MessageType, path: str) -> None:
    try:
        field_of(message_type(), path)
    except AttributeError as error:
        raise ConfigError(f"key '{key}': {message_type.ros_type} has no number '{path}': {error}") from error


def load_bridge_config(path: str | Path) -> BridgeConfig:
    """Read a bridge YAML."""
    return load_yaml(path, BridgeConfig)


def require_spec(config: BridgeConfig, spec: RobotSpec, source: str) -> None:
    """Refuse a bridge file whose observation or action channels are not those of the checkpoint's robot."""
    unknown = [name for name in config.obs if name not in spec.obs_names]
    if unknown:
        hint, names = did_you_mean(unknown[0], spec.obs_names), ", ".join(spec.obs_names)
        raise ConfigError(
            f"{source}: key 'obs.{unknown[0]}': unknown channel{hint}; the checkpoint's robot '{spec.name}' has {names}"
        )
    missing = [name for name in spec.obs_names if name not in config.obs]
    if missing:
        raise ConfigError(
            f"{source}: key 'obs': missing channel '{missing[0]}'; the checkpoint needs {', '.join(spec.obs_names)}"
        )
    order = config.output.order or spec.action_names
    if sorted(order) != sorted(spec.action_names):
        raise ConfigError(
            f"{source}: key 'output.order': got {list(order)}; allowed: each of {', '.join(spec.action_names)} once"
        )
    for name, condition in config.adaptation.pause_when.contact.items():
        if condition.channel and condition.channel not in spec.obs_names:
            hint, names = did_you_mean(condition.channel, spec.obs_names), ", ".join(spec.obs_names)
            key = f"adaptation.pause_when.contact.{name}.channel"
            raise ConfigError(f"{source}: key '{key}': unknown channel '{condition.channel}'{hint}; known channels: {names}")
    present = () if config.ownership is None else config.ownership.present
    unread = [name for name in present if name not in spec.action_names]
    if unread:
        raise ConfigError(
            f"{source}: key 'ownership.present.{unread[0]}': unknown channel{did_you_mean(unread[0], spec.action_names)}; "
            f"the checkpoint's robot '{spec.name}' has {', '.join(spec.action_names)}"
        )
    positions = [action.name for action in spec.action if action.unit in _POSITION_UNITS]
    if positions and config.output.joints and not config.output.is_position:
        raise ConfigError(f"{source}: key 'output.field': got '{config.output.field}'; '{positions[0]}' is a position")
    if positions and not config.output.is_position:
        raise ConfigError(
            f"{source}: key 'output.joints': missing; '{positions[0]}' is a position: the robot starts from where its joint is"
        )
    if config.output.joints and len(config.output.joints) != len(order):
        raise ConfigError(f"{source}: key 'output.joints': {len(config.output.joints)} names for {len(order)} actions")


def require_goal(config: BridgeConfig, goal_dim: int, source: str) -> None:
    """Refuse a bridge file whose goal does not have as many entries as the checkpoint's objective needs."""
    given = 0 if config.goal is None else len(config.goal.initial)
    if given != goal_dim:
        raise ConfigError(f"{source}: key 'goal': {given} values; the checkpoint's objective has {goal_dim}")
