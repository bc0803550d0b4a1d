"""Flags of the sub-commands that talk to a running robot over ROS 2's topics, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import (
    Device,
    OptionalFile,
    OptionalInt,
    OptionalPath,
    Transport,
    require_domain,
    require_seed,
)


@dataclass(frozen=True)
class BridgeOptions:
    """Control a robot over DDS, the wire of ROS 2, until Ctrl-C.

    Example: adaptive-mbrl bridge --bridge configs/bridge/cartpole.yaml --dry-run

    Attributes:
        bridge: YAML file of the robot's topics, channels and safety limits.
        dry_run: plan and report, but send no command.
        device: where the networks run; auto takes a GPU when there is one.
        deadline: share of the control period that planning may take.
        preflight_seconds: time to listen to the robot and check its messages before the start [s]; 0 skips the check.
        record: folder of a new bag into which everything is recorded; `import-bag` reads it.
        guard: run the controller in a process of its own, and send the safe action from this one if it dies or falls silent.
        standby: plan along with another bridge that has this robot, and take over when that falls silent; needs `ownership` in
            the bridge file, and is not allowed with --guard.
        memory_limit: largest memory of the controller [MiB], beyond which it is ended; needs --guard, 0 is no limit.
        realtime: ask for real-time priority, locked memory and cores of their own for the control loop, its watchdog and the
            guard; with require a refusal is an error, with try a warning.
        cpus: cores of the control loop, such as 2,3; if not given, the last one where there are three or more.
        transport: way to the robot; dds needs no ROS 2 install, rclpy needs one that is sourced.
        domain: ROS 2's domain id; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use with dds; the environment variable CYCLONEDDS_URI wins over it.
        namespace: namespace of the node, and of the topics in the bridge file that do not begin with a slash.
    """

    bridge: Path
    dry_run: bool = False
    device: Device = "auto"
    deadline: float = 0.9
    preflight_seconds: float = 0.0
    record: OptionalPath = None
    guard: bool = False
    standby: bool = False
    memory_limit: float = 0.0
    realtime: Literal["off", "try", "require"] = "off"
    cpus: str = ""
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"
    namespace: str = ""

    def __post_init__(self) -> None:
        require_domain(self.domain)
        if self.standby and (self.guard or self.dry_run):
            other = "--guard, because a guard goes on commanding when its controller dies" if self.guard else "--dry-run"
            raise ConfigError(f"--standby: got it with {other}; allowed: without it")
        if self.memory_limit < 0 or (self.memory_limit and not self.guard):
            raise ConfigError(f"--memory-limit: got {self.memory_limit:g}; allowed: 0 or more, with --guard")
        if self.cpus and self.realtime == "off":
            raise ConfigError(f"--cpus: got {self.cpus}; allowed with --realtime try or require")
        if not 0.1 <= self.deadline <= 0.95:
            raise ConfigError(f"--deadline: {self.deadline} is out of range; allowed: 0.1 to 0.95")
        if not 0 <= self.preflight_seconds <= 60:
            raise ConfigError(f"--preflight-seconds: {self.preflight_seconds:g} is out of range; allowed: 0 to 60")


@dataclass(frozen=True)
class CallOptions:
    """Call a service of a running bridge.

    Example: adaptive-mbrl call estop

    Attributes:
        service: what the bridge shall do. After an emergency stop, clear_estop ends it and activate starts again. override
            lets it go on in spite of faults that wait for a person's decision.
        off: let the belief adapt again; only with freeze_adaptation.
        timeout: longest wait for the service and for its answer [s]; activate and reload, which may load a checkpoint, have a
            minute to answer.
        domain: ROS 2's domain id; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use; the environment variable CYCLONEDDS_URI wins over it.
        namespace: namespace of the bridge's node.
    """

    service: Positional[
        Literal["estop", "clear_estop", "override", "activate", "deactivate", "reset_belief", "freeze_adaptation", "reload"]
    ]
    off: bool = False
    timeout: float = 3.0
    domain: OptionalInt = None
    interface: str = "lo"
    namespace: str = ""

    def __post_init__(self) -> None:
        require_domain(self.domain)
        if not self.timeout > 0:
            raise ConfigError(f"--timeout: {self.timeout} is out of range; allowed: above 0")
        if self.off and self.service != "freeze_adaptation":
            raise ConfigError(f"--off: got it with '{self.service}'; allowed with freeze_adaptation only")


@dataclass(frozen=True)
class PreflightOptions:
    """Check before controlling a robot that it matches its bridge file: topics, rates, stamps, units, and on request its motion.

    Example: adaptive-mbrl preflight --bridge configs/bridge/cartpole.yaml --seconds 5

    Attributes:
        bridge: YAML file of the robot's topics, channels and safety limits.
        seconds: how long to listen [s].
        test_motion: after listening, move every actuator a little, through the safety supervisor, and check order and signs.
        amplitude: size of the test motion, as a share of each actuator's range.
        yes: move without asking first.
        json: also write the checks to this file.
        transport: way to the robot; dds needs no ROS 2 install, rclpy needs one that is sourced.
        domain: ROS 2's domain id; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use with dds; the environment variable CYCLONEDDS_URI wins over it.
        namespace: namespace of the node, and of the topics in the bridge file that do not begin with a slash.
    """

    bridge: Path
    seconds: float = 3.0
    test_motion: bool = False
    amplitude: float = 0.05
    yes: bool = False
    json: OptionalFile = None
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"
    namespace: str = ""

    def __post_init__(self) -> None:
        require_domain(self.domain)
        if not 0.5 <= self.seconds <= 600:
            raise ConfigError(f"--seconds: {self.seconds:g} is out of range; allowed: 0.5 to 600")
        if not 0 < self.amplitude <= 0.5:
            raise ConfigError(f"--amplitude: {self.amplitude:g} is out of range; allowed: above 0, at most 0.5")


@dataclass(frozen=True)
class SimulatedRobotOptions:
    """Run a simulated robot in real time behind the topics of a bridge file.

    Example: adaptive-mbrl simulated-robot --bridge configs/bridge/cartpole.yaml --scenario cartpole/demo

    Attributes:
        bridge: YAML file of the topics and channels, as for `bridge`.
        scenario: what happens to the robot: a scenario file, or one part of a split, such as half_cheetah/cadm_cripple:test.
        seed: seed of the episode; the scenario's own if not given.
        command_timeout: age of the last command after which the actuators get zeros [s].
        imperfections: YAML file of sensor noise, latency, jitter and message loss; without it the robot has none.
        rate: observations per second [Hz], rounded to whole physics steps; if not given, the physics rate, but at most 200.
        json: also write the report to this file.
        transport: way to the robot; dds needs no ROS 2 install, rclpy needs one that is sourced.
        domain: ROS 2's domain id; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use with dds; the environment variable CYCLONEDDS_URI wins over it.
        namespace: namespace of the node, and of the topics in the bridge file that do not begin with a slash.
    """

    bridge: Path
    scenario: str
    seed: OptionalInt = None
    command_timeout: float = 0.2
    imperfections: OptionalFile = None
    rate: Annotated[float | None, arg(metavar="HZ", help_behavior_hint="")] = None
    json: OptionalFile = None
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"
    namespace: str = ""

    def __post_init__(self) -> None:
        require_seed("--seed", self.seed)
        require_domain(self.domain)
        if not self.command_timeout > 0:
            raise ConfigError(f"--command-timeout: {self.command_timeout} is out of range; allowed: above 0")
        if self.rate is not None and not self.rate > 0:
            raise ConfigError(f"--rate: {self.rate} is out of range; allowed: above 0")
