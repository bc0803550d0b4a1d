"""The reference of the Python interface: what the packages list in `__all__`, one page per subject, from the docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("adaptive_mbrl", "sim", "robot_bridge")
FOLDER = "reference/python"


class Subject(NamedTuple):
    """A page of the reference.

    Attributes:
        title: its title.
        about: one or two sentences about it.
        places: the modules whose public names it shows, or packages of such modules.
    """

    title: str
    about: str
    places: tuple[str, ...]


SUBJECTS = {
    "controller": Subject(
        "Controller",
        "The controller that runs in simulation and on a robot: observe, adapt, plan, act. Everything is an array.",
        ("adaptive_mbrl.runtime", "adaptive_mbrl.controller", "adaptive_mbrl.control"),
    ),
    "checkpoints": Subject(
        "Checkpoints",
        "What a training leaves, and where it can be kept.",
        ("adaptive_mbrl.checkpoint", "adaptive_mbrl.canary", "adaptive_mbrl.hub"),
    ),
    "robots": Subject(
        "Channels and rewards",
        "What a robot is to the controller: named channels with units and limits, and what it is rewarded for.",
        ("adaptive_mbrl.spec", "adaptive_mbrl.objective", "adaptive_mbrl.errors"),
    ),
    "adaptation": Subject(
        "Adaptation",
        "What turns recent transitions into a belief, and a belief into a predictor. [Examples](../../extending.md).",
        ("adaptive_mbrl.predictor", "adaptive_mbrl.transitions", "adaptive_mbrl.adaptation", "adaptive_mbrl.dynamics"),
    ),
    "planning": Subject("Planning", "What searches for actions under a predictor.", ("adaptive_mbrl.planning",)),
    "training": Subject(
        "Episodes and training",
        "Recorded episodes, and trainings from them. Trainings in simulation are on the next page.",
        ("adaptive_mbrl.data", "adaptive_mbrl.meta", "adaptive_mbrl.training"),
    ),
    "simulation": Subject("Simulation", "Robots in MuJoCo, how they change, and how controllers are evaluated there.", ("sim",)),
    "bridge": Subject("Robot bridge", "Between a middleware and the controller; it supervises every command.", ("robot_bridge",)),
}


def public_names() -> dict[str, str]:
    """Every public name, as users import it, with the module that defines it."""
    found = {}
    for package in PACKAGES:
        module = griffe.load(package, search_paths=[str(ROOT)], submodules=False, allow_inspection=False)
        for name in sorted(str(export) for export in module.exports or ()):
            member = module.members[name]
            found[f"{package}.{name}"] = member.target_path.rpartition(".")[0] if isinstance(member, griffe.Alias) else package
    return found


def subject_of(module: str) -> str:
    """The page that a module belongs to: that with the longest matching place.

    Raises:
        PluginError: no page is for it.
    """
    places = [(place, name) for name, subject in SUBJECTS.items() for place in subject.places]
    matching = [(len(place), name) for place, name in places if f"{module}.".startswith(f"{place}.")]
    if not matching:
        raise PluginError(f"docs/hooks/python_pages.py: no subject is for the public module {module}")
    return max(matching)[1]


def names_by_subject() -> dict[str, list[str]]:
    """The public names of each page, those of one module side by side in the order of `places`."""
    modules = public_names()
    return {
        name: [
            n for place in subject.places for n, m in modules.items() if subject_of(m) == name and f"{m}.".startswith(f"{place}.")
        ]
        for name, subject in SUBJECTS.items()
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    rows = []
    for name, public in names_by_subject().items():
        subject = SUBJECTS[name]
        content = f"# {subject.title}\n\n{subject.about}\n\n" + "".join(f"::: {identifier}\n\n" for identifier in public)
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=content))
        listed = ", ".join(f"[`{n.rpartition('.')[2]}`][{n}]" for n in public)
        rows.append(f"| [{subject.title}]({name}.md) | {listed} |")
    index = "# Python\n\nWhat the packages list in `__all__`, from the docstrings. Everything else may change at any time.\n\n"
    table = "| subject | public names |\n|---|---|\n" + "\n".join(rows) + "\n"
    files.append(File.generated(config, f"{FOLDER}/index.md", content=index + table))
    return files
