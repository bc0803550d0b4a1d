"""The command line: it parses the flags, calls the command and prints errors.

This is the only module of the core that may name `sim` and `robot_bridge`, because it starts their commands. It names them as
text and imports them only when a command runs. So importing the core does not load MuJoCo, and `--help` answers before torch is
loaded. `tests/test_import_arrows.py` and `tests/test_cli.py` check both.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitSubcommandPrefixes, subcommand

from adaptive_mbrl import __version__, options
from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import EXIT_INTERRUPTED, EXIT_MISTAKE, AdaptiveMBRLError, ConfigError
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
    Command("train", options.TrainOptions, "sim.commands:train", "adaptive_mbrl.training.command:train"),
    Command("sweep", options.SweepOptions, "sim.commands:sweep", "adaptive_mbrl.sweeps.command:sweep"),
    Command("runs", options.RunsOptions, "adaptive_mbrl.training.runs:runs"),
    Command("report", options.ReportOptions, "sim.commands:report", "adaptive_mbrl.training.report.command:report"),
    Command("compare", options.CompareOptions, "adaptive_mbrl.compare.command:compare"),
    Command("train-baseline", options.TrainBaselineOptions, "sim.baselines.command:train_baseline"),
    Command("evaluate", options.EvaluateOptions, "sim.commands:evaluate"),
    Command("benchmark", options.BenchmarkOptions, "sim.benchmark.command:benchmark"),
    Command("train-suite", options.TrainSuiteOptions, "sim.benchmark.train_suite:train_suite"),
    Command("collect", options.CollectOptions, "sim.commands:collect"),
    Command("bridge", options.BridgeOptions, "robot_bridge.node.commands:bridge"),
    Command("call", options.CallOptions, "robot_bridge.node.commands:call"),
    Command("preflight", options.PreflightOptions, "robot_bridge.preflight.command:preflight"),
    Command("simulated-robot", options.SimulatedRobotOptions, "robot_bridge.simulated.robot:simulated_robot"),
    Command("import-bag", options.ImportBagOptions, "robot_bridge.bags.import_bag:import_bag"),
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
    Command("diagnose", options.DiagnoseOptions, "sim.diagnosis.command:diagnose"),
    Command("replay", options.ReplayOptions, "sim.replay:replay"),
    Command("info", options.InfoOptions, "sim.info:info"),
)
"""Every sub-command, in the order of the help."""
GROUPS = {"data": "Make stores of episodes from logs; check, show, merge, split and exchange them."}
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
        The exit code: 0 when the command is done, 2 after a mistake in a file or flag (one line on stderr), 130 after Ctrl-C.
    """
    prepare_process()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(f"adaptive-mbrl {__version__}")
        return 0
    try:
        given = parse(arguments)
        if hasattr(given, "threads"):
            use_threads(given.threads)
        command = command_of(given)
        if hasattr(given, "threads"):
            # once more, because torch is loaded now: by itself it never takes more threads than there are physical cores
            use_threads(given.threads)
        command(given)
    except AdaptiveMBRLError as error:
        return _fail(f"error: {error}", EXIT_MISTAKE)
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"error: {error.filename}: {error.strerror}", EXIT_MISTAKE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def parse(arguments: Sequence[str]) -> Any:
    """Turn flags into the options of one command.

    Help ends the program with exit code 0, a wrong or missing value with 2.

    Raises:
        ConfigError: there is no such command, or it has no such flag.
    """
    _require_known(arguments)
    return tyro.cli(
        _union_of_commands(),
        prog="adaptive-mbrl",
        description=_DESCRIPTION,
        args=arguments,
        config=(OmitSubcommandPrefixes, FlagCreatePairsOff),
    )


def _union_of_commands() -> Any:
    """What the parser chooses from; the commands of a group are a choice of their own."""
    members: dict[str, list[Any]] = {}
    for command in COMMANDS:
        first, _, second = command.name.partition(" ")
        members.setdefault(first, []).append(Annotated[command.options, subcommand(second or first)])
    choices = []
    for first, found in members.items():
        any_of: Any = functools.reduce(operator.or_, found)
        choices.append(Annotated[any_of, subcommand(first, description=GROUPS[first])] if first in GROUPS else any_of)
    return functools.reduce(operator.or_, choices)


def _require_known(arguments: Sequence[str]) -> None:
    """Refuse a misspelt command or flag in one line; everything else is left to the parser."""
    if not arguments or arguments[0].startswith("-"):
        return
    commands = {command.name: command for command in COMMANDS}
    _require_one_of("command", arguments[0], [*dict.fromkeys(name.partition(" ")[0] for name in commands)])
    name, *words = arguments
    if name in GROUPS:
        if not words or words[0].startswith("-"):
            return
        _require_one_of(f"command of {name}", words[0], [n.partition(" ")[2] for n in commands if n.startswith(f"{name} ")])
        name, words = f"{name} {words[0]}", words[1:]
    fields = [field.name.replace("_", "-") for field in dataclasses.fields(commands[name].options)]
    flags = [f"--{field}" for field in fields]
    allowed = {*flags, *(f"--no-{field}" for field in fields), "--help"}
    seen = set()
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in allowed:
            raise ConfigError(f"unknown flag '{word}' of {name}{did_you_mean(flag, flags)}; flags: {', '.join(flags)}")
        if flag in allowed and flag in seen:
            # the parser would keep the last one and drop the others without a word
            raise ConfigError(f"{flag} is given twice; give {_once(flag, commands[name].options)}")
        seen.add(flag)


def _require_one_of(what: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise ConfigError(f"unknown {what} '{word}'{did_you_mean(word, known)}; commands: {', '.join(known)}")


def _once(flag: str, options_of: type) -> str:
    """How a flag that was given twice is meant to be given."""
    takes_several = any(
        flag == f"--{field.name.replace('_', '-')}" and "tuple[" in str(field.type) for field in dataclasses.fields(options_of)
    )
    example = "a=1 b=2" if flag == "--set" else "A B"
    return f"all values behind one: {flag} {example}" if takes_several else "it once"


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
