"""One root for every error that a user can cause; the command line prints its message and exits with 2."""

from typing import Any

EXIT_MISTAKE = 2
"""A mistake in a file, a flag or an array."""
EXIT_INTERRUPTED = 130
"""Ctrl-C."""


class AdaptiveMBRLError(Exception):
    """A mistake in a file, a flag or an array: the message says what was got and what is allowed."""


class ConfigError(AdaptiveMBRLError):
    """A YAML file or a configuration value is wrong."""


class CheckpointError(AdaptiveMBRLError):
    """A checkpoint or a run folder is missing, damaged or belongs to another robot."""


class ObservationError(AdaptiveMBRLError):
    """An observation or action array has the wrong size or is not finite."""


class BridgeError(AdaptiveMBRLError):
    """Something between the bridge and a robot does not answer or is not as the bridge file says."""


class DivergenceError(AdaptiveMBRLError):
    """A training step whose gradient is not finite.

    Args:
        message: when, and what may help.
        windows: what the step was taken on.
    """

    def __init__(self, message: str, windows: Any) -> None:
        super().__init__(message)
        self.windows = windows
