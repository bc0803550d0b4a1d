"""Packages that are only needed for some formats, and so are no dependency of the core."""

from __future__ import annotations

from types import ModuleType

from adaptive_mbrl import extra


def extra_package(name: str) -> ModuleType:
    """Import a module of the extra `logs`.

    Raises:
        ConfigError: it is not installed.
    """
    return extra.extra_package(name, "logs")
