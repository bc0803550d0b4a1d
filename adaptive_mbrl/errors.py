"""The errors that a user can cause. They share one base class; the command line prints their message and exits with 2."""

from typing import Any

EXIT_MISTAKE = 2
"""Exit code after a mistake in a file, a flag or an array."""
EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, the shell's usual one."""
EXIT_BROKEN_PIPE = 141
"""Exit code when nobody reads the output any more, the shell's usual one."""


def reason_of(error: BaseException) -> str:
    """What an error of another library says, in one line; the name of its class if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


class AdaptiveMBRLError(Exception):
    """A mistake in a file, a flag or an array; the message says what was found and what is allowed."""


class ConfigError(AdaptiveMBRLError):
    """A YAML file or a configuration value is wrong."""


class NotYamlError(ConfigError):
    """A file is no YAML, or one of its mappings has a key twice."""


class CheckpointError(AdaptiveMBRLError):
    """A checkpoint or a run folder is missing, damaged or belongs to another robot."""


class ObservationError(AdaptiveMBRLError):
    """An observation or action array has the wrong size or is not finite."""


class BridgeError(AdaptiveMBRLError):
    """A robot does not answer, or its topics differ from what the bridge file says."""


class DivergenceError(AdaptiveMBRLError):
    """A training that is not finite: the gradient of a step, or a terminal value.

    Args:
        message: when it happened, and what may help.
        windows: the windows that the step was taken on; None for a terminal value.
    """

    def __init__(self, message: str, windows: Any = None) -> None:
        super().__init__(message)
        self.windows = windows
