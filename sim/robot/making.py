"""The environment that a robot's YAML file names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from adaptive_mbrl.errors import ConfigError, reason_of
from sim.robot.environment import Env

ALLOWED = "allowed: gymnasium:ID, gymnasium:MODULE:ID or dm_control:DOMAIN/TASK"


def make_environment(reference: str, options: Mapping[str, Any], render_mode: str | None = None) -> Env:
    """Make an environment without a time limit: an episode has as many steps as its scenario says.

    Args:
        reference: ``gymnasium:ID``, ``gymnasium:MODULE:ID`` or ``dm_control:DOMAIN/TASK``.
        options: further arguments.
        render_mode: ``rgb_array`` for pictures.

    Raises:
        ConfigError: it cannot be made.
    """
    library, _, rest = reference.partition(":")
    where = f"key 'environment': '{reference}'"
    try:
        if library == "dm_control" and rest:
            from sim.robot.suite_env import SuiteEnv

            return SuiteEnv(rest, render_mode, options)
        if library != "gymnasium" or not rest:
            raise ConfigError(f"unknown kind of environment; {ALLOWED}")
        return gymnasium.make(rest, max_episode_steps=-1, disable_env_checker=True, render_mode=render_mode, **options)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except (gymnasium.error.Error, ImportError, TypeError, ValueError, KeyError, AssertionError) as error:
        said = reason_of(error)
        raise ConfigError(f"{where} cannot be made: {said}") from error
