"""Which robot a checkpoint is shown on, what happens to it by itself, and what the splits of the robot know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, Description, read_description
from adaptive_mbrl.errors import ConfigError
from sim.paths import known_configs
from sim.robot.robot import Robot, load_robot
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import find_scenario, load_scenario, parts_of
from sim.scenarios.scenario import Scenario

Source = Scenario | ScenarioDistribution
ENDLESS = 1_000_000
"""Control steps of an episode that nothing ends; at 20 Hz they take fourteen hours."""


@dataclass(frozen=True)
class Shown:
    """What is shown.

    Attributes:
        checkpoint: folder of the checkpoint, or name of a shipped one.
        robot: the robot.
        scenario: what happens by itself, and the seed.
        known: the scenarios and the parts of splits that say which changes the robot is known to have.
        presets: those of them whose changes are offered as buttons.
    """

    checkpoint: str
    robot: Robot
    scenario: Scenario
    known: tuple[Source, ...]
    presets: tuple[Source, ...]


def find_shown(checkpoint: str, scenario: str | None, seed: int) -> Shown:
    """Find robot and scenarios.

    Args:
        checkpoint: folder of a checkpoint or of a training run, or name of a shipped checkpoint.
        scenario: file or name of a scenario; None for a robot to which nothing happens by itself.
        seed: seed of the episode.

    Raises:
        ConfigError: there is no such scenario, or no robot can be found for the checkpoint.
    """
    run = Path(checkpoint) / "checkpoint"
    checkpoint = str(run) if (run / DESCRIPTION_FILE).is_file() else checkpoint
    about = read_description(checkpoint)
    if scenario is not None:
        course = load_scenario(scenario)
        robot, own = load_robot(course.robot), course.episode(0, seed)
        named = tuple(_parts(scenario))
    else:
        robot, trained = _robot_of(checkpoint, about)
        own = Scenario(str(robot.path), ENDLESS, seed)
        named = () if trained is None else tuple(_parts(trained))
    shipped = tuple(s for name in _names_of(robot) for s in _parts(name))
    presets = named or tuple(s for s in shipped if s.name.partition(":")[0].endswith(("/anything", "/demo")))
    return Shown(checkpoint, robot, own, (*named, *shipped), presets)


def _robot_of(checkpoint: str, about: Description) -> tuple[Robot, str | None]:
    """The checkpoint's robot, and the split that it was trained on; None for a shipped robot, whose splits are shipped, too."""
    name = about.spec.name
    if name in known_configs("robots") and (robot := load_robot(name)).spec == about.spec:
        return robot, None
    trained = str(about.provenance.get("scenarios", ""))
    try:
        course = load_scenario(trained)
    except ConfigError as error:
        raise ConfigError(
            f"{checkpoint}: its robot '{name}' is none of the shipped ones, and what it was trained on, '{trained}', is not "
            "found here; name a scenario of this robot with --scenario"
        ) from error
    return load_robot(course.robot), trained


def _names_of(robot: Robot) -> Iterator[str]:
    """The shipped scenarios and splits of a robot."""
    for name in known_configs("scenarios"):
        if name.partition("/")[0] == robot.name:
            yield name


def _parts(name: str) -> Iterator[Source]:
    """All parts of the split that a name belongs to, or the scenario itself."""
    path, _ = find_scenario(name)
    parts = parts_of(path)
    if not parts:
        yield load_scenario(path)
    for part in parts:
        yield load_scenario(f"{path}:{part}")
