"""What pip installs: pinned versions, and a wheel that carries its configs."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(n): v for n, v in (line.split("==") for line in lines if line and not line.startswith("#"))}


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_each_dependency_is_pinned_inside_its_range(requirement: Requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_no_pin_names_a_local_build():
    assert [version for version in pins().values() if "+" in version] == []


@pytest.mark.slow
def test_the_wheel_carries_configs_assets_and_checkpoints(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(ROOT), "--wheel-dir", str(tmp_path)], check=True
    )

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {f"sim/{p.relative_to(ROOT)}" for p in (ROOT / "configs").rglob("*.yaml")}
    for folder in ("sim/robot/assets", "adaptive_mbrl/pretrained"):
        wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.is_file()}
    for package in ("sim", "adaptive_mbrl"):
        wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / package).rglob("*.j2")}
    assert {"sim/benchmark/report.html.j2", "adaptive_mbrl/pages/base.html.j2"} <= wanted
    assert "sim/configs/robots/half_cheetah.yaml" in wanted
    assert wanted - names == set()
    assert not any(name.startswith(("tests/", "launch/", "docs/")) for name in names)


@pytest.mark.slow
def test_gymnasium_finds_the_scenarios_of_an_installed_wheel(tmp_path: Path):
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(ROOT), "--wheel-dir", str(tmp_path)]
    subprocess.run(wheel, check=True)
    (built,) = tmp_path.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site"), str(built)]
    subprocess.run(install, check=True)
    program = (
        "import gymnasium\n"
        "env = gymnasium.make('sim.environment:adaptive_mbrl/HalfCheetahCadmCripple-v0', part='test')\n"
        "import sim\n"
        "print(sim.__file__)\n"
        "print(env.reset(seed=0)[0].shape, gymnasium.make_vec('adaptive_mbrl/ArmMixed-v0', num_envs=2).reset(seed=0)[0].shape)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    ).stdout.splitlines()

    assert shown == [str(tmp_path / "site" / "sim" / "__init__.py"), "(18,) (2, 20)"]
