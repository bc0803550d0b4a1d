"""Packages that only some commands need. They are no dependency of the core, and installed as an extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from adaptive_mbrl.errors import ConfigError


def extra_package(module: str, extra: str) -> ModuleType:
    """Import a module of a package that may be missing.

    Args:
        module: name of the module, such as ``pyarrow.parquet``.
        extra: the extra of adaptive-mbrl that installs it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ConfigError(f"package '{package}' is not installed; pip install 'adaptive-mbrl[{extra}]'") from error
