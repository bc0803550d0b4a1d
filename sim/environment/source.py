"""Which scenario comes next: drawn at random for training, one after the other for testing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import find_scenario, load_scenario, parts_of
from sim.scenarios.scenario import Scenario

TRAIN = "train"


@dataclass(frozen=True)
class ScenarioSource:
    """Gives one scenario for each episode.

    Attributes:
        course: the scenario, or the part of a split.
        random: whether scenarios are drawn at random. Otherwise they are those of `course.episodes`, in their order.
    """

    course: Scenario | ScenarioDistribution
    random: bool

    def draw(self, rng: np.random.Generator, index: int, seed: int | None) -> Scenario:
        """The scenario of an episode.

        Args:
            rng: the source of randomness for scenarios that are drawn at random.
            index: the number of the episode, counted from 0, for scenarios that come in their order.
            seed: the seed of the first of these scenarios; None for that of the file.
        """
        if self.random:
            assert isinstance(self.course, ScenarioDistribution)
            return self.course.sample(rng)
        return self.course.episode(index, seed)

    def episode_option(self, options: Mapping[str, Any] | None) -> int | None:
        """The number of the episode that the options of a reset ask for; None if they do not.

        Raises:
            ConfigError: the options hold anything else, or a number where scenarios are drawn at random.
        """
        unknown = [key for key in options or {} if key != "episode"]
        if unknown:
            raise ConfigError(f"options of reset: unknown key '{unknown[0]}'; allowed keys: episode")
        index = (options or {}).get("episode")
        if index is None:
            return None
        if self.random:
            raise ConfigError(f"options of reset: 'episode' is for parts with an order; '{self.course.name}' is drawn at random")
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or index < 0:
            raise ConfigError(f"options of reset: 'episode': got {index!r}; allowed: a whole number, at least 0")
        return int(index)


def load_source(scenario: str | Path, part: str | None = None) -> ScenarioSource:
    """Load what an environment draws its scenarios from.

    Args:
        scenario: a file or a shipped name, as `load_scenario` takes it.
        part: the part of a split, unless `scenario` names it after a colon; ``train`` by default.

    Raises:
        ConfigError: there is no such scenario or part, or the two arguments name different parts.
    """
    path, named = find_scenario(scenario)
    if part and named and part != named:
        raise ConfigError(f"scenario '{scenario}': names the part '{named}', but part='{part}' was given, too; give one of them")
    parts = parts_of(path)
    chosen = part or named or (TRAIN if TRAIN in parts else "")
    course = load_scenario(f"{path}:{chosen}" if chosen else path)
    return ScenarioSource(course, random=isinstance(course, ScenarioDistribution) and chosen == TRAIN)
