"""The numbers that a dataset's observations and actions are made of, by the names of its features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.stores.lerobot import layout
from adaptive_mbrl.stores.lerobot.reader import Dataset


@dataclass(frozen=True)
class Number:
    """One number of a frame.

    Attributes:
        feature: name of the feature that holds it.
        place: which number of the feature it is.
    """

    feature: str
    place: int

    def values(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The number in each frame, (T,), from the columns of the features."""
        rows = columns[self.feature]
        return rows.reshape(len(rows), -1)[:, self.place].astype(np.float64)


class Names:
    """The numbers of a dataset's observations and actions, by their names.

    Args:
        dataset: the dataset.

    Raises:
        ConfigError: it has no observations or no actions that are arrays of numbers.
    """

    def __init__(self, dataset: Dataset) -> None:
        arrays = [name for name, feature in dataset.features.items() if _width(feature)]
        self.obs = _named(dataset, [name for name in arrays if name.startswith(layout.OBSERVATIONS)])
        self.action = _named(dataset, [name for name in arrays if name == layout.ACTION])
        for what, found in ((layout.STATE, self.obs), (layout.ACTION, self.action)):
            if not found:
                there = ", ".join(dataset.features)
                raise ConfigError(f"{dataset.root}: has no feature '{what}' that is an array of numbers; features: {there}")
        used = {number.feature for number in (*self.obs.values(), *self.action.values())}
        known = {*used, *layout.COUNTERS, layout.REWARD, layout.DONE, layout.TRUNCATED}
        self.left_out = [f"{name} ({feature.get('dtype')})" for name, feature in dataset.features.items() if name not in known]

    @property
    def features(self) -> tuple[str, ...]:
        """The features that observations and actions are made of."""
        return tuple(dict.fromkeys(number.feature for number in (*self.obs.values(), *self.action.values())))


def _width(feature: Mapping[str, Any]) -> int:
    """How many numbers an array of numbers has; 0 for anything else, such as an image."""
    shape, dtype = list(feature.get("shape") or ()), str(feature.get("dtype"))
    return int(shape[0]) if len(shape) == 1 and dtype.startswith(("float", "int", "uint")) else 0


def _named(dataset: Dataset, features: Sequence[str]) -> dict[str, Number]:
    """The numbers of some features by their names, which get the feature's before them where two are the same."""
    found = [(name, Number(feature, i)) for feature in features for i, name in enumerate(_names_of(dataset, feature))]
    times = Counter(name for name, _ in found)
    return {name if times[name] == 1 else f"{number.feature}.{number.place}": number for name, number in found}


def _names_of(dataset: Dataset, feature: str) -> list[str]:
    """The names of a feature's numbers: a list, lists by what they are names of, or the place of each name."""
    content = dataset.features[feature]
    names = [str(name) for name in _flat(content.get("names"))]
    short = feature.removeprefix(layout.OBSERVATIONS)
    return names if len(names) == _width(content) else [f"{short}_{i}" for i in range(_width(content))]


def _flat(names: Any) -> list[Any]:
    if isinstance(names, Mapping):
        numbered = all(isinstance(value, int) for value in names.values())
        names = sorted(names, key=names.__getitem__) if numbered else list(names.values())
    if isinstance(names, list):
        return [name for part in names for name in _flat(part)]
    return [] if names is None else [names]
