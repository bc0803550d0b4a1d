"""Flags of the sub-command that shows a robot live, simulated or real."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from tyro.conf import arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import (
    Device,
    OptionalFile,
    OptionalInt,
    OptionalName,
    Transport,
    require_at_least,
    require_domain,
    require_seed,
    require_threads,
)

_OF_THE_SIMULATION = ("checkpoint", "scenario", "multitask", "seed", "window", "device", "threads")
_OF_THE_BRIDGE = ("transport", "domain", "interface", "node")
DEFAULT_PORT = 8080


@dataclass(frozen=True)
class ViewOptions:
    """Show a robot live in the browser: a simulated one whose dynamics you change while it moves, or the robot behind a bridge.

    Example: adaptive-mbrl view --checkpoint half_cheetah

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one, whose robot is simulated; half_cheetah if neither it nor a
            bridge is given.
        scenario: what happens to the simulated robot by itself, as a YAML file or a name; nothing if not given. Its split, or the
            robot's split `anything`, also says which sliders and buttons there are.
        multitask: checkpoint of a multi-task model that can act, too, as a folder or a name; the shipped one of the robot if
            there is one.
        bridge: YAML file of a running bridge, whose robot is shown instead of a simulated one.
        seed: seed of the simulated episode and of the planners.
        window: show the simulation in MuJoCo's own window, which needs a display, and serve no page.
        host: address that the page is served on; others can only reach an address of this machine that they see.
        port: port of the page.
        seconds: how long to run [s]; until Ctrl-C if not given.
        transport: way to the bridge; dds needs no ROS 2 install, rclpy needs one that is sourced.
        domain: ROS 2's domain id, for a bridge; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use with dds, for a bridge; the environment variable CYCLONEDDS_URI wins over it.
        node: name of the bridge's node, with its namespace.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch and of the simulator; OMP_NUM_THREADS if not given, else all usable cores.
    """

    checkpoint: OptionalName = None
    scenario: OptionalName = None
    multitask: OptionalName = None
    bridge: OptionalFile = None
    seed: int = 0
    window: bool = False
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    seconds: Annotated[float | None, arg(metavar="SECONDS", help_behavior_hint="")] = None
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"
    node: str = "adaptive_mpc"
    device: Device = "auto"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_threads(self.threads)
        require_seed("--seed", self.seed)
        require_domain(self.domain)
        require_at_least("--seconds", self.seconds, 0)
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"--port: {self.port} is out of range; allowed: 1 to 65535")
        others, form = (_OF_THE_BRIDGE, "with --bridge") if self.bridge is None else (_OF_THE_SIMULATION, "without --bridge")
        defaults = {field.name: field.default for field in fields(self)}
        given = next((name for name in others if getattr(self, name) != defaults[name]), None)
        if given is not None:
            raise ConfigError(f"--{given}: allowed {form} only")

    @property
    def needs_simulator(self) -> bool:
        """Whether the robot is a simulated one."""
        return self.bridge is None
