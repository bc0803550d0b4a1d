"""The device that networks run on."""

from __future__ import annotations

import torch

from adaptive_mbrl.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """Find the device that `auto`, `cpu` or `cuda` stands for; `auto` takes a GPU when there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device: cuda is not available here; allowed: auto, cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
