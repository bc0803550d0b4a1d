"""What pip installs: pinned versions, and packages that carry all that they need and run without a checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adaptive_mbrl import __version__, cli

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


def test_the_version_is_the_same_wherever_it_stands():
    package = ElementTree.parse(ROOT / "package.xml").getroot().findtext("version")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)

    assert package == citation["version"] == __version__
    # what is not released yet stands above; a changelog from before the first release has nothing else
    assert [heading for heading in headings if heading != "Unreleased"][:1] in ([__version__], [])


def test_the_citation_names_the_project_as_its_metadata_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == project["license"]["text"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    assert {"title", "message", "type", "abstract"} <= set(citation)


@pytest.mark.parametrize("form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_a_form_for_issues_is_one(form: Path):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert content == {"blank_issues_enabled": True}
        return

    assert {"name", "description", "body"} <= set(content)
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) >= 4
    assert all(field["attributes"]["label"] for field in fields)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and in `from_sdist/` and `from_tree/` the wheels that are built from it and from the checkout."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--outdir"]
    subprocess.run([*build, str(folder), "--sdist", str(ROOT)], check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    subprocess.run([*build, str(folder / "from_sdist"), "--wheel", str(source)], check=True, capture_output=True)
    subprocess.run([*build, str(folder / "from_tree"), "--wheel", str(ROOT)], check=True, capture_output=True)
    return folder


def wheel(built: Path, source: str) -> Path:
    (found,) = (built / source).glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_carries_configs_assets_checkpoints_types_and_licence(built: Path):
    with zipfile.ZipFile(wheel(built, "from_tree")) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"adaptive_mbrl-{__version__}.dist-info/METADATA").decode()

    wanted = {f"sim/{p.relative_to(ROOT)}" for ending in ("yaml", "json") for p in (ROOT / "configs").rglob(f"*.{ending}")}
    for folder in ("sim/robot/assets", "adaptive_mbrl/pretrained"):
        wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.is_file()}
    for package in ("sim", "adaptive_mbrl"):
        wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / package).rglob("*.j2")}
    assert {"sim/benchmark/report.html.j2", "adaptive_mbrl/pages/base.html.j2"} <= wanted
    wanted.add(f"adaptive_mbrl-{__version__}.dist-info/licenses/LICENSE")
    wanted |= {f"{package}/py.typed" for package in ("adaptive_mbrl", "sim", "robot_bridge")}
    assert "sim/configs/robots/half_cheetah.yaml" in wanted
    assert wanted - names == set()
    assert not any(name.startswith(("tests/", "launch/", "docs/", "configs/")) for name in names)
    assert "Classifier: Typing :: Typed" in metadata


@pytest.mark.slow
def test_the_sdist_builds_an_equal_wheel(built: Path):
    made, expected = wheel(built, "from_sdist"), wheel(built, "from_tree")

    assert made.name == expected.name
    assert made.read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_the_sdist_holds_all_that_git_knows(built: Path):
    (source,) = (built / "unpacked").iterdir()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout: nobody knows which files belong to it")

    there = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert set(listed.stdout.splitlines()) - there == set()


def commands_without_a_checkout() -> list[list[str]]:
    lists = [["list"]] if "list" in [command.name for command in cli.COMMANDS] else []
    return [["--version"], ["--help"], ["info"], *lists, ["demo", "--quick", "--no-video", "--checkpoint", "cartpole"]]


@pytest.mark.slow
def test_the_wheel_runs_in_a_new_environment_without_a_checkout(built: Path, tmp_path: Path):
    """The wheel and its dependencies, as pip finds them; without a build of torch for the CPU these are some gigabytes."""
    venv.create(tmp_path / "venv", with_pip=True)
    binaries, work = tmp_path / "venv" / "bin", tmp_path / "work"
    work.mkdir()
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binaries / words[0], *words[1:]], cwd=work, env=clean, capture_output=True, text=True)

    installed = run("pip", "install", "--constraint", str(ROOT / "constraints.txt"), str(wheel(built, "from_sdist")))
    results = {words[0]: run("adaptive-mbrl", *words) for words in commands_without_a_checkout()}
    place = run("python", "-c", "import adaptive_mbrl, robot_bridge, sim; print(sim.__file__)").stdout.strip()

    assert installed.returncode == 0, installed.stderr
    assert Path(place).is_relative_to(tmp_path / "venv")
    assert {name: result.stderr for name, result in results.items() if result.returncode} == {}
    assert results["--version"].stdout == f"adaptive-mbrl {__version__}\n"
    assert sorted(path.name for path in (work / "runs" / "demo").iterdir()) == ["recovery.png", "report.json"]
    assert {path.name for path in work.iterdir()} <= {"runs", "MUJOCO_LOG.TXT"}


TYPED = """
from adaptive_mbrl import AdaptiveController
from robot_bridge import SafetySupervisor
from sim import load_robot

reveal_type(AdaptiveController.load("cartpole").step)
reveal_type(load_robot("cartpole").spec.dt)
reveal_type(SafetySupervisor.__init__)
from adaptive_mbrl import AdaptivController
"""


@pytest.mark.slow
def test_a_type_checker_sees_the_types_of_an_installed_wheel(built: Path, tmp_path: Path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site")]
    subprocess.run([*install, str(wheel(built, "from_tree"))], check=True)
    (tmp_path / "script.py").write_text(TYPED)
    check = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "script.py"]

    shown = subprocess.run(check, cwd=tmp_path, env={**os.environ, "MYPYPATH": "site"}, capture_output=True, text=True).stdout

    assert "options: adaptive_mbrl.control.inputs.StepOptions" in shown
    assert 'Revealed type is "float"' in shown.replace("builtins.", "")
    assert 'has no attribute "AdaptivController"' in shown
    assert shown.count("error:") == 1


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
