"""The command line: it parses the flags, calls the command and prints errors.

This module starts the commands of `sim` and `robot_bridge`. In the core, only it and `file_kinds.py` may name these packages,
and they do so as text and import them only when a command runs. So importing the core does not load MuJoCo, and `--help`
answers before torch is loaded. `tests/test_import_arrows.py` and `tests/test_cli.py` check both.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import operator
import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitSubcommandPrefixes, subcommand

from adaptive_mbrl import __version__, options
from adaptive_mbrl.errors import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_MISTAKE, AdaptiveMBRLError, ConfigError
from adaptive_mbrl.mistyped import in_one_line, require_known
from adaptive_mbrl.runtime import is_first_process, prepare_process, use_threads


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes:
        name: what users type: a word, or the word of a group in `GROUPS` and a word of its own.
        options: dataclass of its flags.
        function: what it runs, as ``module:function``; the function takes the options and is loaded only when the command runs.
        without_simulator: what it runs instead where the options' `needs_simulator` is False.
    """

    name: str
    options: type
    function: str
    without_simulator: str | None = None


COMMANDS = (
    Command("demo", options.DemoOptions, "sim.commands:demo"),
    Command("init", options.InitOptions, "sim.init.command:init"),
    Command("train", options.TrainOptions, "sim.commands:train", "adaptive_mbrl.training.command:train"),
    Command("sweep", options.SweepOptions, "sim.commands:sweep", "adaptive_mbrl.sweeps.command:sweep"),
    Command("runs", options.RunsOptions, "adaptive_mbrl.training.runs:runs"),
    Command("report", options.ReportOptions, "sim.commands:report", "adaptive_mbrl.training.report.command:report"),
    Command("compare", options.CompareOptions, "adaptive_mbrl.compare.command:compare"),
    Command("train-baseline", options.TrainBaselineOptions, "sim.baselines.command:train_baseline"),
    Command("evaluate", options.EvaluateOptions, "sim.commands:evaluate"),
    Command("benchmark", options.BenchmarkOptions, "sim.benchmark.command:benchmark"),
    Command("train-suite", options.TrainSuiteOptions, "sim.benchmark.train_suite:train_suite"),
    Command("bench", options.BenchOptions, "adaptive_mbrl.bench.command:bench"),
    Command("collect", options.CollectOptions, "sim.commands:collect"),
    Command("view", options.ViewOptions, "sim.viewing.command:view", "robot_bridge.viewing.command:view"),
    Command("bridge", options.BridgeOptions, "robot_bridge.node.commands:bridge"),
    Command("call", options.CallOptions, "robot_bridge.node.commands:call"),
    Command("preflight", options.PreflightOptions, "robot_bridge.preflight.command:preflight"),
    Command("simulated-robot", options.SimulatedRobotOptions, "robot_bridge.simulated.robot:simulated_robot"),
    Command("import-bag", options.ImportBagOptions, "robot_bridge.bags.import_bag:import_bag"),
    Command("foxglove layout", options.FoxgloveLayoutOptions, "robot_bridge.streams.commands:layout"),
    Command("foxglove stream", options.FoxgloveStreamOptions, "robot_bridge.streams.commands:stream_to_foxglove"),
    Command("rerun export", options.RerunExportOptions, "robot_bridge.streams.commands:export_to_rerun"),
    Command("rerun stream", options.RerunStreamOptions, "robot_bridge.streams.commands:stream_to_rerun"),
    Command("data import", options.DataImportOptions, "adaptive_mbrl.logs.import_logs:import_logs"),
    Command("data check", options.DataCheckOptions, "adaptive_mbrl.stores.check:check"),
    Command("data stats", options.DataStatsOptions, "adaptive_mbrl.stores.stats:stats"),
    Command("data merge", options.DataMergeOptions, "adaptive_mbrl.stores.merge:merge"),
    Command("data push", options.DataPushOptions, "adaptive_mbrl.training.push:push"),
    Command("data split", options.DataSplitOptions, "adaptive_mbrl.stores.split:split"),
    Command("data export-minari", options.DataExportMinariOptions, "adaptive_mbrl.stores.minari:export_minari"),
    Command("data import-minari", options.DataImportMinariOptions, "adaptive_mbrl.stores.minari:import_minari"),
    Command("data export-lerobot", options.DataExportLeRobotOptions, "adaptive_mbrl.stores.lerobot.export:export_lerobot"),
    Command("data import-lerobot", options.DataImportLeRobotOptions, "adaptive_mbrl.stores.lerobot.importing:import_lerobot"),
    Command("fine-tune", options.FineTuneOptions, "adaptive_mbrl.meta.fine_tune:fine_tune"),
    Command("export", options.ExportOptions, "adaptive_mbrl.export.command:export"),
    Command("push", options.PushOptions, "adaptive_mbrl.hub.command:push"),
    Command("pull", options.PullOptions, "adaptive_mbrl.hub.command:pull"),
    Command("diagnose", options.DiagnoseOptions, "sim.diagnosis.command:diagnose"),
    Command("replay", options.ReplayOptions, "sim.replay:replay"),
    Command("list", options.ListOptions, "sim.catalog.command_list:list_"),
    Command("show", options.ShowOptions, "sim.catalog.command_show:show"),
    Command("validate", options.ValidateOptions, "adaptive_mbrl.validate:validate"),
    Command("schema", options.SchemaOptions, "adaptive_mbrl.schema_files:schema"),
    Command("completion", options.CompletionOptions, "sim.catalog.completion:completion"),
    Command("info", options.InfoOptions, "sim.info:info"),
)
"""Every sub-command, in the order of the help."""
GROUPS = {
    "foxglove": "Show a bridge in Foxglove: a layout, and a live stream.",
    "rerun": "Show a bridge in Rerun: recordings, and a live stream.",
    "data": "Make stores of episodes from logs; check, show, merge, split and exchange them.",
}
"""What the sub-commands whose names begin with one word have in common."""
_USERS_OF_SIM = ("sim.", "robot_bridge.simulated.")
"""The commands of these packages import `sim`."""
_PACKAGES_OF_BRIDGE = ("cyclonedds", "rosbags")
"""What the extra `bridge` installs."""
_DESCRIPTION = """Adaptive model-based meta-RL: a controller for robots whose dynamics change while they run.

Use 'adaptive-mbrl COMMAND --help' for a command's flags and 'adaptive-mbrl --version' for the version."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Args:
        argv: the words after `adaptive-mbrl`; those of `sys.argv` if not given.

    Returns:
        The exit code: 0 when the command is done, 2 after a mistake in a file or flag (one line on stderr), 130 after Ctrl-C, 141
        when the reader of a pipe, such as `head`, has left.
    """
    prepare_process()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(f"adaptive-mbrl {__version__}")
        return 0
    try:
        _run(arguments)
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        return EXIT_BROKEN_PIPE
    except AdaptiveMBRLError as error:
        return _fail(f"error: {error}", EXIT_MISTAKE)
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"error: {error.filename}: {error.strerror}", EXIT_MISTAKE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def _run(arguments: Sequence[str]) -> None:
    try:
        given = parse(arguments)
        if hasattr(given, "threads"):
            use_threads(given.threads)
        command = command_of(given)
        if hasattr(given, "threads"):
            # once more, because torch is loaded now: by itself it never takes more threads than there are physical cores
            use_threads(given.threads)
        command(given)
    finally:
        # here, and not when Python ends, which could only complain about a pipe that nobody reads
        sys.stdout.flush()


def _reader_has_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more; what is still to be written is then dropped."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    has_left = any(event & select.POLLERR for _, event in poll.poll(0))
    if has_left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return has_left


def parse(arguments: Sequence[str]) -> Any:
    """Turn flags into the options of one command.

    Help ends the program with exit code 0.

    Raises:
        ConfigError: there is no such command or flag, or a value is wrong or missing.
    """
    command = require_known(arguments, {command.name: command.options for command in COMMANDS}, GROUPS)
    with in_one_line(command):
        # a list of commands needs only the first sentence about each
        return parse_with(union_of([(c.name, c.options) for c in COMMANDS], GROUPS, brief=not command), arguments)


def parse_with(commands: Any, arguments: Sequence[str]) -> Any:
    """Have tyro parse the words of a command line, with a union that `union_of` made."""
    return tyro.cli(
        commands,
        prog="adaptive-mbrl",
        description=_DESCRIPTION,
        args=arguments,
        config=(OmitSubcommandPrefixes, FlagCreatePairsOff),
    )


def union_of(commands: Sequence[tuple[str, type]], groups: Mapping[str, str], *, brief: bool) -> Any:
    """What the parser chooses from; the commands of a group are a choice of their own.

    Args:
        commands: the name and the options of each command.
        groups: words that begin the names of several commands, with what these have in common.
        brief: whether the help of a command is its first sentence only.
    """
    members: dict[str, list[Any]] = {}
    for name, options_of in commands:
        first, _, second = name.partition(" ")
        sentence = (options_of.__doc__ or "").partition("\n")[0] if brief else None
        members.setdefault(first, []).append(Annotated[options_of, subcommand(second or first, description=sentence)])
    choices = []
    for first, found in members.items():
        any_of: Any = functools.reduce(operator.or_, found)
        choices.append(Annotated[any_of, subcommand(first, description=groups[first])] if first in groups else any_of)
    return functools.reduce(operator.or_, choices)


def command_of(given: Any) -> Callable[[Any], None]:
    """Import the function that runs the given options; this loads torch and often MuJoCo."""
    (command,) = (command for command in COMMANDS if command.options is type(given))
    function = command.function
    if command.without_simulator is not None and not given.needs_simulator:
        function = command.without_simulator
    module, name = function.split(":")
    if module.startswith(_USERS_OF_SIM):
        _require_own_sim()
    try:
        found: Callable[[Any], None] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES_OF_BRIDGE:
            raise
        raise ConfigError(f"package '{package}' is not installed; pip install 'adaptive-mbrl[bridge]'") from error
    return found


def _require_own_sim() -> None:
    """Refuse another package that is named `sim`: the name is short, and whichever lies first on Python's path is imported."""
    own = Path(__file__).resolve().parent.parent / "sim" / "__init__.py"
    loaded = sys.modules.get("sim")
    spec = importlib.util.find_spec("sim") if loaded is None else loaded.__spec__
    if spec is None:
        raise ConfigError("the package 'sim' of adaptive-mbrl is missing; install adaptive-mbrl again")
    place = spec.origin or next(iter(spec.submodule_search_locations or ()), "an unknown place")
    # a package of that name that pip put into the same folder has replaced our file
    if Path(place).resolve() != own or getattr(importlib.import_module("sim"), "DISTRIBUTION", "") != "adaptive-mbrl":
        raise ConfigError(
            f"another package named 'sim' is in the way: {place}; adaptive-mbrl needs its own, {own.parent}; "
            "remove the other one from Python's path, or install adaptive-mbrl into a virtual environment of its own"
        )


def _fail(line: str, code: int) -> int:
    # processes that train together all meet the same mistake, and the first one tells it
    if is_first_process():
        # a message must be one line, but a library may have put line breaks into it
        print(" ".join(line.split()), file=sys.stderr)
    return code
