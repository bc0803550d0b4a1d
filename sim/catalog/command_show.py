"""The sub-command `show`: finds what a name means, and prints its card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from adaptive_mbrl.config import did_you_mean, read_mapping
from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import ShowOptions
from adaptive_mbrl.validate import kind_of as kind_of_file
from sim.catalog.card import Card, as_json, print_card
from sim.catalog.entries import ENTRIES, names_of
from sim.catalog.show_algorithm import show_planner, show_rule
from sim.catalog.show_checkpoint import show_checkpoint
from sim.catalog.show_robot import show_robot
from sim.catalog.show_scenario import show_scenario

CARDS: Mapping[str, Callable[[str], Card]] = {
    "robot": show_robot,
    "scenario": show_scenario,
    "checkpoint": show_checkpoint,
    "rule": show_rule,
    "planner": show_planner,
}


def show(options: ShowOptions) -> None:
    """Print the card of one thing."""
    card = CARDS[options.kind or kind_of(options.wanted)](options.wanted)
    if options.json:
        print(as_json(card))
        return
    print_card(card, make_console())


def kind_of(name: str) -> str:
    """What a name means.

    Args:
        name: a name that `list` gives, a split's part, the file of a robot or scenario, or a folder of a checkpoint or run.

    Raises:
        ConfigError: it means nothing, or several things.
    """
    path = Path(name)
    if path.is_dir():
        return "checkpoint"
    file = Path(name.rpartition(":")[0]) if not path.is_file() and ":" in name else path
    if file.suffix == ".py":
        return "robot"
    if file.suffix in (".yaml", ".yml"):
        return _kind_of_file(file)
    known = {kind.removesuffix("s"): names_of(kind) for kind in ENTRIES}
    plain = name.partition(":")[0]
    found = [kind for kind, names in known.items() if (plain if kind == "scenario" else name) in names]
    if len(found) > 1:
        ways = " or ".join(f"'show {kind} {name}'" for kind in found)
        raise ConfigError(f"show: '{name}' is a {' and a '.join(found)}; say {ways}")
    if not found:
        hint = did_you_mean(name, [one for names in known.values() for one in names])
        raise ConfigError(
            f"show: nothing is called '{name}'{hint}; 'adaptive-mbrl list' gives the names; or the path of a file or folder"
        )
    return found[0]


def _kind_of_file(path: Path) -> str:
    read_mapping(path)
    kind = kind_of_file(path)
    if kind is None or kind.name not in ("robot", "environment", "scenario", "split"):
        what = f"is a {kind.title}" if kind else "is none of our files"
        raise ConfigError(
            f"{path}: {what}; allowed: a robot, a scenario or a split; 'adaptive-mbrl validate {path}' checks any file"
        )
    return "robot" if kind.name in ("robot", "environment") else "scenario"
