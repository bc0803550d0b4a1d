"""A robot of MuJoCo Menagerie, through its package."""

from __future__ import annotations

from pathlib import Path

from sim.init.origins.origin import Origin, read_spec
from sim.paths import menagerie_robot, mjcf_path


def from_menagerie(name: str) -> Origin:
    """Load a robot of Menagerie with the floor that its own scene has.

    Args:
        name: the robot, such as ``unitree_go2``, or one of its models, such as ``unitree_go2/go2.xml``.
    """
    robot, _, file = name.partition("/")
    found = menagerie_robot(robot)
    reference = f"menagerie:{robot}/{file or found.entry().file}"
    path = mjcf_path(reference, Path())
    return Origin(read_spec(path, reference), reference, f"{found.display_name} of MuJoCo Menagerie", path.parent)
