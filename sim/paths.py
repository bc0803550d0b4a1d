"""Where robots, scenarios and MJCF files are found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package

_HERE = Path(__file__).resolve().parent
_PACKAGED_MODELS = {"gymnasium": ("gymnasium", "envs/mujoco/assets"), "dm_control": ("dm_control", "suite")}
MJCF_PREFIXES = (*_PACKAGED_MODELS, "package", "menagerie")
"""What may stand before the colon of an MJCF reference."""


def config_root() -> Path:
    """The folder `configs`: inside this package in an installed wheel, beside it in a source tree."""
    packaged = _HERE / "configs"
    return packaged if packaged.is_dir() else _HERE.parent / "configs"


_ONE = {"robots": "robot", "scenarios": "scenario", "train": "training configuration", "suites": "suite", "bridge": "bridge file"}
"""What one file of a kind is called."""


def find_config(kind: str, name_or_path: str | Path, part: str = "") -> Path:
    """Find a YAML file by its shipped name or by its path.

    Args:
        kind: sub-folder of `configs`, such as ``robots`` or ``scenarios``.
        name_or_path: a name such as ``half_cheetah`` or ``half_cheetah/cadm_cripple``, or the path of any YAML file.
        part: the part of a split that the user named after a colon; a message keeps it, so that its hint works as it stands.
    """
    text = str(name_or_path)
    shipped = config_root() / kind / f"{text}.yaml"
    if not text.endswith((".yaml", ".yml")) and shipped.is_file():
        return shipped
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml", ".py"):
        raise ConfigError(f"{text}: no such file")
    known = known_configs(kind)
    ending = f":{part}" if part else ""
    # a name without its folder means the one that has it in a folder, however near another one is
    meant = [name for name in known if name.endswith(f"/{text}")]
    hint = did_you_mean(meant[0] + ending if meant else text + ending, [name + ending for name in known])
    # what lies in folders is for those who know it is there
    listed = ", ".join(name for name in known if "/" not in name) or ", ".join(known) or "none"
    one = _ONE.get(kind, kind)
    raise ConfigError(f"unknown {one} '{text}'{hint}; known {one}s: {listed}; or the path of a .yaml file")


def beside(file: Path, name: str) -> str:
    """What a YAML file means by the name of another one: a file that lies beside it by its path, any other name as it is.

    Args:
        file: the file that names the other one.
        name: a path relative to `file`, or a shipped name; the part of a split may follow after a colon.
    """
    return str(file.parent / name) if (file.parent / name.partition(":")[0]).is_file() else name


def config_name(kind: str, path: Path) -> str:
    """The shipped name of a YAML file, or its path if it is not a shipped one."""
    root = (config_root() / kind).resolve()
    inside = path.resolve().is_relative_to(root)
    return path.resolve().relative_to(root).with_suffix("").as_posix() if inside else str(path)


def known_configs(kind: str) -> tuple[str, ...]:
    """Names of the shipped YAML files of one kind."""
    root = config_root() / kind
    return tuple(sorted(p.relative_to(root).with_suffix("").as_posix() for p in root.rglob("*.yaml")))


def mjcf_path(reference: str, base: Path) -> Path:
    """The file behind an MJCF reference.

    Args:
        reference: the MJCF: ``gymnasium:ant.xml``, ``dm_control:cartpole.xml``, ``menagerie:unitree_go2/scene.xml``,
            ``package:arm.xml`` (shipped here) or a path.
        base: the folder that a relative path starts from.
    """
    prefix, _, rest = reference.partition(":")
    if prefix == "package":
        path = _HERE / "robot" / "assets" / rest
    elif prefix == "menagerie":
        path = _menagerie_path(reference, rest)
    elif prefix in _PACKAGED_MODELS:
        package, folder = _PACKAGED_MODELS[prefix]
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise ConfigError(f"mjcf '{reference}': the package '{package}' is not installed")
        path = Path(found.submodule_search_locations[0]) / folder / rest
    else:
        path = base / reference
    if not path.is_file():
        allowed = f"{', '.join(f'{known}:FILE' for known in MJCF_PREFIXES)} or a path"
        raise ConfigError(f"mjcf '{reference}': no such file: {path}; allowed: {allowed}")
    return path


def menagerie_robot(name: str) -> Any:
    """What the package of MuJoCo Menagerie knows of a robot; nothing is downloaded.

    Raises:
        ConfigError: the package is not installed, or it has no such robot.
    """
    package = extra_package("mujoco_menagerie", "menagerie")
    try:
        return package.get(name)
    except package.MenagerieError as error:
        known = package.names()
        hint = did_you_mean(name, known) or f"; robots: {', '.join(known)}"
        raise ConfigError(f"menagerie: unknown robot '{name}'{hint}") from error


def _menagerie_path(reference: str, rest: str) -> Path:
    """The file of a robot of Menagerie, which its package downloads when it is used for the first time."""
    robot, _, file = rest.partition("/")
    package = extra_package("mujoco_menagerie", "menagerie")
    try:
        folder = Path(menagerie_robot(robot).path())
    except package.MenagerieError as error:
        raise ConfigError(
            f"mjcf '{reference}': the files are not here: {error}; the environment variable MENAGERIE_ROOT may name a folder "
            "that holds them"
        ) from error
    return folder / file
