"""The flag `--logger` of the sub-commands that train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from tyro.conf import arg

from adaptive_mbrl.errors import ConfigError

NO_LOGGER: Final = "none"
DEFAULT_LOGGER: Final = "tensorboard"
LoggerNames = Annotated[tuple[Literal["tensorboard", "wandb", "trackio", "none"], ...], arg(metavar="NAME")]


def require_loggers(names: Sequence[str]) -> None:
    """Refuse loggers that are named twice, and some beside none."""
    if len(set(names)) < len(names) or (NO_LOGGER in names and len(names) > 1) or not names:
        given = " ".join(names) or "nothing"
        raise ConfigError(f"--logger: got {given}; allowed: one or more of tensorboard, wandb, trackio, each once, or none alone")
