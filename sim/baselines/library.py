"""Stable-Baselines3 and sb3-contrib are an extra; they are loaded only where a baseline is trained or runs."""

from __future__ import annotations

import importlib.util

from adaptive_mbrl.errors import ConfigError

PACKAGES = ("stable_baselines3", "sb3_contrib")


def require_library() -> None:
    """Say how to install the packages if one is missing."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"package '{package}' is not installed; pip install 'adaptive-mbrl[baselines]'")
