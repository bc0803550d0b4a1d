"""The kinds of YAML files that users write, each with the record that says what it may hold.

Like `cli.py`, this module names `sim` and `robot_bridge` as text only, and imports what a kind needs when somebody asks for it.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.schema.describe import describe
from adaptive_mbrl.schema.json_schema import json_schema
from adaptive_mbrl.schema.shapes import Record


@dataclass(frozen=True)
class FileKind:
    """A kind of YAML file.

    Attributes:
        name: what users call it.
        title: what it is, in a few words.
        read_by: the commands and flags that take such a file.
        record: the dataclass that it is loaded into, or a function that gives its record, as ``module:name``.
        loader: a function that loads a file of this kind with all that it refers to, as ``module:name``; None where loading the
            dataclass is all that can be done without further files.
        folder: the folder in `configs` where files of this kind are; None where none is shipped.
    """

    name: str
    title: str
    read_by: str
    record: str
    loader: str | None = None
    folder: str | None = None

    def describe(self) -> Record:
        """What a file of this kind may hold; this imports the packages that load it."""
        return _described(self.record, self.title)

    def check(self, path: Path) -> None:
        """Load a file of this kind as the commands do, with all that it refers to.

        Raises:
            AdaptiveMBRLError: something is wrong with it.
        """
        if self.loader is None:
            load_yaml(path, _imported(self.record))
        else:
            _imported(self.loader)(path)

    def json_schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return json_schema(self.describe(), f"adaptive-mbrl: {self.title}")


def _imported(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


@functools.cache
def _described(place: str, title: str) -> Record:
    found = _imported(place)
    record: Record = describe(found, name=title) if isinstance(found, type) else found()
    return record


FILE_KINDS = (
    FileKind(
        "robot",
        "robot",
        "collect --robot, info --robot, the key `robot` of a scenario",
        "sim.files:robot",
        "sim.checks:check_robot",
        "robots",
    ),
    FileKind(
        "environment",
        "robot that is an environment",
        "collect --robot, the key `robot` of a scenario",
        "sim.robot.environment_config:EnvironmentConfig",
        "sim.checks:check_robot",
    ),
    FileKind(
        "scenario",
        "scenario",
        "demo, evaluate, collect and simulated-robot --scenario",
        "sim.files:scenario",
        "sim.checks:check_scenario",
        "scenarios",
    ),
    FileKind(
        "split",
        "split of scenarios",
        "evaluate --scenario FILE:PART, the key `scenarios` of a training",
        "sim.files:split",
        "sim.checks:check_split",
        "scenarios",
    ),
    FileKind(
        "train",
        "training",
        "train --config, sweep --config",
        "adaptive_mbrl.training.config:TrainConfig",
        "sim.checks:check_train",
        "train",
    ),
    FileKind(
        "baseline",
        "training of a baseline",
        "train-baseline --config",
        "sim.baselines.config:BaselineConfig",
        "sim.checks:check_baseline",
        "baselines",
    ),
    FileKind(
        "suite",
        "suite of a benchmark",
        "benchmark --suite, train-suite --suite",
        "sim.benchmark.suite:Suite",
        "sim.checks:check_suite",
        "suites",
    ),
    FileKind(
        "bridge",
        "robot behind ROS 2",
        "bridge, preflight, simulated-robot and import-bag --bridge",
        "robot_bridge.files:bridge",
        "robot_bridge.files:check_bridge",
        "bridge",
    ),
    FileKind(
        "imperfections",
        "imperfections of a simulated robot",
        "simulated-robot --imperfections",
        "robot_bridge.simulated.imperfections:Imperfections",
        folder="simulated_robot",
    ),
    FileKind("logs", "logs of a robot", "data import --config", "adaptive_mbrl.logs.config:LogConfig"),
    FileKind(
        "dataset",
        "robot of a dataset",
        "data import-lerobot --spec, data import-minari --spec",
        "adaptive_mbrl.stores.lerobot.channels:DatasetConfig",
    ),
    FileKind(
        "sweep",
        "search space of a sweep",
        "sweep --space",
        "adaptive_mbrl.sweeps.space:record",
        "adaptive_mbrl.sweeps.space:read_space",
    ),
)
"""Every kind of file, in the order of a reference."""
