"""What a sweep searches: settings of the training configuration with their ranges, and the figure that is to become good."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adaptive_mbrl.config import bounded, did_you_mean, from_mapping, load_yaml, with_settings
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.schema import Record, describe
from adaptive_mbrl.schema.shapes import Either, Table
from adaptive_mbrl.training.config import TrainConfig

if TYPE_CHECKING:
    from optuna.trial import Trial

RETURN = "collect/return"


@dataclass(frozen=True)
class PruningConfig:
    """When a trial is given up: its figure after a round is worse than the median of the other trials after the same round.

    Attributes:
        startup_trials: number of complete trials before any trial is given up.
        warmup_rounds: number of rounds that every trial may take.
    """

    startup_trials: int = bounded(5, low=0)
    warmup_rounds: int = bounded(1, low=0)


@dataclass(frozen=True)
class SweepConfig:
    """The file of a sweep.

    Attributes:
        objective: the figure of the last round that is to become good, such as ``validation/adapted_error_10_steps``.
        space: for each key of the training configuration, with dots between the names of a nested one, what it may be.
        direction: whether the figure is to become small or large.
        pruning: when a trial is given up between two rounds; null trains all of them to their end.
    """

    objective: str
    space: dict[str, Any]
    direction: Literal["minimise", "maximise"] = "minimise"
    pruning: PruningConfig | None = PruningConfig()


@dataclass(frozen=True)
class Range:
    """A setting that is a number.

    Attributes:
        low: the least value.
        high: the largest value.
        log: whether all orders of magnitude are equally likely.
        integer: whether it is a whole number.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ConfigError(f"low {self.low:g} has no logarithm; allowed with log: above 0")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ConfigError(f"low {self.low:g} and high {self.high:g}: allowed with integer: whole numbers")

    def suggest(self, trial: Trial, key: str) -> Any:
        """The value of a trial."""
        if self.integer:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def extremes(self) -> Sequence[Any]:
        """Values that the training must take."""
        return [int(x) if self.integer else x for x in (self.low, self.high)]


@dataclass(frozen=True)
class Choices:
    """A setting that is one of several values, whatever they are.

    Attributes:
        choices: the values.
    """

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ConfigError("choices: there is none; allowed: one or more values")

    def suggest(self, trial: Trial, key: str) -> Any:
        """The value of a trial; Optuna knows it as JSON, because it may be a list or a mapping."""
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in self.choices]))

    def extremes(self) -> Sequence[Any]:
        """Values that the training must take."""
        return self.choices


Setting = Range | Choices


def record() -> Record:
    """What the file of a sweep may hold."""
    settings = Table(Either((describe(Range), describe(Choices))))
    return describe(SweepConfig, {(SweepConfig, "space"): settings}, name="search space of a sweep")


def load_space(path: Path, content: Mapping[str, Any]) -> tuple[SweepConfig, dict[str, Setting]]:
    """Read the file of a sweep, and try each setting at its ends in the configuration.

    Args:
        path: the YAML file.
        content: the training configuration that the trials change, as plain values.

    Raises:
        ConfigError: the file is wrong, or the training has no such key, value or figure.
    """
    config, settings = read_space(path)
    _require_figure(config.objective, from_mapping(TrainConfig, content, source=str(path)), str(path))
    for key, setting in settings.items():
        for value in setting.extremes():
            where = f"{path}: key 'space.{key}' at {json.dumps(value)}"
            changed = from_mapping(TrainConfig, with_settings(content, [assignment(key, value)]), source=where)
            _require_figure(config.objective, changed, where)
    return config, settings


def read_space(path: Path) -> tuple[SweepConfig, dict[str, Setting]]:
    """Read the file of a sweep alone, without the configuration that it is for.

    Raises:
        ConfigError: the file is wrong, or a key begins with a name that no training has.
    """
    config = load_yaml(path, SweepConfig)
    if not config.space:
        raise ConfigError(f"{path}: key 'space': is empty; allowed: keys of the training configuration with their ranges")
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for key in config.space:
        first = key.partition(".")[0]
        if first not in known:
            hint = did_you_mean(first, known)
            raise ConfigError(f"{path}: key 'space.{key}': a training has no '{first}'{hint}; allowed: {', '.join(known)}")
    return config, {key: _setting(value, path, f"space.{key}") for key, value in config.space.items()}


def assignment(key: str, value: Any) -> str:
    """A setting as `--set` takes it."""
    return f"{key}={json.dumps(value)}"


def figures_of(config: TrainConfig) -> Iterator[str]:
    """The figures that the rounds of a training have and that tell how good it is."""
    for model in ("adapted", "prior"):
        yield f"validation/{model}_loss"
        for step in sorted({s for s in (1, 5, 10, config.outer.query) if s <= config.outer.query}):
            yield f"validation/{model}_error_{step}_steps"
    if config.data.episodes_from is None and config.data.iterations > 0:
        yield RETURN


def _setting(value: Any, path: Path, key: str) -> Setting:
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{path}: key '{key}': got {value!r}; allowed: {{low: 1, high: 9}} with log or integer, or {{choices: [...]}}"
        )
    if "choices" in value:
        return from_mapping(Choices, value, source=str(path), key=key)
    return from_mapping(Range, value, source=str(path), key=key)


def _require_figure(name: str, config: TrainConfig, where: str) -> None:
    known = list(figures_of(config))
    if name not in known:
        raise ConfigError(f"{where}: key 'objective': no figure '{name}'{did_you_mean(name, known)}; allowed: {', '.join(known)}")
