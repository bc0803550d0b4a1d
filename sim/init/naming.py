"""Names for what a model leaves without one, because files can only refer to what has a name."""

from __future__ import annotations

import mujoco

from sim.robot.elements import actuator_names


def give_names(spec: mujoco.MjSpec) -> tuple[str, ...]:
    """Name the joints and actuators that need a name.

    Args:
        spec: the model; it is edited.

    Returns:
        What was named, as parts of a sentence; nothing if all have names.
    """
    said = []
    joints = [j for j in spec.joints if not j.name]
    taken = {j.name for j in spec.joints}
    for number, joint in enumerate(spec.joints, start=1):
        if not joint.name:
            joint.name = _free(f"joint_{number}", taken)
    if joints:
        said.append(f"{_counted(len(joints), 'joint')} ({', '.join(j.name for j in joints[:3])}{' ...' if joints[3:] else ''})")
    names = actuator_names(spec.compile())
    clashing = [i for i, name in enumerate(names) if names.count(name) > 1 or (name and not _is_plain(name))]
    unnamed = [i for i in clashing if not spec.actuators[i].name]
    taken = set(names)
    for index in unnamed:
        spec.actuators[index].name = _free(f"motor_{index + 1}", taken)
    if unnamed:
        said.append(_counted(len(unnamed), "actuator"))
    return tuple(said)


def _is_plain(name: str) -> bool:
    return not name.startswith("actuator_")


def _free(wanted: str, taken: set[str]) -> str:
    name = wanted
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"
