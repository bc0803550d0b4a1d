"""What can be changed by hand: a slider for every parameter that the robot's scenarios change, and whole changes as presets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptive_mbrl.diagnosis import GAIN
from sim.evaluation.report import describe
from sim.robot.robot import Robot
from sim.scenarios.change import Change
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.parameters import parameter_values, varying_parameters
from sim.viewing.source import Source

REVERSED, STRONG = -1.0, 1.2
"""A motor can always be wired backwards or be stronger than it is, whatever the scenarios do."""
LONGEST_DELAY = 3
MAX_PRESETS = 16
_STEPS = 100  # a slider has about so many positions


@dataclass(frozen=True)
class Range:
    """One parameter and the numbers that it can be set to.

    Attributes:
        name: the parameter, as `sim.scenarios.parameters` names it.
        low: smallest number.
        high: largest number.
        step: distance of two neighbouring numbers.
        nominal: the number of the unchanged robot.
    """

    name: str
    low: float
    high: float
    step: float
    nominal: float

    @property
    def label(self) -> str:
        """The name in words, without what its group says already."""
        key, _, part = self.name.partition(" ")
        if key == GAIN and part:
            return part
        unit = {"external_force": " [N]", "slope_deg": " [°]", "action_delay": " [steps]"}.get(key, "")
        return f"{key.removesuffix('_deg').replace('_', ' ')} {part}".strip() + unit


@dataclass(frozen=True)
class Preset:
    """A whole change that is made at once.

    Attributes:
        label: what it changes.
        change: the change.
        origin: the scenario, or the part of a split, that it is from.
    """

    label: str
    change: Change
    origin: str


def ranges(robot: Robot, known: Iterable[Source]) -> tuple[Range, ...]:
    """The parameters that scenarios of the robot change, and the gain of every motor.

    Args:
        robot: the robot.
        known: its scenarios and parts of splits.
    """
    motors = [f"{GAIN} {name}" for name in robot.elements.actuators]
    if len(motors) == 1:
        # scenarios scale the only motor without naming it, and so does a diagnosis
        motors = [GAIN]
    every_motor = [Change(actuator_gain=gain) for gain in (REVERSED, STRONG)]
    changes = [Change(), *every_motor, *(change for source in known for change in _changes(source))]
    by_part = [name for name in varying_parameters(changes) if not name.startswith(GAIN)]
    # what is also scaled as a whole has a slider for it, beside those of its parts
    whole = {key for change in changes for key, value in change.to_changes().items() if not isinstance(value, dict)} - {GAIN}
    names = motors
    for key in Change.__dataclass_fields__:
        names += [key] * (key in whole) + [name for name in by_part if name != key and name.partition(" ")[0] == key]
    return tuple(_range(name, changes) for name in names)


def presets(sources: Sequence[Source]) -> tuple[Preset, ...]:
    """Changes of scenarios: those of a single scenario, and one of every kind of a split's parts.

    Parts to test with come first. A split's part for training is left out where the split has others.
    """
    splits = [s for s in sources if isinstance(s, ScenarioDistribution)]
    others = [s for s in splits if not s.name.endswith(":train")]
    chosen = [s for s in sources if s not in splits or s in (others or splits)]
    order = {"test": 0, "test_kinds": 1}
    found: list[Preset] = []
    for source in sorted(chosen, key=lambda s: order.get(s.name.rpartition(":")[2], 2)):
        for change in _examples(source):
            if change not in [preset.change for preset in found]:
                found.append(Preset(_words(change), change, source.name))
    return tuple(found[:MAX_PRESETS])


def _examples(source: Source) -> Iterator[Change]:
    scenarios = source.episodes(source.num_alternatives) if isinstance(source, ScenarioDistribution) else [source]
    for scenario in scenarios:
        yield from (_rounded(scheduled.change) for scheduled in scenario.changes if scheduled.change != Change())


def _rounded(change: Change) -> Change:
    """The change with numbers of two decimals, which a button can say."""

    def round_all(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: round_all(entry) for name, entry in value.items()}
        return tuple(map(round_all, value)) if isinstance(value, list | tuple) else round(value, 2)

    return Change(**{key: round_all(value) for key, value in change.to_changes().items()})


def _words(change: Change) -> str:
    every_motor = isinstance(change.actuator_gain, float) and change.actuator_gain != 1
    return describe(change).replace("actuator gain", "all motors" if every_motor else "motor").replace("slope deg", "slope")


def _changes(source: Source) -> Iterator[Change]:
    yield from source.corners() if isinstance(source, ScenarioDistribution) else (c.change for c in source.changes)


def _range(name: str, changes: Sequence[Change]) -> Range:
    numbers = np.array([parameter_values(change, [name])[0] for change in changes])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    nominal = float(parameter_values(Change(), [name])[0])
    if name == "action_delay":
        return Range(name, 0, max(high, LONGEST_DELAY), 1, nominal)
    step = _round_step((high - low) / _STEPS)
    # rounded, because a product such as 24 * 0.05 has digits that nobody wants to read
    low, high = (round(end, 6) for end in (math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step))
    return Range(name, low, high, round(step, 6), nominal)


def _round_step(step: float) -> float:
    """The next larger number of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
