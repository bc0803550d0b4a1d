"""Values of a configuration that are drawn: what can be written, and three ways to draw it.

A value is one of these:

    a number
    {uniform: [low, high]}                  a number from a range
    {choice: [value, ...]}                  one of several values
    {one_of: [name, ...], value: value}     a value for one random name
    {each: [name, ...], value: value}       a value for every name, each with a draw of its own
    {same: [name, ...], value: value}       the same value for every name; names under `inverse` get 1 / value
    a list or a mapping of values
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from adaptive_mbrl.errors import ConfigError

# the keys that must come with each form, and those that may
FORMS = {"uniform": (), "choice": (), "one_of": ("value",), "each": ("value",), "same": ("value",)}
_OPTIONAL = {"same": ("inverse",)}


class Draw(Protocol):
    """A way to choose the values that are drawn."""

    def pick(self, weights: Sequence[float]) -> int:
        """The index of one of `len(weights)` options."""

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high]."""

    def of_change(self, number: int) -> Draw:
        """The way to choose an episode's change `number`, counted from 0."""


class RandomDraw:
    """Chooses everything at random, for training."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def pick(self, weights: Sequence[float]) -> int:
        return int(self._rng.choice(len(weights), p=np.array(weights) / sum(weights)))

    def uniform(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def of_change(self, number: int) -> RandomDraw:
        return self


class EvenDraw:
    """Chooses for the `index`-th scenario of a series in which every option comes up equally often, for evaluation.

    Each choice goes through its options in shuffled rounds of its own, so that n options are all seen in n draws, while two
    choices do not stay in step with each other. Weights are ignored.

    Args:
        index: the number of the scenario in its series.
        seed: seed of the series.
        change: the number of the episode's change that is drawn. Each but the first one has a stream of its own, because how
            often the earlier ones choose differs from episode to episode.
    """

    def __init__(self, index: int, seed: int, change: int = 0) -> None:
        self._index, self._seed, self._position = index, seed, 0
        self._stream = [change] if change else []
        self._rng = np.random.default_rng([seed, 0, index, *self._stream])

    def pick(self, weights: Sequence[float]) -> int:
        self._position += 1
        if len(weights) == 1:
            return 0
        stream = [self._seed, self._position, self._index // len(weights), *self._stream]
        shuffled = np.random.default_rng(stream).permutation(len(weights))
        return int(shuffled[self._index % len(weights)])

    def uniform(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def of_change(self, number: int) -> EvenDraw:
        return EvenDraw(self._index, self._seed, number) if number else self


class CornerDraw:
    """Chooses the `index`-th combination of all options, with every range at one end, to check a configuration."""

    def __init__(self, index: int, upper: bool) -> None:
        self.remaining, self._upper = index, upper

    def pick(self, weights: Sequence[float]) -> int:
        self.remaining, picked = divmod(self.remaining, len(weights))
        return picked

    def uniform(self, low: float, high: float) -> float:
        return high if self._upper else low

    def of_change(self, number: int) -> CornerDraw:
        return self


def evaluate(value: Any, draw: Draw, key: str) -> Any:
    """Replace what is to be drawn in `value` by what `draw` gives; `key` is for error messages."""
    if isinstance(value, list | tuple):
        return [evaluate(v, draw, f"{key}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    form = next((f for f in FORMS if f in value), None)
    if form is None:
        return {str(name): evaluate(v, draw, f"{key}.{name}") for name, v in value.items()}
    needed = {form, *FORMS[form]}
    if not needed <= set(value) <= needed | set(_OPTIONAL.get(form, ())):
        raise ConfigError(f"key '{key}': expected the keys {', '.join(sorted(needed))}, got {', '.join(map(str, value))}")
    return _evaluate_form(form, value, draw, key)


def _evaluate_form(form: str, value: Mapping[str, Any], draw: Draw, key: str) -> Any:
    options = value[form]
    if not isinstance(options, list | tuple) or not options:
        raise ConfigError(f"key '{key}.{form}': expected a list, got {options!r}")
    if form == "uniform":
        return draw.uniform(*_range(options, key))
    if form == "choice":
        picked = draw.pick([1.0] * len(options))
        return evaluate(options[picked], draw, f"{key}.choice[{picked}]")
    if form == "one_of":
        return {str(options[draw.pick([1.0] * len(options))]): evaluate(value["value"], draw, f"{key}.value")}
    if form == "each":
        return {str(name): evaluate(value["value"], draw, f"{key}.value") for name in options}
    number = evaluate(value["value"], draw, f"{key}.value")
    inverse = value.get("inverse") or ()
    if inverse and (not isinstance(number, int | float) or number == 0):
        raise ConfigError(f"key '{key}.value': 'inverse' needs a number other than 0, got {number!r}")
    return {str(name): number for name in options} | {str(name): 1 / number for name in inverse}


def _range(limits: Sequence[Any], key: str) -> tuple[float, float]:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in limits)
    if len(limits) != 2 or not numbers or not limits[0] <= limits[1]:
        raise ConfigError(f"key '{key}.uniform': expected [low, high] with low <= high, got {list(limits)}")
    return float(limits[0]), float(limits[1])
