"""Flags of the sub-commands that run robots in simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import (
    Device,
    OptionalFile,
    OptionalInt,
    OptionalName,
    require_at_least,
    require_seed,
)


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
        require_seed("--seed", self.seed)


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
        require_at_least("--episodes", self.episodes, 1)
        require_seed("--seed", self.seed)


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
        require_at_least("--episodes", self.episodes, 1)
        require_at_least("--steps", self.steps, 1)
        require_seed("--seed", self.seed)


@dataclass(frozen=True)
class InfoOptions:
    """Print versions, device, threads and renderers, for bug reports.

    Attributes:
        bench_sim: also measure simulated control steps per second with 64 robots.
        robot: measure this robot only.
    """

    bench_sim: bool = False
    robot: OptionalName = None
