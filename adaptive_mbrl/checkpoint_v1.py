"""Checkpoints of format 1 are read as those of format 2.

Format 1 had one dataclass with the settings of all rules and one with those of all planners, kept the window's length among the
rule's settings, and ordered the network's inputs differently: the sine of an angle stood in the angle's own column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec

_PLANNER_KEYS = {
    "icem": ("num_elites", "momentum", "num_elites_kept"),
    "cem": ("num_elites", "momentum"),
    "mppi": ("temperature", "sigma_decay"),
    "random_shooting": (),
}
_GRADIENT_DEFAULTS = {"learning_rate": 0.1, "second_order": True}
"""What a setting that is left out means in format 1, where format 2 means something else."""


def upgraded_description(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `checkpoint.yaml` in the form of format 2.

    Raises:
        ConfigError: what has to be moved is not as format 1 has it; the loader of format 2 checks everything else.
    """
    adaptation, planner = _mapping(content, "adaptation"), _mapping(content, "planner")
    rule, window = adaptation.pop("rule", "gradient"), adaptation.pop("window", 16)
    gradient = _mapping({"adaptation.gradient": adaptation.pop("gradient", {})}, "adaptation.gradient")
    if adaptation:
        raise ConfigError(f"unknown key 'adaptation.{next(iter(adaptation))}'; allowed keys: rule, window, gradient")
    _require("adaptation.rule", rule, ("gradient", "none"))
    method = planner.pop("method", "icem")
    _require("planner.method", method, tuple(_PLANNER_KEYS))
    of_others = {key for keys in _PLANNER_KEYS.values() for key in keys} - set(_PLANNER_KEYS[method])
    return {
        **content,
        "format_version": 2,
        "window": window,
        "adaptation": [{rule: {**_GRADIENT_DEFAULTS, **gradient} if rule == "gradient" else {}}],
        "planner": {method: {key: value for key, value in planner.items() if key not in of_others}},
    }


def _mapping(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    if key not in content:
        raise ConfigError(f"missing key '{key}'")
    if not isinstance(content[key], Mapping):
        raise ConfigError(f"key '{key}': expected a mapping, got {content[key]!r}")
    return dict(content[key])


def _require(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"key '{key}': got {value!r}; allowed: {', '.join(allowed)}")


def upgraded_weights(weights: Mapping[str, Tensor], spec: RobotSpec) -> dict[str, Tensor]:
    """The tensors of `weights.safetensors` under their names, and with their rows in the order, of format 2."""
    angles = [column for column, channel in enumerate(spec.obs) if channel.kind == "angle"]
    others = [column for column in range(spec.obs_dim) if column not in angles]
    encoded = [*others, *angles, *range(spec.obs_dim, spec.obs_dim + len(angles))]

    def upgraded(name: str, tensor: Tensor) -> Tensor:
        # a step size of one value for the whole tensor has no rows to put in order; a tensor that is too small is refused later
        if not name.endswith("weight_0") or tensor.dim() != 3 or tensor.shape[1] < len(encoded):
            return tensor
        rows = [*encoded, *range(len(encoded), tensor.shape[1])]
        return tensor.index_select(1, torch.tensor(rows))

    return {
        f"rules.0.{name}" if name.startswith("log_step_sizes.") else name: upgraded(name, tensor)
        for name, tensor in weights.items()
    }
