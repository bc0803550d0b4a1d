"""The lines of `adaptive-mbrl list`, read from YAML files and from the first lines of sources; nothing heavy is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import read_mapping
from adaptive_mbrl.errors import ConfigError
from sim.paths import config_root, known_configs
from sim.robot_file import read_robot

PARTS = ("train", "validation", "test", "test_kinds")
CHECKPOINTS_OF_RUNS = ("*", "pulled/*", "*/checkpoint", "*/*/checkpoint", "*/*/seed_*/checkpoint")
"""Where checkpoints lie below the folder `runs`: those of `fine-tune` and `diagnose`, those of `pull`, those of trainings."""
_CORE = Path(str(resources.files("adaptive_mbrl")))


@dataclass(frozen=True)
class Entry:
    """One thing that can be shown.

    Attributes:
        name: its name, as other commands take it.
        facts: what a line about it says, by the heading of the column.
        about: what it is, in a sentence.
    """

    name: str
    facts: Mapping[str, Any]
    about: str


def robots() -> Iterator[Entry]:
    """The shipped robots."""
    for name in known_configs("robots"):
        path = config_root() / "robots" / f"{name}.yaml"
        content = read_robot(path)
        facts = {"channels": len(content["obs"]), "period [s]": content["dt"], "mjcf": Path(str(content["mjcf"])).name}
        yield Entry(name, facts, first_comment(path))


def scenarios() -> Iterator[Entry]:
    """The shipped scenarios and splits."""
    for name in known_configs("scenarios"):
        path = config_root() / "scenarios" / f"{name}.yaml"
        content = read_mapping(path)
        parts = [part for part in PARTS if part in content]
        facts = {"robot": content["robot"], "parts": ", ".join(parts) or "one scenario"}
        yield Entry(name, facts, first_comment(path))


def checkpoints() -> Iterator[Entry]:
    """The shipped checkpoints, and those in the folder `runs`."""
    for name, path in _checkpoint_files():
        try:
            yield _checkpoint(name, path)
        except (ConfigError, KeyError, TypeError):
            # of another program, or damaged; `show` says what is wrong
            yield Entry(name, dict.fromkeys(("robot", "rule", "env steps", "updates")), "cannot be read")


def _checkpoint_files() -> Iterator[tuple[str, Path]]:
    for path in sorted((_CORE / "pretrained").glob("*/checkpoint.yaml")):
        yield path.parent.name, path
    # two patterns can find the same one: `runs/pulled/checkpoint`
    found = dict.fromkeys(p for place in CHECKPOINTS_OF_RUNS for p in sorted(Path("runs").glob(f"{place}/checkpoint.yaml")))
    for path in found:
        yield str(path.parent), path


def _checkpoint(name: str, path: Path) -> Entry:
    content = read_mapping(path)
    provenance = content.get("provenance") or {}
    rules = content["adaptation"] if isinstance(content["adaptation"], list) else [content["adaptation"]]
    facts = {
        "robot": content["spec"]["name"],
        "rule": ", ".join(rule if isinstance(rule, str) else next(iter(rule)) for rule in rules),
        "env steps": provenance.get("env_steps"),
        "updates": provenance.get("updates"),
    }
    return Entry(name, facts, f"trained on {provenance.get('scenarios') or provenance.get('episodes_from') or 'recordings'}")


def rules() -> Iterator[Entry]:
    """The adaptation rules."""
    return _tagged("adaptation")


def planners() -> Iterator[Entry]:
    """The planners, without the settings of theirs that have names, too: all that look over a horizon."""
    return _tagged("planning", below="HorizonConfig")


def _tagged(room: str, below: str | None = None) -> Iterator[Entry]:
    """The algorithms of a room of the core: the classes with a constant TAG, which YAML files name them by.

    Args:
        room: the folder.
        below: only classes that inherit from this one.
    """
    sources = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((_CORE / room).glob("*.py"))}
    found = [(path, node) for path, tree in sources.items() for node in tree.body if isinstance(node, ast.ClassDef)]
    bases = {node.name: [base.id for base in node.bases if isinstance(base, ast.Name)] for _, node in found}

    def inherits(name: str) -> bool:
        return name == below or any(inherits(base) for base in bases.get(name, []))

    for path, node in found:
        if below is not None and not inherits(node.name):
            continue
        tags = [
            line.value.value
            for line in node.body
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == "TAG"
            if isinstance(line.value, ast.Constant)
        ]
        for tag in tags:
            about = (ast.get_docstring(sources[path]) or "").partition("\n")[0]
            yield Entry(str(tag), {"file": f"adaptive_mbrl/{room}/{path.name}"}, about)


ENTRIES: Mapping[str, Callable[[], Iterator[Entry]]] = {
    "robots": robots,
    "scenarios": scenarios,
    "checkpoints": checkpoints,
    "rules": rules,
    "planners": planners,
}
"""The lists, by what `list` calls them."""


def names_of(kind: str) -> list[str]:
    """The names of a list alone, for which no file of it has to be read."""
    if kind in ("robots", "scenarios"):
        return list(known_configs(kind))
    if kind == "checkpoints":
        return [name for name, _ in _checkpoint_files()]
    return [entry.name for entry in ENTRIES[kind]()]


def first_comment(path: Path) -> str:
    """The first sentence of the comment that a YAML file begins with; empty if it has none."""
    return re.split(r"(?<=[.!?]) (?=[A-Z`'])", leading_comment(path), maxsplit=1)[0]


def leading_comment(path: Path) -> str:
    """The comment that a YAML file begins with; empty if it has none."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(line for line in lines if not line.startswith("yaml-language-server"))
