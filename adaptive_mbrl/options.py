"""What each sub-command of `adaptive-mbrl` can be told; the dataclasses are the flags and their help.

Nothing heavy is imported here, so that `adaptive-mbrl --help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from adaptive_mbrl.config import MAX_SEED
from adaptive_mbrl.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
# without the metavar, help shows "{None}|PATH"
OptionalPath = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
OptionalName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
Transport = Literal["dds", "rclpy"]
OptionalInt = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]


@dataclass(frozen=True)
class DemoOptions:
    """Break the half-cheetah in mid-run and show the controller adapting.

    Attributes:
        out: folder for recovery.png, rollout.mp4 and report.json.
        checkpoint: folder or name of a shipped checkpoint.
        video: render rollout.mp4 (needs a renderer, see `adaptive-mbrl info`).
        seed: seed of the scenario, the robots and the planner.
        device: where the networks run; auto takes a GPU when there is one.
    """

    out: Path = Path("runs/demo")
    checkpoint: str = "half_cheetah"
    video: Annotated[bool, arg(help="do not render rollout.mp4", help_behavior_hint="")] = True
    seed: int = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        _require_seed("--seed", self.seed)


@dataclass(frozen=True)
class TrainOptions:
    """Meta-train a dynamics model; goes on where an interrupted run stopped.

    Attributes:
        config: file, or name of a file in configs/train.
        run: run folder; runs/train/NAME if not given.
        resume: only go on with an existing run, never start a new one.
        device: where the networks run; auto takes a GPU when there is one.
    """

    config: str
    run: OptionalPath = None
    resume: bool = False
    device: Device = "auto"


@dataclass(frozen=True)
class EvaluateOptions:
    """Compare the adaptive controller with the frozen prior, a multi-task model and the oracle.

    Attributes:
        checkpoint: folder or name of a shipped checkpoint.
        scenario: file, or name of a file in configs/scenarios.
        episodes: episodes per arm, each with its own seed.
        seed: seed of the first episode; the scenario's own if not given.
        json: also write the report to this file.
        multitask: checkpoint of the multi-task arm, folder or name.
        oracle: also run the planner on the true dynamics.
        device: where the networks run; auto takes a GPU when there is one.
    """

    checkpoint: str
    scenario: str
    episodes: int = 10
    seed: OptionalInt = None
    json: OptionalFile = None
    multitask: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="")] = None
    oracle: Annotated[bool, arg(help="skip the planner on the true dynamics", help_behavior_hint="")] = True
    device: Device = "auto"

    def __post_init__(self) -> None:
        _at_least("--episodes", self.episodes, 1)
        _require_seed("--seed", self.seed)


@dataclass(frozen=True)
class CollectOptions:
    """Record episodes with a random policy, the oracle or a checkpoint.

    Attributes:
        robot: nominal robot, file or name; or give a scenario.
        scenario: file or name; or give a robot.
        policy: random, oracle, or a checkpoint (folder or name).
        episodes: number of episodes.
        steps: control steps per episode; the scenario's, or 200, if not given.
        out: folder of the episodes; new ones are appended.
        seed: seed of the first episode; the scenario's, or 0, if not given.
        device: where the networks run; auto takes a GPU when there is one.
    """

    robot: OptionalName = None
    scenario: OptionalName = None
    policy: str = "random"
    episodes: int = 10
    steps: OptionalInt = None
    out: Path = Path("runs/collect")
    seed: OptionalInt = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        if (self.robot is None) == (self.scenario is None):
            given = "neither" if self.robot is None else "both"
            raise ConfigError(f"collect: got {given} of --robot and --scenario; give exactly one")
        _at_least("--episodes", self.episodes, 1)
        _at_least("--steps", self.steps, 1)
        _require_seed("--seed", self.seed)


@dataclass(frozen=True)
class BridgeOptions:
    """Control a robot over DDS, the wire of ROS 2, until Ctrl-C.

    Attributes:
        bridge: YAML file of the robot's topics, channels and safety limits.
        dry_run: plan and report, send no command.
        device: where the networks run; auto takes a GPU when there is one.
        deadline: share of the control period that planning may take.
        preflight_seconds: first listen to the robot for so long and check what it says [s]; 0 does not check.
        record: folder of a bag to record, for `import-bag`.
        transport: dds needs no ROS 2 install; rclpy needs one that is sourced.
        domain: ROS 2's domain id; ROS_DOMAIN_ID if not given.
        interface: network interface, for dds; the environment variable CYCLONEDDS_URI has precedence.
    """

    bridge: Path
    dry_run: bool = False
    device: Device = "auto"
    deadline: float = 0.9
    preflight_seconds: float = 0.0
    record: OptionalPath = None
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"

    def __post_init__(self) -> None:
        _require_domain(self.domain)
        if not 0.1 <= self.deadline <= 0.95:
            raise ConfigError(f"--deadline: {self.deadline} is out of range; allowed: 0.1 to 0.95")
        if not 0 <= self.preflight_seconds <= 60:
            raise ConfigError(f"--preflight-seconds: {self.preflight_seconds:g} is out of range; allowed: 0 to 60")


@dataclass(frozen=True)
class CallOptions:
    """Call a service of a running bridge.

    Attributes:
        service: what is asked for; an emergency stop ends with clear_estop, and activate then starts again.
        off: of freeze_adaptation: let the belief adapt again.
        timeout: longest wait for the bridge [s].
        domain: ROS 2's domain id; ROS_DOMAIN_ID if not given.
        interface: network interface; the environment variable CYCLONEDDS_URI has precedence.
    """

    service: Positional[Literal["estop", "clear_estop", "activate", "deactivate", "reset_belief", "freeze_adaptation"]]
    off: bool = False
    timeout: float = 3.0
    domain: OptionalInt = None
    interface: str = "lo"

    def __post_init__(self) -> None:
        _require_domain(self.domain)
        if not self.timeout > 0:
            raise ConfigError(f"--timeout: {self.timeout} is out of range; allowed: above 0")
        if self.off and self.service != "freeze_adaptation":
            raise ConfigError(f"--off: got it with '{self.service}'; allowed with freeze_adaptation only")


@dataclass(frozen=True)
class PreflightOptions:
    """Check a robot against its bridge file before it is controlled: topics, rates, stamps, units, and on request its motion.

    Attributes:
        bridge: YAML file of the robot's topics, channels and safety limits.
        seconds: how long to listen [s].
        test_motion: then move every actuator a little, through the safety supervisor, and check order and signs.
        amplitude: of the test motion, as a share of each actuator's range.
        yes: do not ask before the robot moves.
        json: also write the checks to this file.
        transport: dds needs no ROS 2 install; rclpy needs one that is sourced.
        domain: ROS 2's domain id; ROS_DOMAIN_ID if not given.
        interface: network interface, for dds; the environment variable CYCLONEDDS_URI has precedence.
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

    def __post_init__(self) -> None:
        _require_domain(self.domain)
        if not 0.5 <= self.seconds <= 600:
            raise ConfigError(f"--seconds: {self.seconds:g} is out of range; allowed: 0.5 to 600")
        if not 0 < self.amplitude <= 0.5:
            raise ConfigError(f"--amplitude: {self.amplitude:g} is out of range; allowed: above 0, at most 0.5")


@dataclass(frozen=True)
class SimulatedRobotOptions:
    """Run a simulated robot in real time behind the topics of a bridge file.

    Attributes:
        bridge: YAML file of the topics and channels, as for `bridge`.
        scenario: what happens to the robot: a scenario file, or a split's part such as half_cheetah/cadm_cripple:test.
        seed: of the episode; the scenario's own if not given.
        command_timeout: age of a command after which the actuators get zeros [s].
        imperfections: YAML file of sensor noise, latency, jitter and message loss; without it the robot has none.
        rate: observations per second [Hz], as near as whole physics steps allow; the physics rate, at most 200, if not given.
        json: also write the report to this file.
        transport: dds needs no ROS 2 install; rclpy needs one that is sourced.
        domain: ROS 2's domain id; ROS_DOMAIN_ID if not given.
        interface: network interface, for dds; the environment variable CYCLONEDDS_URI has precedence.
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

    def __post_init__(self) -> None:
        _require_seed("--seed", self.seed)
        _require_domain(self.domain)
        if not self.command_timeout > 0:
            raise ConfigError(f"--command-timeout: {self.command_timeout} is out of range; allowed: above 0")
        if self.rate is not None and not self.rate > 0:
            raise ConfigError(f"--rate: {self.rate} is out of range; allowed: above 0")


@dataclass(frozen=True)
class ImportBagOptions:
    """Turn a rosbag2 of a robot (sqlite3 or MCAP) into episodes; needs no ROS.

    Attributes:
        bag: folder of the bag, or one of its files.
        bridge: YAML file of the robot's topics and channels, as for `bridge`.
        out: folder of the episodes; new ones are appended.
        min_steps: shorter stretches between two gaps are left out; twice the checkpoint's window if not given.
        node: name of the controller's node in the recording, with its namespace.
    """

    bag: Positional[Path]
    bridge: Path
    out: Path
    min_steps: OptionalInt = None
    node: str = "adaptive_mpc"

    def __post_init__(self) -> None:
        _at_least("--min-steps", self.min_steps, 1)


@dataclass(frozen=True)
class FineTuneOptions:
    """Go on with the training of a checkpoint on recorded episodes of one robot; needs no simulator.

    Attributes:
        checkpoint: folder or name of a shipped checkpoint.
        episodes: folder of the episodes, from `import-bag` or `collect`.
        out: folder of the new checkpoint.
        updates: outer steps.
        learning_rate: of the outer steps.
        query: steps ahead that the model is trained to predict.
        held_out: share of each episode, at its end, that is kept for the comparison; unless episodes are marked for it.
        seed: of the windows' order.
        device: where the networks run; auto takes a GPU when there is one.
    """

    checkpoint: Positional[str]
    episodes: Path
    out: Path
    updates: int = 500
    learning_rate: float = 3e-4
    query: int = 8
    held_out: float = 0.2
    seed: int = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        _at_least("--updates", self.updates, 1)
        _at_least("--query", self.query, 1)
        _require_seed("--seed", self.seed)
        if not self.learning_rate > 0:
            raise ConfigError(f"--learning-rate: {self.learning_rate} is out of range; allowed: above 0")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"--held-out: {self.held_out} is out of range; allowed: above 0 and below 1")


@dataclass(frozen=True)
class InfoOptions:
    """Print versions, device, threads and renderers, for bug reports.

    Attributes:
        bench_sim: also measure simulated control steps per second with 64 robots.
        robot: measure this robot only.
    """

    bench_sim: bool = False
    robot: OptionalName = None


def _at_least(flag: str, value: int | None, low: int) -> None:
    if value is not None and value < low:
        raise ConfigError(f"{flag}: {value} is out of range; allowed: at least {low}")


def _require_domain(value: int | None) -> None:
    if value is not None and not 0 <= value <= 232:
        raise ConfigError(f"--domain: {value} is out of range; allowed: 0 to 232")


def _require_seed(flag: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= MAX_SEED:
        raise ConfigError(f"{flag}: {value} is out of range; allowed: 0 to {MAX_SEED}")
