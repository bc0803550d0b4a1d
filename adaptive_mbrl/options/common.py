"""Types of flags and checks of their values that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from adaptive_mbrl.config import MAX_SEED
from adaptive_mbrl.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
Transport = Literal["dds", "rclpy"]
# without the metavar, help shows "{None}|PATH"
OptionalPath = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
OptionalName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
OptionalInt = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]

MAX_THREADS = 1024


def require_at_least(flag: str, value: float | None, low: float) -> None:
    """Refuse a number below `low`; a flag that was not given is fine."""
    if value is not None and value < low:
        raise ConfigError(f"{flag}: {value} is out of range; allowed: at least {low}")


def require_ending(flag: str, value: Path | None, ending: str) -> None:
    """Refuse the name of a file that does not end as its content asks for; a flag that was not given is fine."""
    if value is not None and value.suffix.lower() != ending:
        raise ConfigError(f"{flag}: {value} is no {ending} file; allowed: a name that ends in {ending}")


def require_domain(value: int | None) -> None:
    """Refuse a number that is no domain id of ROS 2."""
    if value is not None and not 0 <= value <= 232:
        raise ConfigError(f"--domain: {value} is out of range; allowed: 0 to 232")


def require_seed(flag: str, value: int | None) -> None:
    """Refuse a seed that some random generator could not take."""
    if value is not None and not 0 <= value <= MAX_SEED:
        raise ConfigError(f"{flag}: {value} is out of range; allowed: 0 to {MAX_SEED}")


def require_threads(value: int | None) -> None:
    """Refuse a number of threads that no process can have; a flag that was not given is fine."""
    if value is not None and not 1 <= value <= MAX_THREADS:
        raise ConfigError(f"--threads: {value} is out of range; allowed: 1 to {MAX_THREADS}")
