"""Loads the YAML files of the simulation as the commands do, with all that they refer to, to see whether they are right."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.config import from_mapping, read_mapping
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import make_planner
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.training.config import TrainConfig, config_for_recordings
from sim.baselines.config import load_baseline_config
from sim.benchmark.suite import load_suite
from sim.robot.loading import load_task
from sim.scenarios.distribution import PARTS, SplitFile
from sim.scenarios.loading import load_scenario, load_training_part, parts_of
from sim.training.config import load_train_config


def check_robot(path: Path) -> None:
    """A robot, with its MJCF or its environment."""
    load_task(path)


def check_scenario(path: Path) -> None:
    """A single scenario, with its robot."""
    load_scenario(path)


def check_split(path: Path) -> None:
    """All parts of a split, with their robot."""
    from_mapping(SplitFile, read_mapping(path), source=str(path))
    parts = parts_of(path)
    if not parts:
        raise ConfigError(f"{path}: this split has no part; allowed: one or more of {', '.join(PARTS)}")
    for part in parts:
        load_scenario(f"{path}:{part}")


def check_train(path: Path) -> None:
    """A training, with its split and robot or its episodes, and whether its rules and its planner can be made for that robot."""
    content = read_mapping(path)
    data = content.get("data")
    if "scenarios" not in content and not (isinstance(data, dict) and "episodes_from" in data):
        # the file is for `train --data`, which names the episodes
        config_for_recordings(path, ("data.episodes_from=.", "data.iterations=0"))
        return
    config = load_train_config(path)
    if config.scenarios is not None:
        _try(config, load_task(load_training_part(config.scenarios).robot).spec, path)
    elif config.data.episodes_from is not None:
        _try(config, EpisodeStore.check(config.data.episodes_from), path)


def _try(config: TrainConfig, spec: RobotSpec, path: Path) -> None:
    try:
        make_adapter(DynamicsModel(spec, config.model, 0), config.adaptation, config.window)
        make_planner(spec, config.planner)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def check_baseline(path: Path) -> None:
    """The training of a baseline, with its split and robot."""
    load_training_part(load_baseline_config(path).scenarios)


def check_suite(path: Path) -> None:
    """A suite, with its scenarios and trainings."""
    load_suite(path)
