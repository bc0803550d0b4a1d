"""Reading a robot's YAML file, which may be a variant of another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from adaptive_mbrl.config import read_mapping
from adaptive_mbrl.errors import ConfigError
from sim.paths import find_config


def read_robot(path: Path, variants: tuple[Path, ...] = ()) -> Mapping[str, Any]:
    """The keys of a robot's file, completed by those of the file that it extends.

    Args:
        path: the file.
        variants: the files that lead here by `extends`.
    """
    content = dict(read_mapping(path))
    base = content.get("extends")
    if base is None:
        return content
    if not isinstance(base, str):
        raise ConfigError(f"{path}: key 'extends': expected a robot's name or file, got {base!r}")
    beside = path.parent / base
    is_file = base.endswith((".yaml", ".yml")) and beside.is_file()
    base_path = beside if is_file else find_config("robots", base)
    chain = (*variants, path.resolve())
    if base_path.resolve() in chain:
        raise ConfigError(f"{path}: key 'extends': '{base}' extends this file itself; allowed: a robot that does not")
    inherited = dict(read_robot(base_path, chain))
    inherited["name"] = inherited.get("name", base_path.stem)
    mjcf = inherited.get("mjcf")
    if isinstance(mjcf, str) and ":" not in mjcf:
        # a path in a file is relative to that file
        inherited["mjcf"] = str(base_path.parent.resolve() / mjcf)
    return {**inherited, **content}


def is_environment(path: Path) -> bool:
    """Whether a robot's file describes an environment: a Python file, or YAML with the key `environment`."""
    return path.suffix == ".py" or "environment" in read_robot(path)


def robot_text(path: Path) -> str:
    """A robot's file as a text that stands alone: the file itself, or a variant together with what it extends."""
    content: Mapping[str, Any] = {} if path.suffix == ".py" else read_robot(path)
    if "extends" not in content:
        return path.read_text(encoding="utf-8")
    return yaml.safe_dump({k: v for k, v in content.items() if k != "extends"}, sort_keys=False, allow_unicode=True)
