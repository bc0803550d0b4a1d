"""The reference of the Python interface: one page per subject, which mkdocstrings fills from the docstrings of the sources."""

from __future__ import annotations

from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


class Subject(NamedTuple):
    """A page of the reference: its title, one sentence about it, and the modules that it shows."""

    title: str
    about: str
    modules: tuple[str, ...]


SUBJECTS = {
    "controller": Subject(
        "Controller",
        "The controller that runs in simulation and on a robot: observe, adapt, plan, act. Everything is an array.",
        ("runtime", "controller", "control.inputs", "control.step", "checkpoint"),
    ),
    "robots": Subject(
        "Channels and rewards",
        "What a robot is to the controller: named channels with units and limits, and what it is rewarded for.",
        ("spec", "objective", "healthy", "errors"),
    ),
    "adaptation": Subject(
        "Adaptation",
        "What turns recent transitions into a belief, and a belief into a predictor. [Extending](../../extending.md) has complete examples.",
        ("predictor", "transitions", "adaptation.base", "adaptation.rule", "adaptation.network_adapter", "dynamics.model"),
    ),
    "planning": Subject(
        "Planning",
        "What searches for actions under a predictor.",
        ("planning.base", "planning.sampling", "planning.score", "planning.value"),
    ),
    "data": Subject(
        "Episodes",
        "Recorded episodes, and the windows that a training draws from them.",
        ("data.episode", "data.episodes", "data.dataset", "data.windows"),
    ),
    "training": Subject(
        "Meta-training",
        "The outer loop, and what a training's file says.",
        ("meta.trainer", "training.config"),
    ),
    "simulation": Subject(
        "Simulation",
        "Robots in MuJoCo, and how they change.",
        (
            "sim.robot.robot",
            "sim.scenarios.change",
            "sim.scenarios.scenario",
            "sim.scenarios.distribution",
            "sim.scenarios.loading",
            "sim.simulation.batch",
            "sim.simulation.oracle",
            "sim.environment.scenario_env",
            "sim.environment.vector_env",
        ),
    ),
    "bridge": Subject(
        "Robot bridge",
        "What a middleware has to offer the bridge, and the bridge's file.",
        ("robot_bridge.middleware.transport", "robot_bridge.bridge_config"),
    ),
}


def full_name(module: str) -> str:
    """The module's whole name; those of the core are written without their package."""
    return module if module.startswith(("sim.", "robot_bridge.")) else f"adaptive_mbrl.{module}"


def page(subject: Subject) -> str:
    """The Markdown of a subject's page."""
    directives = "\n".join(f"::: {full_name(module)}\n" for module in subject.modules)
    return f"# {subject.title}\n\n{subject.about}\n\n{directives}"


def index() -> str:
    """The Markdown of the page that lists the subjects."""
    lines = [f"- [{subject.title}]({name}.md): {', '.join(f'`{full_name(m)}`' for m in subject.modules)}" for name, subject in SUBJECTS.items()]
    return "# Python\n\nWritten from the docstrings of the sources.\n\n" + "\n".join(lines) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    files.append(File.generated(config, "reference/python/index.md", content=index()))
    for name, subject in SUBJECTS.items():
        files.append(File.generated(config, f"reference/python/{name}.md", content=page(subject)))
    return files
