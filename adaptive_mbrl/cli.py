"""The command line: parse, call, print.

This is the composition root, the one module of the core that may name `sim` and `robot_bridge`, which its sub-commands run. It
does so only inside the function that calls a command, never at import, so that importing the core stays free of MuJoCo and
`--help` answers before torch is loaded. `tests/test_import_arrows.py` holds both.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitSubcommandPrefixes, subcommand

from adaptive_mbrl import __version__
from adaptive_mbrl.errors import EXIT_INTERRUPTED, EXIT_MISTAKE, AdaptiveMBRLError, ConfigError
from adaptive_mbrl.options import (
    BridgeOptions,
    CallOptions,
    CollectOptions,
    DemoOptions,
    EvaluateOptions,
    FineTuneOptions,
    ImportBagOptions,
    InfoOptions,
    PreflightOptions,
    SimulatedRobotOptions,
    TrainOptions,
)

Options = (
    DemoOptions
    | TrainOptions
    | EvaluateOptions
    | CollectOptions
    | BridgeOptions
    | CallOptions
    | PreflightOptions
    | SimulatedRobotOptions
    | ImportBagOptions
    | FineTuneOptions
    | InfoOptions
)
# the same union, with the words that users type
_SubCommands = (
    Annotated[DemoOptions, subcommand("demo")]
    | Annotated[TrainOptions, subcommand("train")]
    | Annotated[EvaluateOptions, subcommand("evaluate")]
    | Annotated[CollectOptions, subcommand("collect")]
    | Annotated[BridgeOptions, subcommand("bridge")]
    | Annotated[CallOptions, subcommand("call")]
    | Annotated[PreflightOptions, subcommand("preflight")]
    | Annotated[SimulatedRobotOptions, subcommand("simulated-robot")]
    | Annotated[ImportBagOptions, subcommand("import-bag")]
    | Annotated[FineTuneOptions, subcommand("fine-tune")]
    | Annotated[InfoOptions, subcommand("info")]
)
_DESCRIPTION = """Adaptive model-based meta-RL: a controller for robots whose dynamics change while they run.

Use 'adaptive-mbrl COMMAND --help' for a command's flags and 'adaptive-mbrl --version' for the version."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Args:
        argv: what the user typed after `adaptive-mbrl`; `sys.argv` if not given.

    Returns:
        The exit code: 0 done, 2 a mistake in a file or flag (one line on stderr), 130 interrupted.
    """
    # waiting OpenMP threads that spin make a busy machine many times slower; torch reads this when it is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _keep_freed_memory()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(f"adaptive-mbrl {__version__}")
        return 0
    try:
        options = parse(arguments)
        command_of(options)(options)
    except AdaptiveMBRLError as error:
        return _fail(f"error: {error}", EXIT_MISTAKE)
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"error: {error.filename}: {error.strerror}", EXIT_MISTAKE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def _keep_freed_memory() -> None:
    """Let glibc keep large freed blocks: by default it returns them at once, and page faults take a third of a training step."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        trim_threshold, mmap_threshold = -1, -3
        libc.mallopt(trim_threshold, 1 << 30)
        libc.mallopt(mmap_threshold, 1 << 25)


def parse(arguments: Sequence[str]) -> Options:
    """Flags to options; help and wrong flags end the program (0 and 2), as the user expects."""
    options: Options = tyro.cli(
        _SubCommands,
        prog="adaptive-mbrl",
        description=_DESCRIPTION,
        args=arguments,
        config=(OmitSubcommandPrefixes, FlagCreatePairsOff),
    )
    return options


def command_of(options: Options) -> Callable[[Any], None]:
    """The function behind the options; loads torch and MuJoCo."""
    module, function = _COMMANDS[type(options)].split(":")
    try:
        command: Callable[[Any], None] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OF_EXTRA_BRIDGE:
            raise
        raise ConfigError(f"package '{package}' is not installed; pip install 'adaptive-mbrl[bridge]'") from error
    return command


_OF_EXTRA_BRIDGE = ("cyclonedds", "rosbags")
_COMMANDS = {
    DemoOptions: "sim.commands:demo",
    TrainOptions: "sim.commands:train",
    EvaluateOptions: "sim.commands:evaluate",
    CollectOptions: "sim.commands:collect",
    BridgeOptions: "robot_bridge.node.commands:bridge",
    CallOptions: "robot_bridge.node.commands:call",
    PreflightOptions: "robot_bridge.preflight.command:preflight",
    SimulatedRobotOptions: "robot_bridge.simulated.robot:simulated_robot",
    ImportBagOptions: "robot_bridge.bags.import_bag:import_bag",
    FineTuneOptions: "adaptive_mbrl.meta.fine_tune:fine_tune",
    InfoOptions: "sim.info:info",
}


def _fail(line: str, code: int) -> int:
    # a message is one line, whatever a library put into it
    print(" ".join(line.split()), file=sys.stderr)
    return code
