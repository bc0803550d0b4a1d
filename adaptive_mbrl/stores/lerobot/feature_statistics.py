"""Statistics of features, as LeRobot keeps them for each episode and for all of a dataset.

Exact quantiles of a dataset do not follow from those of its episodes. As in `lerobot/datasets/compute_stats.py`, the dataset has
the smallest of the lower ones and the largest of the upper ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

Statistics = dict[str, np.ndarray]


def statistics_of(values: np.ndarray) -> Statistics:
    """The statistics of one feature in an episode, each (d,).

    Args:
        values: (T, d) or (T,), T at least 1.
    """
    rows = values.reshape(len(values), -1)
    wide = rows.astype(np.float64)
    found = {"min": rows.min(0), "max": rows.max(0), "mean": wide.mean(0), "std": wide.std(0), "count": np.array([len(rows)])}
    return found | dict(zip(QUANTILES, np.quantile(wide, list(QUANTILES.values()), axis=0), strict=True))


def merged(total: Statistics | None, part: Statistics) -> Statistics:
    """The statistics of what has two parts."""
    if total is None:
        return part
    count = total["count"] + part["count"]
    share = part["count"] / count
    difference = part["mean"] - total["mean"]
    variance = (1 - share) * total["std"] ** 2 + share * part["std"] ** 2 + share * (1 - share) * difference**2
    found = {
        "min": np.minimum(total["min"], part["min"]),
        "max": np.maximum(total["max"], part["max"]),
        "mean": total["mean"] + share * difference,
        "std": np.sqrt(variance),
        "count": count,
    }
    for name, share_below in QUANTILES.items():
        found[name] = (np.minimum if share_below <= 0.5 else np.maximum)(total[name], part[name])
    return found


def as_lists(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    """The statistics of each feature, as JSON can hold them."""
    return {feature: {name: values.tolist() for name, values in found.items()} for feature, found in statistics.items()}
