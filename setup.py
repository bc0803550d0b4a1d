"""For colcon only: what `pyproject.toml` says, in the form that ament_python reads. pip builds with hatchling instead."""

import tomllib
from pathlib import Path

from setuptools import find_namespace_packages, setup

HERE = Path(__file__).resolve().parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
NAME = "adaptive_mbrl"
VERSION = next(
    line.split('"')[1] for line in (HERE / NAME / "__init__.py").read_text().splitlines() if line.startswith("__version__")
)
SHARE = f"share/{NAME}"


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

distribution = setup(
    name=NAME,
    version=VERSION,
    packages=[*find_namespace_packages(include=["adaptive_mbrl*", "sim*", "robot_bridge*"]), *CONFIGS],
    package_dir=CONFIGS,
    package_data={"": ["*.yaml", "*.xml", "*.safetensors"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        *files_of("launch", "*.launch.py"),
        *files_of("configs", "*.yaml"),
        *files_of("configs", "*.xml"),
    ],
    entry_points={"console_scripts": [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]},
    zip_safe=False,
)
# colcon reads these back; from pyproject.toml setuptools puts an object there whose text form breaks colcon
distribution.python_requires = str(distribution.python_requires or "")
distribution.metadata.python_requires = str(distribution.metadata.python_requires or "")
