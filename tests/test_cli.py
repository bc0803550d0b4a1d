"""The command line: help without the heavy libraries, one-line errors, exit codes."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import pytest

from adaptive_mbrl import __version__, cli, mistyped
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError, ObservationError
from adaptive_mbrl.options import (
    BenchmarkOptions,
    BenchOptions,
    BridgeOptions,
    CallOptions,
    CollectOptions,
    CompareOptions,
    CompletionOptions,
    DataCheckOptions,
    DataExportLeRobotOptions,
    DataExportMinariOptions,
    DataImportLeRobotOptions,
    DataImportMinariOptions,
    DataImportOptions,
    DataMergeOptions,
    DataPushOptions,
    DataSplitOptions,
    DataStatsOptions,
    DemoOptions,
    DiagnoseOptions,
    EvaluateOptions,
    ExportOptions,
    FineTuneOptions,
    FoxgloveLayoutOptions,
    FoxgloveStreamOptions,
    ImportBagOptions,
    InfoOptions,
    InitOptions,
    ListOptions,
    PreflightOptions,
    PullOptions,
    PushOptions,
    ReplayOptions,
    ReportOptions,
    RerunExportOptions,
    RerunStreamOptions,
    RunsOptions,
    SchemaOptions,
    ShowOptions,
    SimulatedRobotOptions,
    SweepOptions,
    TrainBaselineOptions,
    TrainOptions,
    TrainSuiteOptions,
    ValidateOptions,
    ViewOptions,
)
from adaptive_mbrl.revision import git_revision

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = tuple(command.name for command in cli.COMMANDS)
FIRST_WORDS = tuple(dict.fromkeys(name.split()[0] for name in COMMANDS))
HEAVY = {"torch", "numpy", "mujoco", "mjbatch", "dm_control", "gymnasium", "matplotlib", "sim"}


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "adaptive_mbrl", *arguments], capture_output=True, text=True, cwd=cwd)


HELP = ("--version", "--help", *(f"{name} --help" for name in (*COMMANDS, *cli.GROUPS)))
PROGRAM = """
import contextlib, io, json, sys
from adaptive_mbrl.cli import main
found = {}
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            code = main(line.split())
        except SystemExit as end:
            code = end.code
    found[line] = code, printed.getvalue(), sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, output and what is loaded afterwards, of all that only explains; one after the other in one new process."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(HELP)], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


@pytest.mark.parametrize("line", HELP)
def test_help_and_version_load_nothing_heavy(line: str, helped: dict[str, tuple[int, str, list[str]]]):
    code, printed, loaded = helped[line]

    assert code == 0
    assert ("usage: adaptive-mbrl" in printed) == ("--help" in line)
    assert "adaptive_mbrl" in loaded
    assert HEAVY & set(loaded) == set()


def test_version():
    assert run("--version").stdout == f"adaptive-mbrl {__version__}\n"


def test_help_lists_every_command(helped: dict[str, tuple[int, str, list[str]]]):
    assert re.search(r"\{" + ",".join(FIRST_WORDS) + r"\}", helped["--help"][1])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("demo --no-video --quick --out a/b".split(), DemoOptions(out=Path("a/b"), video=False, quick=True)),
        (
            "train --config half_cheetah --resume --collectors 2 --engine ray".split(),
            TrainOptions("half_cheetah", resume=True, collectors=2, engine="ray"),
        ),
        (
            "sweep --space s.yaml --data d --trials 9 --jobs 2".split(),
            SweepOptions(Path("s.yaml"), data=Path("d"), trials=9, jobs=2),
        ),
        ("runs a/b".split(), RunsOptions(Path("a/b"))),
        ("report a --out b.html --no-video".split(), ReportOptions((Path("a"),), Path("b.html"), video=False)),
        ("compare a b --json c.json".split(), CompareOptions((Path("a"), Path("b")), json=Path("c.json"))),
        ("train-baseline --config cartpole_ppo --run r".split(), TrainBaselineOptions("cartpole_ppo", run=Path("r"))),
        (
            "evaluate --checkpoint c --scenario s --episodes 3 --json o.json --no-oracle --multitask m --baselines a b".split(),
            EvaluateOptions("c", "s", episodes=3, json=Path("o.json"), multitask="m", baselines=("a", "b"), oracle=False),
        ),
        (
            "benchmark --suite smoke --episodes 3 --processes 1 --skip-missing --ledger l.csv".split(),
            BenchmarkOptions("smoke", episodes=3, processes=1, skip_missing=True, ledger=Path("l.csv")),
        ),
        ("train-suite --suite full --runs r --device cpu".split(), TrainSuiteOptions("full", Path("r"), device="cpu")),
        (
            "bench --threads 1 --against pytorch-mppi --sweeps samples".split(),
            BenchOptions(sweeps=("samples",), against=("pytorch-mppi",), threads=1),
        ),
        ("collect --robot ant --policy oracle --steps 5".split(), CollectOptions(robot="ant", policy="oracle", steps=5)),
        ("view --checkpoint arm --seconds 5".split(), ViewOptions(checkpoint="arm", seconds=5.0)),
        ("bridge --bridge b.yaml --dry-run --domain 7".split(), BridgeOptions(Path("b.yaml"), dry_run=True, domain=7)),
        ("call freeze_adaptation --off".split(), CallOptions("freeze_adaptation", off=True)),
        (
            "preflight --bridge b.yaml --test-motion --amplitude 0.1 --yes --seconds 5 --json o.json".split(),
            PreflightOptions(Path("b.yaml"), 5.0, test_motion=True, amplitude=0.1, yes=True, json=Path("o.json")),
        ),
        (
            "simulated-robot --bridge b --scenario s --command-timeout 1 --imperfections i.yaml --rate 50 --json o.json".split(),
            SimulatedRobotOptions(
                Path("b"), "s", command_timeout=1.0, imperfections=Path("i.yaml"), rate=50.0, json=Path("o.json")
            ),
        ),
        (
            "import-bag a/bag --bridge b.yaml --out e --min-steps 40".split(),
            ImportBagOptions(Path("a/bag"), Path("b.yaml"), Path("e"), min_steps=40),
        ),
        (
            "foxglove layout --bridge b.yaml --bag m --out o.json".split(),
            FoxgloveLayoutOptions(Path("b.yaml"), Path("o.json"), bag=Path("m")),
        ),
        ("foxglove stream --bridge b.yaml --port 0 --domain 7".split(), FoxgloveStreamOptions(Path("b.yaml"), port=0, domain=7)),
        (
            "rerun export a/bag --bridge b.yaml --out o.rrd".split(),
            RerunExportOptions(Path("a/bag"), Path("b.yaml"), Path("o.rrd")),
        ),
        ("rerun stream --bridge b.yaml --node a/b".split(), RerunStreamOptions(Path("b.yaml"), node="a/b")),
        (
            "data import a.csv b --config l.yaml --out e".split(),
            DataImportOptions((Path("a.csv"), Path("b")), Path("l.yaml"), Path("e")),
        ),
        ("data check a b".split(), DataCheckOptions((Path("a"), Path("b")))),
        ("data stats a --by wind --plot c.png".split(), DataStatsOptions(Path("a"), "wind", Path("c.png"))),
        ("data merge a b --out c".split(), DataMergeOptions((Path("a"), Path("b")), Path("c"))),
        ("data push a b".split(), DataPushOptions(Path("a"), Path("b"))),
        (
            "data split a --by wind --held-out 8 12 --out b".split(),
            DataSplitOptions(Path("a"), Path("b"), by="wind", held_out=("8", "12")),
        ),
        ("data export-minari a r/d-v0".split(), DataExportMinariOptions(Path("a"), "r/d-v0")),
        ("data import-minari r/d-v0 --out a".split(), DataImportMinariOptions("r/d-v0", Path("a"))),
        ("data export-lerobot a --out b".split(), DataExportLeRobotOptions(Path("a"), Path("b"))),
        ("data import-lerobot b --out a".split(), DataImportLeRobotOptions(Path("b"), Path("a"))),
        (
            "fine-tune c --episodes e --out o --updates 9 --held-out 0.3".split(),
            FineTuneOptions("c", Path("e"), Path("o"), updates=9, held_out=0.3),
        ),
        (
            "export --checkpoint c --format onnx --robots 2".split(),
            ExportOptions("c", format="onnx", robots=2),
        ),
        ("push c hf://a/b --private".split(), PushOptions("c", "hf://a/b", private=True)),
        ("pull https://a/b.zip --out o".split(), PullOptions("https://a/b.zip", Path("o"))),
        (
            "diagnose --checkpoint c --episodes e --out o --windows 9 --seed 3".split(),
            DiagnoseOptions("c", Path("e"), Path("o"), windows=9, seed=3),
        ),
        (["replay", "runs/dumps/x.safetensors"], ReplayOptions(Path("runs/dumps/x.safetensors"))),
        ("list robots --json".split(), ListOptions("robots", json=True)),
        ("show robot arm".split(), ShowOptions(("robot", "arm"))),
        ("validate a.yaml b --kind robot".split(), ValidateOptions((Path("a.yaml"), Path("b")), "robot")),
        ("schema split --out s.json".split(), SchemaOptions("split", Path("s.json"))),
        ("completion zsh".split(), CompletionOptions("zsh")),
        ("init r --gym Hopper-v5 --task run --out a/b".split(), InitOptions("r", gym="Hopper-v5", task="run", out=Path("a/b"))),
        ("info --bench-sim --robot ant".split(), InfoOptions(bench_sim=True, robot="ant")),
    ],
    ids=COMMANDS,
)
def test_flags_become_options(arguments: list[str], expected: object):
    assert cli.parse(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--seed", "-1"], "error: --seed: -1 is out of range; allowed: 0 to 2147483647"),
        (["demo", "--seed", "2147483648"], "error: --seed: 2147483648 is out of range; allowed: 0 to 2147483647"),
        (
            "evaluate --checkpoint c --scenario s --seed 99999999999999999999".split(),
            "error: --seed: 99999999999999999999 is out of range; allowed: 0 to 2147483647",
        ),
        ("collect --robot ant --seed -2".split(), "error: --seed: -2 is out of range; allowed: 0 to 2147483647"),
        (
            "evaluate --checkpoint c --scenario s --episodes 0".split(),
            "error: --episodes: 0 is out of range; allowed: at least 1",
        ),
        ("collect --robot ant --steps 0".split(), "error: --steps: 0 is out of range; allowed: at least 1"),
        (
            "preflight --bridge b.yaml --amplitude 0.6".split(),
            "error: --amplitude: 0.6 is out of range; allowed: above 0, at most 0.5",
        ),
        ("preflight --bridge b.yaml --seconds 0".split(), "error: --seconds: 0 is out of range; allowed: 0.5 to 600"),
        ("import-bag b --bridge f --out e --min-steps 0".split(), "error: --min-steps: 0 is out of range; allowed: at least 1"),
        (["collect"], "error: collect: got neither of --robot and --scenario; give exactly one"),
        (["dmeo"], f"error: unknown command 'dmeo' (did you mean 'demo'?); commands: {', '.join(FIRST_WORDS)}"),
        (
            "data stast".split(),
            "error: unknown command of data 'stast' (did you mean 'stats'?); "
            "commands: import, check, stats, merge, push, split, export-minari, import-minari, export-lerobot, import-lerobot",
        ),
        ("train --config c --collectors -1".split(), "error: --collectors: -1 is out of range; allowed: at least 0"),
        (
            "train --config c --engine ray".split(),
            "error: --engine: 'ray' has nothing to run; allowed: with --collectors of at least 1",
        ),
        (
            "train --data d --collectors 1".split(),
            "error: --collectors: a training on --data collects nothing; allowed: one of the two",
        ),
        (["report"], "error: report: got no run; give one or more run folders"),
        (["compare"], "error: compare: got no run; give two or more run folders, or a report of 'evaluate --json'"),
        ("data check".split(), "error: no folder given; allowed: one or more folders of episodes"),
        ("data stats a --plot b.jpg".split(), "error: --plot: b.jpg is no .png file; allowed: a name that ends in .png"),
        (
            "data split a --out b".split(),
            "error: data split: what is held out? allowed: either --by TAG --held-out VALUE, or --share SHARE, such as 0.1",
        ),
        ("data split a --out b --held-out 3".split(), "error: --held-out: names values of a tag; give the tag with --by"),
        ("data split a --out b --share 1".split(), "error: --share: 1.0 is out of range; allowed: above 0 and below 1"),
        (
            ["demo", "--sed", "1"],
            "error: unknown flag '--sed' of demo (did you mean '--seed'?); "
            "flags: --out, --checkpoint, --scenario, --no-video, --quick, --seed, --device, --threads",
        ),
        (
            "train --config c --set a=1 --set b=2".split(),
            "error: --set is given twice; give all values behind one: --set a=1 b=2",
        ),
        (
            "evaluate --checkpoint c --scenario s --baselines a --baselines=b".split(),
            "error: --baselines is given twice; give all values behind one: --baselines A B",
        ),
        ("demo --seed 1 --seed 2".split(), "error: --seed is given twice; give it once"),
        ("collect --robot a --scenario b".split(), "error: collect: got both of --robot and --scenario; give exactly one"),
    ],
)
def test_a_flag_out_of_range_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str):
    assert cli.main(arguments) == 2
    assert capsys.readouterr() == ("", f"{expected}\n")


MISTYPED = [
    ("", f"no command given; commands: {', '.join(FIRST_WORDS)}; 'adaptive-mbrl --help' explains them"),
    ("--vers", "unknown flag '--vers' before a command; allowed there: --help, --version"),
    ("demo --seed one", "--seed: got 'one'; allowed: a whole number"),
    ("demo --threads 1.5", "--threads: got '1.5'; allowed: a whole number"),
    ("train --config c --save-every x", "--save-every: got 'x'; allowed: a number"),
    ("demo --seed", "--seed: no value behind it; allowed: a whole number"),
    ("demo --device", "--device: no value behind it; allowed: auto, cpu, cuda"),
    ("demo --device tpu", "--device: got 'tpu' (did you mean 'cpu'?); allowed: auto, cpu, cuda"),
    (
        "train --config c --logger tensorbord",
        "--logger: got 'tensorbord' (did you mean 'tensorboard'?); allowed: tensorboard, wandb, trackio, none",
    ),
    ("evaluate", "evaluate: --checkpoint and --scenario are missing; give --checkpoint STR --scenario STR"),
    ("evaluate --checkpoint c", "evaluate: --scenario is missing; give --scenario STR"),
    ("import-bag", "import-bag: BAG and --bridge and --out are missing; give BAG --bridge PATH --out PATH"),
    ("data stats", "data stats: FOLDER is missing; give FOLDER"),
    (
        "list robotz",
        "WHAT: got 'robotz' (did you mean 'robots'?); allowed: all, robots, scenarios, checkpoints, rules, planners",
    ),
    ("runs a b", "runs: unexpected 'b'; 'adaptive-mbrl runs --help' shows what it takes"),
    ("demo --no-video=3", "demo: unexpected '3'; 'adaptive-mbrl demo --help' shows what it takes"),
    (
        "demo --video",
        "unknown flag '--video' of demo (did you mean '--no-video'?); "
        "flags: --out, --checkpoint, --scenario, --no-video, --quick, --seed, --device, --threads",
    ),
    (
        "data",
        "no command of data given; commands: import, check, stats, merge, push, split, export-minari, import-minari, "
        "export-lerobot, import-lerobot; 'adaptive-mbrl data --help' explains them",
    ),
    ("validate", "validate: no file given; allowed: YAML files, and folders that hold some"),
    ("schema all", "schema all: writes several files; give their folder with --out"),
    (
        "collect --robot cartpole --policy orcale",
        "--policy: got 'orcale' (did you mean 'oracle'?); allowed: random, oracle, or a checkpoint: a folder, or one of arm, "
        "arm_multitask, cartpole, cartpole_multitask, half_cheetah, half_cheetah_multitask, quadrotor, quadrotor_multitask",
    ),
]


@pytest.mark.parametrize(("arguments", "line"), MISTYPED, ids=[arguments or "nothing" for arguments, _ in MISTYPED])
def test_what_is_mistyped_is_one_line_with_what_is_allowed(
    arguments: str, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    assert cli.main(arguments.split()) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


@pytest.mark.parametrize("arguments", ["demo --seed one", "demo --device tpu", "demo --seed", "evaluate", "runs a b"])
def test_a_parser_without_our_hook_still_answers_in_one_line(
    arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mistyped, "_hook", lambda _: contextlib.nullcontext())

    assert cli.main(arguments.split()) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"error: [^╭│─]+\n", error)


EXAMPLE = re.compile(r"^    Example: (adaptive-mbrl .+)$", flags=re.M)
PLACES = ("configs/", "examples/")
"""Where files lie that an example may name and that must be there."""


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_the_help_of_every_command_has_one_example_that_parses(command: cli.Command):
    (example,) = EXAMPLE.findall(command.options.__doc__ or "")
    words = shlex.split(example)[1:]

    assert " ".join(words).startswith(command.name)
    assert type(cli.parse(words)) is command.options
    named = [word for word in words if word.startswith(PLACES)]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_help_shows_the_example_of_a_command_and_lists_only_first_sentences(capsys: pytest.CaptureFixture[str]):
    for arguments in (["demo", "--help"], ["--help"], ["data", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code == 0
        assert ("Example:" in capsys.readouterr().out) == (arguments[0] == "demo")


def test_a_reader_who_leaves_early_sees_no_traceback():
    with subprocess.Popen([sys.executable, "-m", "adaptive_mbrl", "list", "--json"], stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (AdaptiveMBRLError("a"), 2, "error: a"),
        (ConfigError("x.yaml: unknown key 'y'"), 2, "error: x.yaml: unknown key 'y'"),
        (CheckpointError("runs/x: not a checkpoint"), 2, "error: runs/x: not a checkpoint"),
        (ObservationError("obs: got 3\n numbers"), 2, "error: obs: got 3 numbers"),
        (PermissionError(13, "Permission denied", "/out.json"), 2, "error: /out.json: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_a_command_raises_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
):
    monkeypatch.setattr(cli, "command_of", lambda _: raising(error))

    assert cli.main(["info"]) == code
    assert capsys.readouterr() == ("", f"{line}\n")


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("no file behind it")])
def test_a_defect_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception):
    monkeypatch.setattr(cli, "command_of", lambda _: raising(error))

    with pytest.raises(type(error)):
        cli.main(["info"])


def raising(error: BaseException) -> Callable[[object], None]:
    def command(_: object) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["evaluate", "--checkpoint", "nowhere", "--scenario", "half_cheetah/cadm_cripple"], "nowhere"),
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["collect", "--robot", "half_cheeta"], "half_cheetah"),
        (["info", "--bench-sim", "--robot", "half_cheeta"], "half_cheetah"),
        (["demo", "--checkpoint", "nowhere", "--no-video"], "nowhere"),
    ],
    ids=["evaluate", "train", "collect", "info", "demo"],
)
def test_a_missing_file_or_unknown_name_is_one_line_and_writes_nothing(
    tmp_path: Path, arguments: list[str], names: str, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)

    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: .+\n", said)
    assert names in said
    assert list(tmp_path.iterdir()) == []


def test_info_reports_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["info"]) == 0
    report = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())

    assert report["adaptive-mbrl"].strip() == __version__
    assert {"git revision", "python", "torch", "mujoco", "mjbatch", "dm-control", "numpy"} <= set(report)
    assert {"device", "threads", "renderers", "kernel", "real time", "locked memory", "cpu governor"} <= set(report)
    assert all(value.strip() for value in report.values())


def test_git_revision_names_the_commit_and_uncommitted_changes(tmp_path: Path):
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert git_revision(tmp_path) is None
    git("init")
    assert git_revision(tmp_path) is None
    (tmp_path / "file").write_text("1")
    report = tmp_path / "docs/results/figures.json"
    report.parent.mkdir(parents=True)
    report.write_text("1")
    git("add", "file", "docs")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")[:12]

    assert git_revision(tmp_path) == commit
    report.write_text("2")
    assert git_revision(tmp_path) == commit, "a report that was written is no change of the code"
    (tmp_path / "file").write_text("2")
    assert git_revision(tmp_path) == f"{commit}+changes"
    (tmp_path / "inside").mkdir()
    assert git_revision(tmp_path / "inside") is None


@pytest.mark.parametrize(("package", "arguments"), [("cyclonedds", "call estop"), ("rosbags", "import-bag b --bridge f --out e")])
def test_without_the_extra_bridge_its_name_is_told(
    package: str, arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in [m for m in sys.modules if m.startswith(("robot_bridge", package))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    assert cli.main(arguments.split()) == 2
    assert f"package '{package}' is not installed; pip install 'adaptive-mbrl[bridge]'" in capsys.readouterr().err
