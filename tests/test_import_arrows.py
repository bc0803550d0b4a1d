"""Imports point one way: robot_bridge -> adaptive_mbrl <- sim.

Read from the syntax trees, so that an import inside a function counts too, and once from a running interpreter, so that a detour
through another package does not hide one.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PHYSICS = {"mujoco", "mjbatch", "dm_control", "gymnasium"}
ROS = {"rclpy", "launch", "launch_ros", "std_msgs", "sensor_msgs", "diagnostic_msgs", "cyclonedds", "rosbags"}
FORBIDDEN = {
    "adaptive_mbrl": {"sim", "robot_bridge"} | PHYSICS | ROS,
    "sim": {"robot_bridge"} | ROS,
    "robot_bridge": {"sim"} | PHYSICS,
}
# the command line starts everything and may name sim, but only once a command runs; the simulated robot is simulation
LAZILY_ALLOWED = {
    "adaptive_mbrl/cli.py": {"sim", "robot_bridge"},
    # the spaces of a dataset of Minari are Gymnasium's
    "adaptive_mbrl/stores/minari.py": {"gymnasium"},
    # where the parts of a robot are along a plan is told by its MJCF, where a bridge file asks for it
    "robot_bridge/safety/plan_geometry.py": {"sim"},
}
ALLOWED = {"robot_bridge/simulated/robot.py": {"sim"}}


@functools.cache
def imported(source: str) -> tuple[tuple[str, int, bool], ...]:
    """Top-level package, line, and whether it is imported when the module is, of every import in a source text."""
    found = []
    for node, is_lazy in _nodes(source, only_statements="import_module" not in source and "__import__" not in source):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        found += [(name.split(".")[0], node.lineno, not is_lazy) for name in names]
    return tuple(found)


def _nodes(source: str, only_statements: bool) -> Iterator[tuple[ast.AST, bool]]:
    """The parts of a source text, or its statements, which are far fewer; and whether each is inside a function."""
    left: list[tuple[ast.AST, bool]] = [(ast.parse(source), False)]
    while left:
        node, is_lazy = left.pop()
        yield node, is_lazy
        is_lazy = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inner = ast.iter_child_nodes(node)
        left += [(n, is_lazy) for n in inner if not only_statements or isinstance(n, _WITH_STATEMENTS)]


_WITH_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def violations(path: str, source: str) -> list[str]:
    """Imports of one file that point the wrong way; `path` is relative to the repository."""
    forbidden = FORBIDDEN[path.split("/")[0]] - ALLOWED.get(path, set())
    return [
        f"{path}:{line}: imports {name}"
        for name, line, at_import in imported(source)
        if name in forbidden and (at_import or name not in LAZILY_ALLOWED.get(path, set()))
    ]


FOLDERS = (*FORBIDDEN, "tests", "examples", "launch", "benchmarks")


def missing_modules(source: str) -> list[str]:
    """Modules of this repository that a source text imports, and that are not there."""
    wanted: list[str] = []
    for node, _ in _nodes(source, only_statements=True):
        if isinstance(node, ast.Import):
            wanted += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # what a package does not define itself must be a module in it
            folder = ROOT / node.module.replace(".", "/")
            is_package = folder.is_dir() and not folder.with_suffix(".py").is_file()
            names = [alias.name for alias in node.names] if is_package else []
            wanted += [node.module, *(f"{node.module}.{name}" for name in names if name not in _defined(folder))]
    return [name for name in wanted if name.split(".")[0] in FORBIDDEN and not _is_module(name)]


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@functools.cache
def _defined(package: Path) -> set[str]:
    """Names that the `__init__.py` of a package defines or imports."""
    init = package / "__init__.py"
    tree = ast.parse(init.read_text(encoding="utf-8")) if init.is_file() else ast.Module([], [])
    found = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return found | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_that_is_imported_exists(folder: str):
    paths = sorted((ROOT / folder).rglob("*.py"))

    assert paths
    found = {str(path.relative_to(ROOT)): missing_modules(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("from sim.robots.robot import load_robot\n", ["sim.robots.robot"]),
        ("def f():\n    import adaptive_mbrl.plan\n", ["adaptive_mbrl.plan"]),
        ("from sim.benchmark import train_suit\n", ["sim.benchmark.train_suit"]),
        ("from sim.benchmark import train_suite as module\nfrom adaptive_mbrl import __version__\nimport simple\n", []),
    ],
)
def test_a_missing_module_is_found(source: str, missing: list[str]):
    assert missing_modules(source) == missing


ROS_MODULES = {f"robot_bridge/node/{name}.py" for name in ("lifecycle", "launching", "executables")}
BAG_MODULES = {f"robot_bridge/bags/{name}.py" for name in ("recorder", "types")}


@pytest.mark.parametrize("path", sorted(str(p.relative_to(ROOT)) for p in (ROOT / "robot_bridge").rglob("*.py")))
def test_a_middleware_stays_in_its_modules(path: str):
    names = {name for name, _, _ in imported((ROOT / path).read_text(encoding="utf-8"))}

    allowed = {"rosbags"} if path in BAG_MODULES else set()
    assert not names & (ROS - allowed) or path in ROS_MODULES or path.startswith("robot_bridge/middleware/")


def sources() -> list[str]:
    return sorted(str(p.relative_to(ROOT)) for package in FORBIDDEN for p in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources())
def test_imports_point_one_way(path: str):
    assert violations(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("adaptive_mbrl/planning/cem.py", "import mujoco\n"),
        ("adaptive_mbrl/planning/cem.py", "from sim.robot.robot import load_robot\n"),
        ("adaptive_mbrl/planning/cem.py", "def f():\n    import sim.simulation.batch as b\n"),
        ("adaptive_mbrl/planning/cem.py", "import importlib\nimportlib.import_module('dm_control.suite')\n"),
        ("adaptive_mbrl/planning/cem.py", "try:\n    import numpy, rclpy\nexcept ImportError:\n    pass\n"),
        ("adaptive_mbrl/cli.py", "from sim import commands\n"),
        ("adaptive_mbrl/cli.py", "def f():\n    import mujoco\n"),
        ("sim/simulation/batch.py", "from robot_bridge import node\n"),
        ("robot_bridge/node/lifecycle.py", "def f():\n    from sim import robot\n"),
    ],
)
def test_a_wrong_arrow_is_found(path: str, source: str):
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("adaptive_mbrl/planning/cem.py", "import torch\nfrom . import sim\nfrom adaptive_mbrl.simplex import x\n"),
        ("adaptive_mbrl/cli.py", "def f():\n    from sim import commands\n"),
        ("sim/simulation/batch.py", "import mujoco\nfrom adaptive_mbrl.spec import RobotSpec\n"),
        ("robot_bridge/simulated/robot.py", "from sim.simulation.batch import BatchSimulation\n"),
    ],
)
def test_a_right_arrow_is_left_alone(path: str, source: str):
    assert violations(path, source) == []


def test_importing_the_whole_core_loads_no_physics():
    modules = [path.removesuffix(".py").replace("/", ".") for path in sources() if path.startswith("adaptive_mbrl/")]
    modules = [m.removesuffix(".__init__") for m in modules if not m.endswith(".__main__")]
    program = (
        "import sys, importlib\nfor m in sys.argv[1:]: importlib.import_module(m)\nprint(*{n.split('.')[0] for n in sys.modules})"
    )

    result = subprocess.run([sys.executable, "-c", program, *modules], capture_output=True, text=True, cwd=ROOT, check=True)

    loaded = set(result.stdout.split())
    assert "adaptive_mbrl" in loaded
    assert loaded & FORBIDDEN["adaptive_mbrl"] == set()


SLOW_TO_LOAD = ("matplotlib", "scipy")
USING_THEM = {
    *("adaptive_mbrl/bench/pictures.py", "adaptive_mbrl/compare/pictures.py", "adaptive_mbrl/stores/histograms.py"),
    *("adaptive_mbrl/logs/stamps.py", "sim/benchmark/pictures.py", "sim/benchmark/statistics.py"),
}
"""Modules of commands that always need them."""


def test_a_command_that_neither_draws_nor_tests_significance_does_not_load_what_that_takes():
    """Both together would make each start of a command, and of each collector of a training, slower by a third."""
    at_import = re.compile(rf"^(?:from|import) (?:{'|'.join(SLOW_TO_LOAD)})\b", re.MULTILINE)
    found = {path for path in sources() if at_import.search((ROOT / path).read_text(encoding="utf-8"))}

    assert found == USING_THEM


def test_launch_is_no_package():
    """An __init__.py there would shadow ROS's own `launch`."""
    assert not (ROOT / "launch" / "__init__.py").exists()


FLOORS = {
    "adaptive_mbrl": (
        {
            "errors",
            "angles",
            "pseudo_huber",
            "config",
            "storage",
            "revision",
            "spec",
            "units",
            "transitions",
            "stamp_order",
            "process",
            "distributed",
            "runtime",
            "device",
            "console",
            "extras",
            "lazy_names",
            "file_lock",
            "progress",
            "options",
            "mistyped",
            "schema",
            "pages",
            "machine",
            "intervals",
            "timing",
        },
        {"healthy", "viewing"},
        {"objective"},
        {"dump"},
        {"predictor"},
        {"data"},
        {"logs"},
        {"stores"},
        {"dynamics"},
        {"adaptation"},
        {"planning"},
        {"checkpoint_v1", "canary", "diagnosis"},
        {"checkpoint"},
        {"control"},
        {"meta"},
        {"controller"},
        {"training"},
        {"sweeps", "hub", "compare", "bench", "export"},
        {"file_kinds"},
        {"validate", "schema_files"},
        {"cli"},
        {"__main__"},
    ),
    "sim": (
        {"paths"},
        {"robot_file"},
        {"robot"},
        {"scenarios"},
        {"simulation"},
        {"environment", "identification"},
        {"episodes"},
        {"training"},
        {"baselines"},
        {"evaluation"},
        {"info", "demo", "replay", "benchmark", "diagnosis", "viewing", "init"},
        {"commands", "files", "checks", "catalog"},
    ),
}
"""The rooms of a package from the ground up; a room imports from itself and from floors below it."""
APART = ({"meta", "control"}, {"training", "evaluation"}, {"adaptation", "planning"})
"""Rooms that are neighbours: none of a set imports from another."""


def room_arrows(package: str) -> Iterator[tuple[str, str, str]]:
    """File, its room and the room that it imports from, of every import within a package."""
    for path in (p for p in sources() if p.startswith(f"{package}/") and not p.endswith(f"{package}/__init__.py")):
        room = path.split("/")[1].removesuffix(".py")
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
                yield path, room, (node.module or "").split(".")[1]


@pytest.mark.parametrize("package", FLOORS)
def test_no_room_imports_from_a_floor_above(package: str):
    floor = {room: i for i, rooms in enumerate(FLOORS[package]) for room in rooms}
    found = list(room_arrows(package))

    assert {room for _, room, _ in found} <= set(floor)
    assert [arrow for arrow in found if floor[arrow[1]] < floor[arrow[2]]] == []
    assert [a for a in found for rooms in APART if {a[1], a[2]} <= rooms and a[1] != a[2]] == []


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_in_a_circle(package: str):
    graph: dict[str, set[str]] = {}
    for path in (p for p in sources() if p.startswith(f"{package}/")):
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        graph[module] = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    order = graphlib.TopologicalSorter({m: {i for i in imports if i in graph and i != m} for m, imports in graph.items()})

    order.prepare()  # raises CycleError
