"""Another package named `sim` is refused with one line that says where it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, path: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    """Run the command line with folders in front of Python's path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(folder) for folder in (*path, ROOT))}
    command = [sys.executable, "-P", "-m", "adaptive_mbrl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def refusal(place: Path) -> str:
    return (
        f"error: another package named 'sim' is in the way: {place}; adaptive-mbrl needs its own, {ROOT / 'sim'}; "
        "remove the other one from Python's path, or install adaptive-mbrl into a virtual environment of its own\n"
    )


@pytest.mark.parametrize("command", ["info", "collect --robot cartpole", "simulated-robot --bridge b.yaml --scenario s"])
def test_another_package_named_sim_is_refused_and_not_run(command: str, tmp_path: Path):
    (tmp_path / "sim").mkdir()
    place = tmp_path / "sim" / "__init__.py"
    place.write_text("print('the other one')\n")

    result = run(*command.split(), path=(tmp_path,))

    assert (result.returncode, result.stdout, result.stderr) == (2, "", refusal(place))


def test_a_module_named_sim_is_refused_as_well(tmp_path: Path):
    (tmp_path / "sim.py").write_text("")

    assert run("info", path=(tmp_path,)).stderr == refusal(tmp_path / "sim.py")


def test_a_folder_without_code_is_no_other_package(tmp_path: Path):
    (tmp_path / "sim").mkdir()

    assert run("list", "robots", path=(tmp_path,)).returncode == 0


def installation(folder: Path, marker: bool) -> Path:
    """This project's packages as links in a folder, with `sim/__init__.py` replaced by that of another project or not."""
    (folder / "sim").mkdir(parents=True)
    (folder / "adaptive_mbrl").mkdir()
    for name in ("sim", "adaptive_mbrl"):
        for file in (ROOT / name).iterdir():
            if file.name not in ("__init__.py", "cli.py", "__pycache__"):
                (folder / name / file.name).symlink_to(file)
    for name in ("adaptive_mbrl/__init__.py", "adaptive_mbrl/cli.py"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "sim" / "__init__.py").write_text((ROOT / "sim" / "__init__.py").read_text() if marker else "")
    return folder


def test_a_package_that_was_installed_over_ours_is_refused(tmp_path: Path):
    assert run("list", "robots", path=(installation(tmp_path / "whole", marker=True),)).returncode == 0

    damaged = installation(tmp_path / "damaged", marker=False)
    result = run("list", "robots", path=(damaged,))

    assert result.returncode == 2
    assert result.stderr == refusal(damaged / "sim" / "__init__.py").replace(str(ROOT / "sim"), str(damaged / "sim"))


def test_halves_of_two_installations_are_refused_by_the_package_itself(tmp_path: Path):
    other = installation(tmp_path / "other", marker=True)
    program = f"import sys, adaptive_mbrl\nsys.path.insert(0, {str(other)!r})\nimport sim"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    result = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, env=environment)

    assert result.stderr.splitlines()[-1] == (
        f"adaptive_mbrl.errors.ConfigError: the packages {other / 'sim'} and {ROOT / 'adaptive_mbrl'} are parts of two "
        "installations of adaptive-mbrl; keep one of them"
    )
