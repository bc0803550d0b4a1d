"""Flags of the sub-commands that train a model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from adaptive_mbrl.config import read_mapping, with_settings
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import (
    Device,
    OptionalFile,
    OptionalInt,
    OptionalName,
    OptionalPath,
    require_at_least,
    require_ending,
    require_seed,
    require_threads,
)
from adaptive_mbrl.options.loggers import DEFAULT_LOGGER, NO_LOGGER, LoggerNames, require_loggers
from adaptive_mbrl.options.seeds import parse_seeds

_MAX_SETTINGS_IN_NAME = 150
SAVE_EVERY = 300.0
"""Seconds between two saves within a round."""


@dataclass(frozen=True)
class TrainOptions:
    """Meta-train a dynamics model; an interrupted run continues where it stopped.

    With --data it trains from recorded episodes alone, and needs no simulator. It then also trains the multi-task model on the
    same episodes, compares the two on what is held out, and writes the comparison into the checkpoint's README.md.

    Example: adaptive-mbrl train --config cartpole

    Attributes:
        config: training configuration: a YAML file, or the name of one in configs/train. With --data it may be left out.
        data: folder of recorded episodes to train on, as `data import`, `import-bag` and `collect` write them.
        set: settings that replace those of the configuration, as KEY=VALUE with dots between the names of a nested key, for
            example data.oracle_episodes=0 seed=1. The run's config.yaml records them.
        compare: with --data, train the multi-task model, too, and compare the two; --no-compare leaves that out.
        run: folder of the run; runs/train/NAME if not given. The name is that of the configuration, or of its folder for a file
            train.yaml, and includes the settings of --set.
        collectors: number of processes that collect episodes while the training fits; with 0 it does one after the other. A run
            may go on with another number.
        engine: where collectors run: local processes, or actors of Ray, which needs the extra packages of 'adaptive-mbrl[ray]'.
            The environment variable RAY_ADDRESS names a running cluster; without it Ray starts on this machine.
        resume: only continue an existing run, never start a new one.
        seeds: training seeds, such as 0..4 or 0,3,7: one training for each, in RUN/seed_N with its output in RUN/seed_N.log, and
            a table of the validation figures over all of them. Finished ones are skipped, and half-done ones go on.
        jobs: number of seeds that are trained at once, each with one thread; with 1, the default, a training has all of them.
        logger: where the curves are shown: tensorboard, wandb (Weights & Biases), trackio, several of them, or none. A run may go
            on with others than it began with.
        report: write the page report.html into the folder of the run after each round; --no-report leaves that out.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch and of the simulator; OMP_NUM_THREADS if not given, else all usable cores.
        save_every: seconds between two saves within a round, so that no more is lost when the training is killed; 0 saves after
            each update.
    """

    config: OptionalName = None
    data: OptionalPath = None
    set: Annotated[tuple[str, ...], arg(metavar="KEY=VALUE", help_behavior_hint="")] = ()
    compare: bool = True
    run: OptionalPath = None
    collectors: int = 0
    engine: Literal["local", "ray"] = "local"
    resume: bool = False
    seeds: OptionalName = None
    jobs: int = 1
    logger: LoggerNames = (DEFAULT_LOGGER,)
    report: bool = True
    device: Device = "auto"
    threads: OptionalInt = None
    save_every: float = SAVE_EVERY

    def __post_init__(self) -> None:
        require_threads(self.threads)
        require_at_least("--save-every", self.save_every, 0)
        require_loggers(self.logger)
        require_at_least("--jobs", self.jobs, 1)
        self._check_seeds()
        require_at_least("--collectors", self.collectors, 0)
        if self.engine != "local" and self.collectors == 0:
            raise ConfigError(f"--engine: '{self.engine}' has nothing to run; allowed: with --collectors of at least 1")
        if self.data is not None and self.collectors > 0:
            raise ConfigError("--collectors: a training on --data collects nothing; allowed: one of the two")
        if self.config is None and self.data is None:
            raise ConfigError("train: got neither of --config and --data; give one, or both")
        for setting in self.set if self.data is not None else ():
            if setting.partition("=")[0] in ("scenarios", "data.episodes_from"):
                raise ConfigError(f"--set {setting}: --data says what is trained on; allowed: one of the two")

    def _check_seeds(self) -> None:
        if self.seeds is None:
            if self.jobs > 1:
                raise ConfigError(f"--jobs: got {self.jobs} without --seeds; allowed: 1, or several seeds, such as --seeds 0..4")
            return
        parse_seeds(self.seeds)
        for setting in self.set:
            if setting.partition("=")[0] == "seed":
                raise ConfigError(f"--set {setting}: --seeds says which seeds are trained; allowed: one of the two")

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings of --set, behind those that --data stands for."""
        if self.data is None:
            return self.set
        # JSON, because a path may have characters that mean something in YAML
        return (f"data.episodes_from={json.dumps(str(self.data))}", "data.iterations=0", *self.set)

    @property
    def loggers(self) -> tuple[str, ...]:
        """The loggers of --logger, without the word for none."""
        return tuple(name for name in self.logger if name != NO_LOGGER)

    @property
    def source(self) -> str:
        """What the configuration is called in messages."""
        return "--data" if self.config is None else self.config

    @property
    def run_folder(self) -> Path:
        """The folder of the run; by default its name says what is trained."""
        if self.run is not None:
            return self.run
        settings = re.sub(r"[^\w.=+-]+", "_", "".join(f"+{setting}" for setting in self.set))
        if len(settings) > _MAX_SETTINGS_IN_NAME:
            raise ConfigError("--set: too many settings for the name of a folder; give one with --run")
        name = (self.data or Path()).resolve().name
        if self.config is not None:
            path = Path(self.config)
            # `init` writes a robot's training as my_robot/train.yaml, whose folder says more than its name
            name = path.resolve().parent.name if path.name == "train.yaml" else path.stem
        return Path("runs/train") / (name + settings)

    @property
    def needs_simulator(self) -> bool:
        """Whether the configuration names scenarios; a shipped one does, and so does one whose file has to be looked for."""
        if self.config is None:
            return False
        path = Path(self.config)
        return not path.is_file() or with_settings(read_mapping(path), self.set).get("scenarios") is not None


@dataclass(frozen=True)
class RunsOptions:
    """List the trainings in a folder: their state, how far they are, and what they reach.

    Example: adaptive-mbrl runs runs/train

    Attributes:
        folder: folder of runs, or of folders of runs.
    """

    folder: Positional[Path] = Path("runs")


@dataclass(frozen=True)
class ReportOptions:
    """Write the page report.html of runs, as a training does after each round; for runs that have none, or an old one.

    Example: adaptive-mbrl report runs/train/cartpole

    Attributes:
        runs: run folders.
        out: the file, for a single run; report.html in the folder of the run if not given.
        video: draw the worst validation episode; --no-video leaves that out.
    """

    runs: Positional[tuple[Path, ...]]
    out: OptionalFile = None
    video: bool = True

    def __post_init__(self) -> None:
        require_ending("--out", self.out, ".html")
        if not self.runs:
            raise ConfigError("report: got no run; give one or more run folders")
        if self.out is not None and len(self.runs) > 1:
            raise ConfigError(f"--out: a single file for {len(self.runs)} runs; allowed: one run, or no --out")

    @property
    def needs_simulator(self) -> bool:
        """Whether some run draws its scenarios from a split, so that there is something to film."""
        configs = [run / "config.yaml" for run in self.runs]
        return self.video and any(read_mapping(path).get("scenarios") is not None for path in configs if path.is_file())


@dataclass(frozen=True)
class CompareOptions:
    """Put runs side by side: what differs in their configurations, what they reach, and how sure the differences are.

    Example: adaptive-mbrl compare runs/train/cartpole runs/train/cartpole_multitask --html compare.html

    Attributes:
        runs: run folders, folders of `train --seeds`, or reports of `evaluate --json`, whose arms are put side by side.
        html: also write a page with overlaid curves.
        json: also write all figures.
    """

    runs: Positional[tuple[Path, ...]]
    html: OptionalFile = None
    json: OptionalFile = None

    def __post_init__(self) -> None:
        require_ending("--html", self.html, ".html")
        if not self.runs:
            raise ConfigError("compare: got no run; give two or more run folders, or a report of 'evaluate --json'")
        require_ending("--json", self.json, ".json")


@dataclass(frozen=True)
class TrainBaselineOptions:
    """Train a baseline (PPO, SAC, recurrent PPO) under changes drawn at random; an interrupted run continues where it stopped.

    Needs the extra packages of 'adaptive-mbrl[baselines]'.

    Example: adaptive-mbrl train-baseline --config cartpole_ppo

    Attributes:
        config: training configuration: a YAML file, or the name of one in configs/baselines.
        run: folder of the run; runs/baselines/NAME if not given.
        resume: only continue an existing run, never start a new one.
        device: where the networks run; small networks are the fastest on the cpu.
        threads: number of threads of torch and of the simulator; OMP_NUM_THREADS if not given, else all usable cores.
    """

    config: str
    run: OptionalPath = None
    resume: bool = False
    device: Device = "cpu"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_threads(self.threads)


@dataclass(frozen=True)
class FineTuneOptions:
    """Train a checkpoint further on recorded episodes of one robot; needs no simulator.

    Example: adaptive-mbrl fine-tune cartpole --episodes runs/collect --out runs/cartpole_tuned

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one.
        episodes: folder of the episodes that `data import`, `import-bag` or `collect` wrote.
        out: folder of the new checkpoint.
        updates: number of outer steps.
        learning_rate: learning rate of the outer steps.
        query: number of steps ahead that the model is trained to predict.
        held_out: share of each episode, at its end, that is not trained on but kept for the comparison. If some
            episodes are marked as held out, these are kept instead.
        seed: seed of the order of the training windows.
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
        require_at_least("--updates", self.updates, 1)
        require_at_least("--query", self.query, 1)
        require_seed("--seed", self.seed)
        if not self.learning_rate > 0:
            raise ConfigError(f"--learning-rate: {self.learning_rate} is out of range; allowed: above 0")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"--held-out: {self.held_out} is out of range; allowed: above 0 and below 1")
