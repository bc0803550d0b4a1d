"""Checkpoints of format 1 are read as those of format 2.

Format 1 had one dataclass with the settings of all rules and one with those of all planners, kept the window's length among the
rule's settings, and ordered the network's inputs differently: the sine of an angle stood in the angle's own column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adaptive_mbrl.spec import RobotSpec

_PLANNER_KEYS = {
    "icem": ("num_elites", "momentum", "num_elites_kept"),
    "cem": ("num_elites", "momentum"),
    "mppi": ("temperature", "sigma_decay"),
    "random_shooting": (),
}
_COMMON_PLANNER_KEYS = ("horizon", "uncertainty_penalty", "num_samples", "num_iterations", "sigma", "noise_beta")


def upgraded_description(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `checkpoint.yaml` in the form of format 2."""
    adaptation = dict(content["adaptation"])
    rule = adaptation.get("rule", "gradient")
    settings = adaptation.get("gradient", {}) if rule == "gradient" else {}
    planner = dict(content["planner"])
    method = planner.pop("method", "icem")
    kept = (*_COMMON_PLANNER_KEYS, *_PLANNER_KEYS[method])
    return {
        **content,
        "format_version": 2,
        "window": adaptation.get("window", 16),
        "adaptation": [{rule: settings}],
        "planner": {method: {key: value for key, value in planner.items() if key in kept}},
    }


def upgraded_weights(weights: Mapping[str, Tensor], spec: RobotSpec) -> dict[str, Tensor]:
    """The tensors of `weights.safetensors` under their names, and with their rows in the order, of format 2."""
    angles = [column for column, channel in enumerate(spec.obs) if channel.kind == "angle"]
    others = [column for column in range(spec.obs_dim) if column not in angles]
    encoded = [*others, *angles, *range(spec.obs_dim, spec.obs_dim + len(angles))]

    def upgraded(name: str, tensor: Tensor) -> Tensor:
        # a step size of one value for the whole tensor has no rows to put in order
        if not name.endswith("weight_0") or tensor.shape[1] == 1:
            return tensor
        rows = [*encoded, *range(len(encoded), tensor.shape[1])]
        return tensor.index_select(1, torch.tensor(rows))

    return {
        f"rules.0.{name}" if name.startswith("log_step_sizes.") else name: upgraded(name, tensor)
        for name, tensor in weights.items()
    }
