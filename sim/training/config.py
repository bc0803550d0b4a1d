"""The configuration of a meta-training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adaptive_mbrl.adaptation import Rules
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.config import MAX_SEED, bounded, from_mapping, read_mapping, with_settings
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.planning import GradientPlannerConfig, ICEMConfig, PlannerConfig
from sim.episodes.data_config import DataConfig
from sim.paths import find_config


@dataclass(frozen=True)
class TrainConfig:
    """A meta-training run.

    Attributes:
        scenarios: the split and its part that episodes are drawn from, for example ``half_cheetah/cadm_cripple:train``.
        seed: seed of all randomness.
        shaping: whether planners also maximise the shaping terms of the robot's file, in the training and with its checkpoint.
        model: settings of the dynamics model.
        window: K, the number of recent transitions that adaptation sees.
        adaptation: the adaptation rule, or a list of rules that follow one another.
        outer: settings of the outer loop.
        planner: the controller's planner, in training and in the checkpoint.
        data: what is collected, or in `data.episodes_from` the folder of episodes that a run, `collect` or `import-bag` wrote.
        updates_initial: number of outer steps of round 0.
        updates_per_iteration: number of outer steps after each later collection.
        updates_final: number of outer steps of the last round, which collects nothing; with 0 there is no such round.
    """

    scenarios: str
    seed: int = bounded(0, low=0, high=MAX_SEED)
    shaping: bool = True
    model: ModelConfig = ModelConfig()
    window: int = bounded(16, low=1, high=1000)
    adaptation: Rules = (GradientConfig(),)
    outer: OuterConfig = OuterConfig()
    planner: PlannerConfig = ICEMConfig()
    data: DataConfig = field(default_factory=DataConfig)
    updates_initial: int = bounded(2000, low=1)
    updates_per_iteration: int = bounded(1000, low=1)
    updates_final: int = bounded(4000, low=0)

    def __post_init__(self) -> None:
        data = self.data
        if data.episodes_from is None and data.random_episodes + data.oracle_episodes == 0:
            raise ConfigError("key 'data': random_episodes and oracle_episodes are both 0; round 0 needs episodes")
        if data.episodes_from is None and data.oracle_episodes and isinstance(data.oracle_planner, GradientPlannerConfig):
            raise ConfigError(
                "key 'data.oracle_planner': 'gradient' needs a derivative, which the oracle's physics does not have; allowed: "
                "icem, cem, mppi, random_shooting, or oracle_episodes: 0"
            )
        if self.outer.query > data.steps:
            raise ConfigError(
                f"key 'outer.query': {self.outer.query} exceeds an episode; allowed: at most data.steps, {data.steps}"
            )
        if data.branches_per_state and self.outer.query > self.planner.horizon:
            raise ConfigError(
                f"key 'outer.query': {self.outer.query} exceeds planner.horizon {self.planner.horizon}, the length of a branch"
            )


def load_train_config(name_or_path: str | Path, settings: Sequence[str] = ()) -> TrainConfig:
    """Read a shipped config by name, or any by path; a split beside the file is named relative to it.

    `data.episodes_from` is relative to the working directory, like `--run`.

    Args:
        name_or_path: the config.
        settings: texts ``KEY=VALUE`` that replace values of the file.
    """
    path = find_config("train", name_or_path)
    source = str(path) if not settings else f"{path} with --set {' '.join(settings)}"
    config = from_mapping(TrainConfig, with_settings(read_mapping(path), settings), source=source)
    file, _, _ = config.scenarios.rpartition(":")
    return replace(config, scenarios=str(path.parent / config.scenarios)) if (path.parent / file).is_file() else config
