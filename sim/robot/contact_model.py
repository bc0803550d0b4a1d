"""A robot's MJCF as a model that is only asked what touches: its own parts, and named obstacles that stand still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from sim.robot.elements import find_elements
from sim.robot.robot import Robot, mjcf_of

OF_ROBOT, OF_OBSTACLE = 1, 2
"""Bits by which MuJoCo decides which geoms may touch."""


@dataclass(frozen=True)
class ContactRules:
    """What may not touch.

    Attributes:
        self_collision: whether parts of the robot may not touch each other.
        obstacles: names of geoms that stand still.
        boxes: further obstacles: the corners with the smallest and the largest x, y and z [m], by name.
        clearance: distance below which two geoms count as touching [m].
        allowed: pairs of names that may touch.
        distances: pairs of names with a distance of their own [m], by name.
    """

    self_collision: bool = True
    obstacles: Sequence[str] = ()
    boxes: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    clearance: float = 0.0
    allowed: Sequence[Sequence[str]] = ()
    distances: Mapping[str, tuple[str, str, float]] = field(default_factory=dict)


class ContactModel:
    """The model and the names of its geoms.

    The robot's parts are the geoms that move, and of these only those that can touch something in the MJCF, if there are any:
    the others are for looks. Neighbours never touch, by MuJoCo's own rule.

    Args:
        robot: the robot.
        rules: what may not touch.

    Attributes:
        model: the model, in which everything that may not touch comes into contact below the clearance.
        names: the name of each geom, (ngeom,); that of its body for one without a name.
        geoms: the geoms of each name.
        kinds: whether each geom is of the robot, an obstacle, or neither (0), (ngeom,).

    Raises:
        ConfigError: the MJCF has no geom of some name.
    """

    def __init__(self, robot: Robot, rules: ContactRules) -> None:
        mjcf = mjcf_of(robot.path)
        mjcf.option.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
        for name, (low, high) in rules.boxes.items():
            center, half = (np.add(high, low) / 2, np.subtract(high, low) / 2)
            mjcf.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=center, size=half)
        model = mjcf.compile()
        self.geoms: Mapping[str, NDArray[np.int64]] = find_elements(robot.name, model, ()).geoms
        known = self._require_names(robot, rules, model)
        self.kinds = self._kinds(model, [i for name in known for i in self.geoms[name]])
        for geom in mjcf.geoms:
            kind = int(self.kinds[geom.id])
            geom.contype = kind
            of_itself = OF_ROBOT if rules.self_collision else 0
            geom.conaffinity = of_itself | OF_OBSTACLE if kind == OF_ROBOT else 0
            geom.margin, geom.gap = rules.clearance, 0.0
        self.model = mjcf.compile()
        self.names = np.array([""] * model.ngeom, dtype=object)
        for name, indices in self.geoms.items():
            self.names[indices] = name

    def _require_names(self, robot: Robot, rules: ContactRules, model: mujoco.MjModel) -> list[str]:
        """The names of the obstacles; refuses names that the MJCF does not have, and obstacles that move."""
        paired = [name for pair in rules.allowed for name in pair] + [n for *pair, _ in rules.distances.values() for n in pair]
        for name in (*rules.obstacles, *paired):
            if name not in self.geoms:
                hint, known = did_you_mean(name, self.geoms), ", ".join(self.geoms)
                raise ConfigError(f"unknown geom '{name}'{hint} of robot '{robot.name}'; known geoms: {known}")
        for name in rules.obstacles:
            if (model.body_weldid[model.geom_bodyid[self.geoms[name]]] != 0).any():
                raise ConfigError(f"'obstacles': '{name}' moves; allowed: geoms that stand still")
        return [*rules.obstacles, *rules.boxes]

    @staticmethod
    def _kinds(model: mujoco.MjModel, obstacles: Sequence[int]) -> NDArray[np.int64]:
        moves = model.body_weldid[model.geom_bodyid] != 0
        can_touch = moves & ((model.geom_contype != 0) | (model.geom_conaffinity != 0))
        kinds = np.where(can_touch if can_touch.any() else moves, OF_ROBOT, 0).astype(np.int64)
        kinds[list(obstacles)] = OF_OBSTACLE
        return kinds
