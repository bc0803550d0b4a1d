"""Distributions over scenarios: the parts of a split.

train        what episodes of a training are drawn from
validation   for choosing settings: changes that neither `train` nor a test part has
test         for results: combinations and ranges that training never saw
test_kinds   for results: kinds of change that training never saw
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.config import MAX_SEED, bounded, from_mapping
from adaptive_mbrl.errors import ConfigError
from sim.paths import config_name
from sim.robot.elements import Elements
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.draws import CornerDraw, Draw, EvenDraw, RandomDraw, evaluate
from sim.scenarios.scenario import Scenario, ScheduledChange, parse_change, robot_reference

PARTS = ("train", "validation", "test", "test_kinds")
_MAX_CORNERS = 4096
_MAX_TIMES = 1000


@dataclass(frozen=True)
class ChangeDistribution:
    """Changes in the middle of an episode; a later one replaces an earlier one.

    Attributes:
        at: the control step of the change: a number, ``{uniform: [first, last]}``, or ``{fraction: [first, last]}`` of the
            episode's steps.
        alternatives: the changes that it may be, each with an optional `weight`; their values may be drawn, as
            `sim.scenarios.draws` says.
        probability: how probable it is that an episode changes at all.
        times: number of changes of an episode that changes: a number, or ``{uniform: [fewest, most]}``. Each has a step and an
            alternative of its own; of two at the same step the later drawn one counts.
    """

    at: int | Mapping[str, tuple[float, float]]
    alternatives: tuple[Mapping[str, Any], ...]
    probability: float = bounded(1.0, low=0.0, high=1.0)
    times: int | Mapping[str, tuple[int, int]] = 1

    def __post_init__(self) -> None:
        if not self.alternatives:
            raise ConfigError("alternatives: expected at least one")
        self._check_times()
        if not isinstance(self.at, int):
            form = next(iter(self.at), "nothing")
            if len(self.at) != 1 or form not in ("uniform", "fraction"):
                raise ConfigError(f"at: expected a step, {{uniform: [first, last]}} or {{fraction: [first, last]}}; got {form}")
            low, high = self.at[form]
            last = 1 if form == "fraction" else "the episode's last step"
            if not 0 <= low <= high or (form == "fraction" and high > 1):
                raise ConfigError(f"at.{form}: [{low:g}, {high:g}] is out of range; allowed: 0 <= first <= last <= {last}")

    def _check_times(self) -> None:
        times = self.times
        if isinstance(times, Mapping) and set(times) != {"uniform"}:
            raise ConfigError(f"times: expected a number or {{uniform: [fewest, most]}}; got {next(iter(times), 'nothing')}")
        fewest, most = times["uniform"] if isinstance(times, Mapping) else (times, times)
        if not 1 <= fewest <= most <= _MAX_TIMES:
            raise ConfigError(f"times: {fewest} to {most} is out of range; allowed: 1 <= fewest <= most <= {_MAX_TIMES}")


@dataclass(frozen=True)
class Part:
    """One part of a split.

    Attributes:
        initial: the changes that may be in force from the start, written like `ChangeDistribution.alternatives`; none by default.
        change: what may happen later.
    """

    initial: tuple[Mapping[str, Any], ...] = ({},)
    change: ChangeDistribution | None = None

    def __post_init__(self) -> None:
        if not self.initial:
            raise ConfigError("initial: expected at least one; {} is the nominal robot")


@dataclass(frozen=True)
class _SplitFile:
    robot: str
    steps: int = bounded(low=1, high=1_000_000)
    seed: int = bounded(0, low=0, high=MAX_SEED)
    train: Part | None = None
    validation: Part | None = None
    test: Part | None = None
    test_kinds: Part | None = None


@dataclass(frozen=True)
class ScenarioDistribution:
    """Draws scenarios of one robot.

    Args:
        robot: name of a shipped robot, or path of a robot's YAML.
        steps: number of control steps of an episode, unless `sample` is given another one.
        seed: seed of the first scenario that `episodes` gives.
        part: what is drawn.
        name: name of the distribution in reports.
        source: the file that it came from, for error messages.
        key: its key in that file, for error messages.
    """

    robot: str
    steps: int
    seed: int
    part: Part
    name: str = "distribution"
    source: str = "distribution"
    key: str = ""
    _elements: Elements = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Try every combination of options, with all ranges at their lower and at their upper ends."""
        object.__setattr__(self, "_elements", load_robot(self.robot).elements)
        parts = [(self._path("initial"), self.part.initial)]
        if self.part.change is not None:
            parts.append((self._path("change.alternatives"), self.part.change.alternatives))
            self._time(CornerDraw(0, upper=True), self.steps)
        for key, alternatives in parts:
            for i, entry in enumerate(alternatives):
                self._weight(entry, f"{key}[{i}]")
                for _ in self._corners(entry, f"{key}[{i}]"):
                    pass

    def sample(self, rng: np.random.Generator, steps: int | None = None) -> Scenario:
        """A random scenario, its seed included.

        Args:
            rng: the source of all randomness.
            steps: number of control steps of the episode; that of the distribution by default.
        """
        return self._scenario(RandomDraw(rng), int(rng.integers(2**31)), steps or self.steps)

    def episode(self, index: int, seed: int | None = None) -> Scenario:
        """The `index`-th of the scenarios that `episodes` gives, counted from 0."""
        first = self.seed if seed is None else seed
        return self._scenario(EvenDraw(index, first), first + index, self.steps)

    def episodes(self, num_episodes: int, seed: int | None = None) -> list[Scenario]:
        """Scenarios with all alternatives equally often, the same ones at every call; the i-th has the seed `seed` + i."""
        return [self.episode(i, seed) for i in range(num_episodes)]

    def corners(self) -> Iterator[Change]:
        """The changes at the ends of what is drawn: every combination of options, all ranges at their lower or upper ends."""
        later = self.part.change.alternatives if self.part.change is not None else ()
        for entry in (*self.part.initial, *later):
            yield from self._corners(entry, self._path("corners"))

    @property
    def num_alternatives(self) -> int:
        """The number of kinds of change that an episode may have; `episodes` has each of them once in so many episodes."""
        return len(self.part.initial if self.part.change is None else self.part.change.alternatives)

    def _scenario(self, draw: Draw, seed: int, steps: int) -> Scenario:
        at_step = {0: self._change(self.part.initial, draw, self._path("initial"))}
        change = self.part.change
        if change is not None and draw.uniform(0.0, 1.0) < change.probability:
            for number in range(self._times(draw)):
                own = draw.of_change(number)
                # a change at step 0 replaces what the episode would have started with
                step = self._time(own, steps)
                at_step[step] = self._change(change.alternatives, own, self._path("change.alternatives"))
        changes, in_force = [], Change()
        for step, changed in sorted(at_step.items(), key=lambda item: item[0]):
            if changed != in_force:
                changes.append(ScheduledChange(step, changed))
            in_force = changed
        return Scenario(self.robot, steps, seed, tuple(changes), name=self.name)

    def _times(self, draw: Draw) -> int:
        """Number of changes of an episode that changes."""
        assert self.part.change is not None
        times = self.part.change.times
        if not isinstance(times, Mapping):
            return times
        fewest, most = times["uniform"]
        return int(draw.uniform(fewest, most + 1 - 1e-9))

    def _path(self, key: str) -> str:
        return f"{self.key}.{key}" if self.key else key

    def _time(self, draw: Draw, steps: int) -> int:
        assert self.part.change is not None
        at = self.part.change.at
        if isinstance(at, int):
            step = at
        elif "uniform" in at:
            step = int(draw.uniform(at["uniform"][0], at["uniform"][1] + 1 - 1e-9))
        else:
            step = min(int(draw.uniform(*at["fraction"]) * steps), steps - 1)
        if not 0 <= step < steps:
            raise ConfigError(
                f"{self.source}: key '{self._path('change.at')}': {step} is out of range; allowed: 0 to {steps - 1}"
            )
        return step

    def _change(self, alternatives: tuple[Mapping[str, Any], ...], draw: Draw, key: str) -> Change:
        picked = draw.pick([self._weight(a, key) for a in alternatives])
        return self._evaluate(alternatives[picked], draw, f"{key}[{picked}]")

    def _evaluate(self, entry: Mapping[str, Any], draw: Draw, key: str) -> Change:
        values = {name: value for name, value in entry.items() if name != "weight"}
        try:
            drawn = evaluate(values, draw, key)
        except ConfigError as error:
            raise ConfigError(f"{self.source}: {error}") from error
        return parse_change(drawn, self._elements, self.source, key)

    def _weight(self, entry: Mapping[str, Any], key: str) -> float:
        weight = entry.get("weight", 1.0)
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not 0 < weight <= sys.float_info.max:
            raise ConfigError(f"{self.source}: key '{key}.weight': got {weight!r}; allowed: a positive, finite number")
        return float(weight)

    def _corners(self, entry: Mapping[str, Any], key: str) -> Iterator[Change]:
        for index in range(_MAX_CORNERS):
            corner = CornerDraw(index, upper=False)
            yield self._evaluate(entry, corner, key)
            yield self._evaluate(entry, CornerDraw(index, upper=True), key)
            if corner.remaining > 0:
                return


def load_split(content: Mapping[str, Any], path: Path, part: str) -> ScenarioDistribution:
    """One part of the split in the file `path`."""
    file = from_mapping(_SplitFile, content, source=str(path))
    known = [p for p in PARTS if getattr(file, p) is not None]
    if part not in known:
        got = f"got ':{part}'" if part else "name one"
        example = f"{config_name('scenarios', path)}:{'test' if 'test' in known else known[-1]}"
        raise ConfigError(f"{path}: this split has the parts {', '.join(known)}; {got}, for example {example}")
    return ScenarioDistribution(
        robot_reference(file.robot, path),
        file.steps,
        file.seed,
        getattr(file, part),
        name=f"{config_name('scenarios', path)}:{part}",
        source=str(path),
        key=part,
    )
