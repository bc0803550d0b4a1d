"""Packages that only some commands need, and so are no dependency of the core: the extras in pyproject.toml."""

from __future__ import annotations

import importlib
from types import ModuleType

from adaptive_mbrl.errors import ConfigError


def extra_package(name: str, extra: str) -> ModuleType:
    """Import a module of an extra.

    Args:
        name: the module.
        extra: name of the extra that installs it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            # it is there, but something that it needs is not
            raise
        raise ConfigError(f"package '{package}' is not installed; pip install 'adaptive-mbrl[{extra}]'") from error
