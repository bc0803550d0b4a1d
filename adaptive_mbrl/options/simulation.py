"""Flags of the sub-commands that run robots in simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import (
    Device,
    OptionalFile,
    OptionalInt,
    OptionalName,
    require_at_least,
    require_ending,
    require_seed,
    require_threads,
)


@dataclass(frozen=True)
class DemoOptions:
    """Change a robot's dynamics while it moves, and show how the controller adapts.

    By default the half-cheetah becomes heavier, and later one of its motors is wired backwards as well.

    Example: adaptive-mbrl demo --checkpoint cartpole --out runs/demo

    Attributes:
        out: folder that recovery.png, rollout.mp4 and report.json are written to.
        checkpoint: folder of a checkpoint, or name of a shipped one; its robot is the one that is shown.
        scenario: what happens to the robot, as a YAML file or a name; if not given, the robot's scenario `demo`, such as
            half_cheetah/demo.
        video: whether rollout.mp4 is rendered; this needs a renderer, which `adaptive-mbrl info` lists.
        quick: run one episode instead of four and leave the oracle out, which takes less than a minute on two cores.
        seed: seed of the scenario, the robots and the planner.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch and of the simulator; OMP_NUM_THREADS if not given, else all usable cores.
    """

    out: Path = Path("runs/demo")
    checkpoint: str = "half_cheetah"
    scenario: OptionalName = None
    video: Annotated[bool, arg(help="do not render rollout.mp4", help_behavior_hint="")] = True
    quick: bool = False
    seed: int = 0
    device: Device = "auto"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_threads(self.threads)
        require_seed("--seed", self.seed)


@dataclass(frozen=True)
class EvaluateOptions:
    """Compare the adaptive controller with the frozen prior, a multi-task model and the oracle.

    Example: adaptive-mbrl evaluate --checkpoint cartpole --multitask cartpole_multitask --scenario cartpole/demo

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one.
        scenario: what happens to the robot: a YAML file, or the name of one in configs/scenarios.
        episodes: number of episodes per arm; each has its own seed.
        seed: seed of the first episode; the scenario's own if not given.
        json: also write the report to this file.
        plot: also draw how each arm copes with the change, into this .png file.
        video: also render the first episode, the adaptive arm beside the frozen one, into this .mp4 file; this needs a renderer,
            which `adaptive-mbrl info` lists.
        ledger: CSV file that gets a line for every model, if the scenario is a test part of a shipped split; it shows how often
            held-out changes were looked at.
        reason: why one looks, for the ledger's line.
        multitask: checkpoint of the multi-task arm, as a folder or a name; without it there is no such arm.
        baselines: folders of baselines that `train-baseline` trained; each is one more arm, named after its algorithm.
        oracle: whether the planner also runs on the true dynamics.
        physics: also run an arm that estimates the parameters of the robot's physics and plans in MuJoCo under them, one that
            learns a residual on top of them, and both with a model that is wrong on purpose.
        physics_error: share by which that model's masses and springs are wrong, 0.2 if not given; 0 leaves its arms out.
        planner: another planner for all arms instead of the checkpoint's: its name, or YAML with settings that differ, such as
            '{mppi: {num_samples: 32}}'; sampling planners keep the settings that they share with it.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch and of the simulator; OMP_NUM_THREADS if not given, else all usable cores.
    """

    checkpoint: str
    scenario: str
    episodes: int = 10
    seed: OptionalInt = None
    json: OptionalFile = None
    plot: OptionalFile = None
    video: OptionalFile = None
    ledger: OptionalFile = None
    reason: str = ""
    multitask: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="")] = None
    baselines: Annotated[tuple[str, ...], arg(metavar="DIR ...", help_behavior_hint="")] = ()
    oracle: Annotated[bool, arg(help="skip the planner on the true dynamics", help_behavior_hint="")] = True
    physics: bool = False
    physics_error: Annotated[float | None, arg(metavar="SHARE", help_behavior_hint="")] = None
    planner: Annotated[str | None, arg(metavar="PLANNER", help_behavior_hint="")] = None
    device: Device = "auto"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_threads(self.threads)
        require_at_least("--episodes", self.episodes, 1)
        if self.physics_error is not None:
            if not self.physics:
                raise ConfigError("--physics-error: there is no arm with physics that it could be about; add --physics")
            if not 0 <= self.physics_error < 1:
                raise ConfigError(f"--physics-error: {self.physics_error:g} is out of range; allowed: at least 0, less than 1")
        require_seed("--seed", self.seed)
        require_ending("--plot", self.plot, ".png")
        require_ending("--video", self.video, ".mp4")


@dataclass(frozen=True)
class CollectOptions:
    """Record episodes with a random policy, the oracle or a checkpoint.

    Example: adaptive-mbrl collect --robot cartpole --policy oracle --episodes 5 --out runs/collect

    Attributes:
        robot: robot whose dynamics stay as they are, as a YAML file or a name; give either this or a scenario.
        scenario: what happens to a robot, as a YAML file or a name; give either this or a robot.
        policy: what chooses the actions: random, oracle, or a checkpoint (folder or name).
        config: training configuration, a YAML file or a name, whose data.oracle_planner the oracle plans with, for --policy
            oracle; if not given, it plans with the defaults of icem.
        episodes: number of episodes.
        steps: control steps per episode; if not given, the scenario's, or 200 for a robot.
        out: folder of the episodes; new ones are appended.
        seed: seed of the first episode; if not given, the scenario's, or 0 for a robot.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch and of the simulator; OMP_NUM_THREADS if not given, else all usable cores.
    """

    robot: OptionalName = None
    scenario: OptionalName = None
    policy: str = "random"
    config: OptionalName = None
    episodes: int = 10
    steps: OptionalInt = None
    out: Path = Path("runs/collect")
    seed: OptionalInt = None
    device: Device = "auto"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_threads(self.threads)
        if (self.robot is None) == (self.scenario is None):
            given = "neither" if self.robot is None else "both"
            raise ConfigError(f"collect: got {given} of --robot and --scenario; give exactly one")
        if self.config is not None and self.policy != "oracle":
            raise ConfigError("collect: --config says how the oracle plans; allowed: together with --policy oracle")
        require_at_least("--episodes", self.episodes, 1)
        require_at_least("--steps", self.steps, 1)
        require_seed("--seed", self.seed)


@dataclass(frozen=True)
class DiagnoseOptions:
    """Add to a checkpoint what reads physical parameters, such as the gain of each motor, out of its belief.

    Example: adaptive-mbrl diagnose --checkpoint cartpole --episodes runs/collect --out runs/cartpole_diagnosis

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one.
        episodes: folder of simulated episodes that a training run or `collect` wrote; their scenarios say the parameters.
        out: folder of the new checkpoint.
        windows: number of windows of recent transitions that it is fitted to.
        features: numbers that a larger belief is reduced to; fewer make a smaller file.
        updates: number of gradient steps.
        held_out: share of the scenarios, at the end of the folder, that is kept for the comparison. If some episodes are
            marked as held out, these are kept instead.
        seed: seed of the windows, of their order and of the initial weights.
        device: where the networks run; auto takes a GPU when there is one.
    """

    checkpoint: str
    episodes: Path
    out: Path
    windows: int = 20_000
    features: int = 128
    updates: int = 3000
    held_out: float = 0.2
    seed: int = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        require_at_least("--windows", self.windows, 2)
        require_at_least("--features", self.features, 1)
        require_at_least("--updates", self.updates, 1)
        require_seed("--seed", self.seed)
        if not 0 < self.held_out < 1:
            raise ConfigError(f"--held-out: {self.held_out} is out of range; allowed: above 0 and below 1")


@dataclass(frozen=True)
class InfoOptions:
    """Print versions, device, threads and renderers, as a bug report needs them.

    Example: adaptive-mbrl info --bench-sim --robot cartpole

    Attributes:
        bench_sim: also measure how many control steps per second 64 simulated robots make.
        robot: measure this robot only.
    """

    bench_sim: bool = False
    robot: OptionalName = None


@dataclass(frozen=True)
class ReplayOptions:
    """Run again the one step that a file in runs/dumps holds: a control, training or simulation step that was not finite.

    Example: adaptive-mbrl replay runs/dumps/step.safetensors

    Attributes:
        file: the dump.
    """

    file: Positional[Path]
