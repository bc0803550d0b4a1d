"""Where the curves of a training are shown: one file for each logger, behind the interface of `base.py`.

Loggers are no part of a run's configuration, since a run may be resumed with others.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.training.loggers.base import LoggedRun
from adaptive_mbrl.training.loggers.guard import GuardedLogger

_CLASSES = {"tensorboard": "TensorBoardLogger", "wandb": "WandbLogger", "trackio": "TrackioLogger"}
"""The class of each logger, in the module of its name."""


def make_loggers(names: Sequence[str], run: Path, config: Mapping[str, Any]) -> list[GuardedLogger]:
    """The loggers of a run.

    Args:
        names: which ones.
        run: the run folder.
        config: the configuration of the run, as plain values.

    Raises:
        ConfigError: a package is not installed.
    """
    logged = LoggedRun(run)
    return [GuardedLogger(name, getattr(_module(name), _CLASSES[name])(logged), config) for name in names]


def prepare_loggers(names: Sequence[str]) -> None:
    """Look whether the packages of some loggers are there, before a run is begun.

    Raises:
        ConfigError: a package is not installed.
    """
    make_loggers(names, Path(), {})
    if "wandb" in names:
        # where there is no key, the logger says so itself
        with suppress(Exception):
            _module("wandb").ask_for_key()


def _module(name: str) -> Any:
    if name not in _CLASSES:
        raise ConfigError(f"unknown logger '{name}'; allowed: {', '.join(_CLASSES)}")
    # imported when used, since they need different packages
    return importlib.import_module(f"adaptive_mbrl.training.loggers.{name}")
