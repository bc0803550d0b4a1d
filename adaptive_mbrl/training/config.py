"""The configuration of a meta-training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptive_mbrl.adaptation import Rules
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.config import MAX_SEED, bounded, from_mapping, read_mapping, with_settings
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.balancing.gradnorm import GradNormConfig
from adaptive_mbrl.meta.balancing.uncertainty import UncertaintyConfig
from adaptive_mbrl.meta.reset import ResetConfig
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.objective import Term
from adaptive_mbrl.planning import GradientPlannerConfig, ICEMConfig, PlannerConfig
from adaptive_mbrl.planning.learned_reward import LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTerminationConfig
from adaptive_mbrl.planning.value import ValueConfig
from adaptive_mbrl.training.data_config import DataConfig


@dataclass(frozen=True)
class TrainConfig:
    """A meta-training run.

    Attributes:
        scenarios: the split and its part that episodes are drawn from, for example ``half_cheetah/cadm_cripple:train``. Left out,
            the training needs no simulator: the robot is that of the episodes in `data.episodes_from`.
        seed: seed of all randomness.
        shaping: whether planners also maximise the shaping terms of the robot's file, in the training and with its checkpoint.
        objective: reward terms of the checkpoint, for a training without `scenarios`; with them, the robot's file has the terms.
        goal_names: entries of the goal that terms of `objective` aim at.
        model: settings of the dynamics model.
        window: K, the number of recent transitions that adaptation sees.
        adaptation: the adaptation rule, or a list of rules that follow one another.
        outer: settings of the outer loop.
        planner: the controller's planner, in training and in the checkpoint.
        data: what is collected, or in `data.episodes_from` the folder of episodes that a run, `collect`, `import-bag` or
            `data import` wrote.
        value: a terminal value that the planner's score has beside the objective; none by default.
        learned_reward: a reward that is learned from the rewards of the episodes and takes the place of an objective; none by
            default, unless the robot is an environment without an objective.
        learned_termination: what is learned about where episodes end, so that planners know it; none by default, unless the
            robot is an environment that does not say it.
        resets: layers that are drawn again in some rounds; none by default.
        updates_initial: number of outer steps of round 0.
        updates_per_iteration: number of outer steps after each later collection.
        updates_final: number of outer steps of the last round, which collects nothing; with 0 there is no such round.
    """

    scenarios: str | None = None
    seed: int = bounded(0, low=0, high=MAX_SEED)
    shaping: bool = True
    objective: tuple[Term, ...] = ()
    goal_names: tuple[str, ...] = ()
    model: ModelConfig = ModelConfig()
    window: int = bounded(16, low=1, high=1000)
    adaptation: Rules = (GradientConfig(),)
    outer: OuterConfig = OuterConfig()
    planner: PlannerConfig = ICEMConfig()
    data: DataConfig = field(default_factory=DataConfig)
    value: ValueConfig | None = None
    learned_reward: LearnedRewardConfig | None = None
    learned_termination: LearnedTerminationConfig | None = None
    resets: ResetConfig = ResetConfig()
    updates_initial: int = bounded(2000, low=1)
    updates_per_iteration: int = bounded(1000, low=1)
    updates_final: int = bounded(4000, low=0)

    def __post_init__(self) -> None:
        self._check_source()
        beyond = [r for r in self.resets.rounds if r >= self.num_rounds]
        if beyond:
            allowed = f"1 to {self.num_rounds - 1}" if self.num_rounds > 1 else "none, since there is only round 0"
            raise ConfigError(f"key 'resets.rounds': {beyond[0]} is beyond the last round; allowed: {allowed}")
        if self.model.learned_variance and isinstance(self.outer.balancing, GradNormConfig | UncertaintyConfig):
            raise ConfigError(
                f"key 'outer.balancing': '{self.outer.balancing.TAG}' compares losses by their ratios, and with "
                "model.learned_variance they may be negative; allowed: mean, cvar, pcgrad, mgda"
            )
        if self.data.episodes_from is None:
            self._check_collection()

    @property
    def num_rounds(self) -> int:
        """Number of rounds of the whole run: the first one, those that collect with the controller, and the last one."""
        return 1 + self.data.iterations + (self.updates_final > 0)

    def collects(self, round_index: int) -> bool:
        """Whether a round collects episodes."""
        return self.data.episodes_from is None and not self._is_final(round_index)

    def updates_of(self, round_index: int) -> int:
        """Number of outer steps of a round."""
        if round_index == 0:
            return self.updates_initial
        return self.updates_final if self._is_final(round_index) else self.updates_per_iteration

    def _is_final(self, round_index: int) -> bool:
        return self.updates_final > 0 and round_index == self.num_rounds - 1

    def _check_source(self) -> None:
        """Refuse a training that has neither a simulator nor episodes, or two objectives."""
        if self.scenarios is None and self.data.episodes_from is None:
            raise ConfigError(
                "key 'scenarios': missing; allowed: a split's part, such as cartpole/mass_gain:train, or data.episodes_from: "
                "a folder of recorded episodes, which needs no simulator"
            )
        if self.scenarios is not None and (self.objective or self.goal_names):
            raise ConfigError(
                "key 'objective': the robot of 'scenarios' has one in its file; allowed: no 'objective' and no 'goal_names'"
            )
        if self.learned_reward is not None and self.objective:
            raise ConfigError("key 'learned_reward': there is an 'objective', too; allowed: one of them")
        if self.goal_names and not self.objective:
            raise ConfigError("key 'goal_names': there is no 'objective' with a term that could aim at them; give one")

    def _check_collection(self) -> None:
        """Refuse a collection that cannot be made or that the outer loop could not use."""
        data = self.data
        if data.random_episodes + data.oracle_episodes == 0:
            raise ConfigError("key 'data': random_episodes and oracle_episodes are both 0; round 0 needs episodes")
        if data.oracle_episodes and isinstance(data.oracle_planner, GradientPlannerConfig):
            raise ConfigError(
                "key 'data.oracle_planner': 'gradient' needs a derivative, which the oracle's physics does not have; allowed: "
                "icem, cem, mppi, random_shooting, or oracle_episodes: 0"
            )
        if data.exploration_bonus > 0 and self.model.members == 1:
            raise ConfigError(
                "key 'data.exploration_bonus': one network has nobody to disagree with; allowed: 0, or model.members: 2 or more"
            )
        if self.outer.query > data.steps:
            raise ConfigError(
                f"key 'outer.query': {self.outer.query} exceeds an episode; allowed: at most data.steps, {data.steps}"
            )
        if data.branches_per_state and self.outer.query > self.planner.horizon:
            raise ConfigError(
                f"key 'outer.query': {self.outer.query} exceeds planner.horizon {self.planner.horizon}, the length of a branch"
            )


def read_train_config(path: Path, settings: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration.

    Args:
        path: the YAML file.
        settings: texts ``KEY=VALUE`` that replace values of the file.
    """
    source = str(path) if not settings else f"{path} with --set {' '.join(settings)}"
    return from_mapping(TrainConfig, with_settings(read_mapping(path), settings), source=source)


def config_for_recordings(path: Path | None, settings: Sequence[str] = ()) -> TrainConfig:
    """The configuration of `train --data`: what a file leaves out is as in `FROM_RECORDINGS`.

    Args:
        path: the YAML file; None for no file.
        settings: texts ``KEY=VALUE`` that replace values of the file.
    """
    content = with_settings(content_for_recordings(path), settings)
    source = "train --data" if path is None else str(path)
    typed = [s for s in settings if not s.startswith(("data.episodes_from=", "data.iterations="))]
    return from_mapping(TrainConfig, content, source=f"{source} with --set {' '.join(typed)}" if typed else source)


def content_for_recordings(path: Path | None) -> dict[str, Any]:
    """The plain values of `config_for_recordings`, before any setting."""
    content = dict(FROM_RECORDINGS)
    for key, value in ({} if path is None else read_mapping(path)).items():
        inner = content.get(key)
        content[key] = {**inner, **value} if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return content


FROM_RECORDINGS: Mapping[str, Any] = {
    "model": {"hidden": [128, 128, 128], "members": 3, "context_dim": 8},
    "window": 16,
    "adaptation": [{"context": {}}, {"bayes_linear": {}}],
    "outer": {"query": 10, "meta_batch_size": 96, "learning_rate": 3e-3, "final_learning_rate_fraction": 0.03},
    "data": {"iterations": 0},
    "updates_initial": 3000,
    "updates_final": 3000,
}
"""What `train --data` trains where a file does not say otherwise: the composition that predicts best on the shipped robots."""
