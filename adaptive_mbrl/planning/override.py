"""A planner that replaces a checkpoint's, and keeps those of its settings that both kinds of planner share."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import yaml

from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import PlannerConfig


@dataclass(frozen=True)
class _Named:
    planner: PlannerConfig


def override_planner(base: PlannerConfig, text: str, source: str) -> PlannerConfig:
    """Read a planner. Settings that the text leaves out are those of `base` where they mean the same, else the defaults.

    The sampling planners share most of their settings. `gradient` shares the horizon, the penalty and the risk only: its
    candidates and iterations are another thing.

    Args:
        base: the planner that it replaces; the same kind may be named again with other settings.
        text: a planner's name, or YAML with its settings, for example ``{mppi: {num_samples: 32}}``.
        source: where the text is from, for error messages.

    Raises:
        ConfigError: there is no such planner or setting, or a value is wrong.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{source}: {text!r} is not valid YAML; allowed: a planner such as {{mppi: {{num_samples: 32}}}}"
        ) from error
    kinds = {kind.TAG: kind for kind in typing.get_args(PlannerConfig)}
    entry = {value: None} if isinstance(value, str) else value
    if isinstance(entry, Mapping):
        entry = {tag: _completed(settings, kinds.get(tag), base) for tag, settings in entry.items()}
    return from_mapping(_Named, {"planner": entry}, source=source).planner


def _completed(settings: Any, kind: type | None, base: PlannerConfig) -> Any:
    """Settings with those of a common parent class that are missing; what is no planner's settings stays, to be refused."""
    if kind is None or not (settings is None or isinstance(settings, Mapping)):
        return settings
    shared = [parent for parent in kind.__mro__ if is_dataclass(parent) and isinstance(base, parent)]
    return {f.name: to_mapping(getattr(base, f.name)) for parent in shared for f in fields(parent)} | dict(settings or {})
