"""Gymnasium spaces as named channels: which numbers an observation holds, in which order, and the limits of an action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError

_OBS = "allowed: a Box of numbers, or a Dict of such boxes"
_MOST_AXES = 2


def channel_names(space: spaces.Space[Any]) -> tuple[str, ...]:
    """A name for each number of an observation, in the order of `flat`.

    The numbers of a Box are ``obs_0``, ``obs_1``, ...; those of an entry of a Dict have its name: ``height``, ``velocity[0]``.

    Raises:
        ConfigError: the space has images or something else that is no number.
    """
    names = []
    for path, box in _boxes(space):
        if not path:
            names += [f"obs_{i}" for i in range(int(np.prod(box.shape)))]
        elif box.shape == ():
            names.append(".".join(path))
        else:
            names += [f"{'.'.join(path)}[{','.join(map(str, index))}]" for index in np.ndindex(box.shape)]
    return tuple(names)


def flat(space: spaces.Space[Any], obs: Any) -> NDArray[np.float32]:
    """An observation of a space as an array, (obs_dim,)."""
    parts = []
    for path, _ in _boxes(space):
        value = obs
        for key in path:
            value = value[key]
        parts.append(np.ravel(value))
    return np.concatenate(parts).astype(np.float32)


def action_limits(space: spaces.Space[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smallest and the largest value of each number of an action, (action_dim,) each; perhaps infinite.

    Raises:
        ConfigError: actions are no numbers.
    """
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        kind = type(space).__name__
        raise ConfigError(f"its actions are {kind}, which no sampling planner over numbers can choose; allowed: a Box of floats")
    return space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)


def _boxes(space: spaces.Space[Any], path: Sequence[str] = ()) -> Iterator[tuple[tuple[str, ...], spaces.Box]]:
    """The boxes of a space, each with the keys that lead to it."""
    where = f"its observation '{'.'.join(path)}'" if path else "its observation"
    if isinstance(space, spaces.Dict):
        inner: Mapping[str, spaces.Space[Any]] = space.spaces
        for key, value in inner.items():
            yield from _boxes(value, (*path, str(key)))
    elif not isinstance(space, spaces.Box):
        raise ConfigError(f"{where} is {type(space).__name__}, which is no list of numbers; {_OBS}")
    elif space.dtype == np.uint8 or len(space.shape) > _MOST_AXES:
        raise ConfigError(f"{where} is an image of shape {space.shape}, which the dynamics model cannot predict; {_OBS}")
    else:
        yield tuple(path), space
