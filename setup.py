"""For colcon only: what `pyproject.toml` says, in the form that ament_python reads. pip builds with hatchling instead."""

import tomllib
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.develop import develop

HERE = Path(__file__).resolve().parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
NAME = "adaptive_mbrl"
VERSION = next(
    line.split('"')[1] for line in (HERE / NAME / "__init__.py").read_text().splitlines() if line.startswith("__version__")
)
SHARE = f"share/{NAME}"


class Develop(develop):
    """--symlink-install, whose scripts also start with the environment's Python; setup.cfg cannot tell it."""

    def write_script(self, script_name: str, contents: str, *mode: str) -> None:
        """Write a script with another first line."""
        super().write_script(script_name, "#!/usr/bin/env python3\n" + contents.partition("\n")[2], *mode)


def files_of(folder: str, pattern: str) -> list[tuple[str, list[str]]]:
    """`data_files` entries of a folder tree; paths relative to this file, as setuptools wants them."""
    found = sorted(p.relative_to(HERE) for p in (HERE / folder).rglob(pattern))
    return [(f"{SHARE}/{parent}", [str(p) for p in found if p.parent == parent]) for parent in sorted({p.parent for p in found})]


# an installed sim finds the shipped YAML files inside of itself; to setuptools every folder of data is a package
CONFIGS = {"sim.configs": "configs"} | {
    f"sim.{'.'.join(folder.relative_to(HERE).parts)}": str(folder.relative_to(HERE))
    for folder in sorted((HERE / "configs").rglob("*"))
    if folder.is_dir()
}

# beside pyproject.toml setuptools has them from there; a build with --symlink-install runs where it is not
SCRIPTS = [] if Path("pyproject.toml").exists() else [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]

distribution = setup(
    name=NAME,
    version=VERSION,
    packages=[*find_namespace_packages(include=["adaptive_mbrl*", "sim*", "robot_bridge*"]), *CONFIGS],
    package_dir=CONFIGS,
    package_data={"": ["*.yaml", "*.xml", "*.safetensors", "*.j2", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        *files_of("launch", "*.launch.py"),
        *files_of("configs", "*.yaml"),
        *files_of("configs", "*.xml"),
        *files_of("configs", "*.json"),
    ],
    entry_points={"console_scripts": SCRIPTS} if SCRIPTS else {},
    cmdclass={"develop": Develop},
    zip_safe=False,
)
# colcon reads these back; from pyproject.toml setuptools puts an object there whose text form breaks colcon
for described in (distribution, distribution.metadata):
    described.python_requires = str(getattr(described, "python_requires", None) or "")
