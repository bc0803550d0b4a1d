"""Packages that are only needed for some formats, and so are no dependency of the core."""

from __future__ import annotations

import importlib
from types import ModuleType

from adaptive_mbrl.errors import ConfigError


def extra_package(name: str) -> ModuleType:
    """Import a module of the extra `logs`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise ConfigError(f"package '{package}' is not installed; pip install 'adaptive-mbrl[logs]'") from error
