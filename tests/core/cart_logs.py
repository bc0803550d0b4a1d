"""Logs of a cart that is pushed, and the configuration that they are read with."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.logs.config import LogConfig

DT = 0.1
CART: dict[str, Any] = {
    "name": "cart",
    "dt": DT,
    "time": {"column": "t"},
    "obs": [{"name": "x", "unit": "m"}, {"name": "v", "unit": "m/s", "kind": "velocity"}],
    "action": [{"name": "push", "unit": "N", "low": -5.0, "high": 5.0}],
    "min_steps": 3,
}


def cart_config(**changes: Any) -> LogConfig:
    """The cart's configuration with other values; None takes a key out."""
    return from_mapping(LogConfig, {k: v for k, v in (CART | changes).items() if v is not None}, source="cart.yaml")


def cart_log(times: Sequence[float] | np.ndarray, pushes: Sequence[float] | np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a log of 1 kg that starts at rest: exact at each time, each push held until the next one."""
    t, push = np.asarray(times, dtype=np.float64), np.asarray(pushes, dtype=np.float64)
    steps = np.diff(t)
    v = np.concatenate([[0.0], np.cumsum(push[:-1] * steps)])
    x = np.concatenate([[0.0], np.cumsum((v[1:] + v[:-1]) / 2 * steps)])
    return {"t": t, "x": x, "v": v, "push": push}


def write_csv(path: Path, columns: Mapping[str, Sequence[object] | np.ndarray], delimiter: str = ",") -> Path:
    """Write columns; NaN is an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if cell != cell else cell for cell in row])
    return path
