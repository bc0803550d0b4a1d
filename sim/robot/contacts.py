"""Which parts of a robot come near each other, or near obstacles, along trajectories of observations: MuJoCo's own contacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.robot.contact_model import OF_OBSTACLE, OF_ROBOT, ContactModel, ContactRules
from sim.robot.poses import PoseReader
from sim.robot.robot import Robot

Array = NDArray[np.float64]
SHIFT, POSES = 0.1, 4
"""How far a joint is moved to see whether a part comes nearer to a plane, and at how many poses [m or rad]."""
STAYS = 1e-9
"""Largest motion against a plane that is none [m]."""


@dataclass(frozen=True)
class Approach:
    """Two parts that come nearer than they may.

    Attributes:
        between: the names of the two parts, in alphabetical order.
        low: the smallest allowed distance [m].
        distances: their distance at each pose, (P, S) [m], negative where they overlap; infinite where it is not below `low`.
    """

    between: tuple[str, str]
    low: float
    distances: Array


class Geometry:
    """Points and contacts of a robot at poses that are read from its observations.

    Parts of the robot that are nearer to each other than the clearance in its initial state are never looked at, nor are parts
    that overlap an obstacle of the MJCF there, such as an arm's base and its plinth: they are made so.

    Args:
        robot: the robot.
        points: names of sites or bodies whose places are asked for.
        rules: what may not touch; None for nothing.

    Raises:
        ConfigError: a name is unknown, or the observations do not tell where the robot is.
    """

    def __init__(self, robot: Robot, points: Sequence[str] = (), rules: ContactRules | None = None) -> None:
        self._reader, self._initial, self._dt = PoseReader(robot), robot.initial.qpos, robot.spec.dt
        self._contacts, self._rules = ContactModel(robot, rules or ContactRules(self_collision=False)), rules
        self._model = self._contacts.model
        self._data = mujoco.MjData(self._model)
        self._points = [_point(robot, self._model, name) for name in points]
        self._require_known(robot, rules)
        self._allowed = {_pair(*names) for names in (() if rules is None else rules.allowed)}
        if rules is not None:
            near = self._near(self._initial).items()
            self._allowed |= {pair for pair, distance in near if self._is_made_so(pair, distance, rules)}

    def places(self, obs: Array, step: float | None = None) -> Array:
        """The points at each observation.

        Args:
            obs: observations of P trajectories, (P, S, obs_dim). What is not observed begins as in the initial state.
            step: time between two of them [s]; a control period by default.

        Returns:
            Positions in the world [m], (P, S, number of points, 3).
        """
        found = np.empty((*obs.shape[:2], len(self._points), 3))
        for index in self._pose(obs, step):
            for k, (kind, i) in enumerate(self._points):
                found[index][k] = (self._data.site_xpos if kind == "site" else self._data.xpos)[i]
        return found

    def approaches(self, obs: Array, step: float | None = None) -> list[Approach]:
        """The pairs that come nearer than they may; arguments as for `places`."""
        assert self._rules is not None
        found: dict[tuple[str, str], Array] = {}
        limits = {_pair(*names): low for *names, low in self._rules.distances.values()}
        for index in self._pose(obs, step):
            near = {pair: d for pair, d in self._contact_distances().items() if pair not in self._allowed and pair not in limits}
            for pair, low in limits.items():
                distance = self._distance(*pair, low)
                near |= {pair: distance} if distance < low else {}
            for pair, distance in near.items():
                found.setdefault(pair, np.full(obs.shape[:2], np.inf))[index] = distance
        return [Approach(pair, limits.get(pair, self._rules.clearance), distances) for pair, distances in found.items()]

    def _pose(self, obs: Array, step: float | None) -> Iterator[tuple[int, int]]:
        """Place the model at each observation in turn; where one is not finite it stays where it was."""
        seconds = np.full(obs.shape[1], self._dt if step is None else step)
        # at the first observation nothing has moved yet
        seconds[:1] = 0.0
        poses = self._reader.poses(self._initial, obs, seconds)
        for index in np.ndindex(poses.shape[:2]):
            self._place(poses[index])
            yield index

    def _place(self, qpos: Array) -> None:
        if np.isfinite(qpos).all():
            self._data.qpos[:] = qpos
            mujoco.mj_kinematics(self._model, self._data)

    def _is_made_so(self, pair: tuple[str, str], distance: float, rules: ContactRules) -> bool:
        """Whether a pair is near in the initial state because the robot is built like that, and not because it stands there."""
        of_obstacle = [name for name in pair if (self._contacts.kinds[self._contacts.geoms[name]] == OF_OBSTACLE).any()]
        return not of_obstacle or (distance <= 0 and not any(name in rules.boxes for name in of_obstacle))

    def _near(self, qpos: Array) -> dict[tuple[str, str], float]:
        self._place(qpos)
        return self._contact_distances()

    def _contact_distances(self) -> dict[tuple[str, str], float]:
        """The smallest distance of each pair that is below the clearance, where the model is placed now [m]."""
        mujoco.mj_collision(self._model, self._data)
        if not self._data.ncon:
            return {}
        names, kinds = self._contacts.names, self._contacts.kinds
        clearance = 0.0 if self._rules is None else self._rules.clearance
        found: dict[tuple[str, str], float] = {}
        for (a, b), distance in zip(self._data.contact.geom.tolist(), self._data.contact.dist.tolist(), strict=True):
            # a pair that the MJCF itself names may be of neither kind
            are_meant = {kinds[a], kinds[b]} in ({OF_ROBOT}, {OF_ROBOT, OF_OBSTACLE})
            if are_meant and distance <= clearance:
                pair = _pair(names[a], names[b])
                found[pair] = min(distance, found.get(pair, np.inf))
        return found

    def _distance(self, one: str, other: str, low: float) -> float:
        """The distance of two parts, where the model is placed now; `low` if it is larger [m]."""
        geoms = self._contacts.geoms
        return min(
            mujoco.mj_geomDistance(self._model, self._data, int(a), int(b), low, None) for a in geoms[one] for b in geoms[other]
        )

    def _require_known(self, robot: Robot, rules: ContactRules | None) -> None:
        if not self._reader.is_complete:
            raise ConfigError(f"robot '{robot.name}': its observations do not tell where its parts are")
        if self._reader.is_absolute:
            return
        for key, name in self._placed(rules):
            if not self._is_moved_along(name):
                raise ConfigError(
                    f"'{key}': the observations of robot '{robot.name}' do not tell where it is, only how it is posed, so it "
                    f"cannot be told where it is to '{name}'; allowed: self_collision, and obstacles that are planes along which "
                    "it moves"
                )

    def _placed(self, rules: ContactRules | None) -> Iterator[tuple[str, str]]:
        """What stands somewhere in the world, or is asked for there, by the key that names it."""
        yield from (("points", name) for name in self._point_names())
        if rules is None:
            return
        yield from (("obstacles", name) for name in rules.obstacles)
        yield from (("boxes", name) for name in rules.boxes)
        stands = self._model.body_weldid[self._model.geom_bodyid] == 0
        apart = [name for *pair, _ in rules.distances.values() for name in pair]
        yield from (("distances", name) for name in apart if stands[self._contacts.geoms[name]].any())

    def _is_moved_along(self, name: str) -> bool:
        """Whether these geoms are planes, and motion that is not observed brings no part nearer to them."""
        geoms = self._contacts.geoms.get(name, np.empty(0, dtype=np.int64))
        is_plane = self._model.geom_type[geoms] == mujoco.mjtGeom.mjGEOM_PLANE
        if not len(geoms) or not is_plane.all():
            return False
        rng = np.random.default_rng(0)
        poses = [self._initial, *(self._initial + rng.uniform(-1.0, 1.0, (POSES - 1, len(self._initial))))]
        return all(self._stays(geoms, pose, column) for pose in poses for column in self._reader.integrated)

    def _stays(self, planes: NDArray[np.int64], qpos: Array, column: int) -> bool:
        """Whether all parts are as high above planes as before, and turned to them as before, when a joint has moved."""
        moved = qpos.copy()
        moved[column] += SHIFT
        return bool(np.abs(self._heights(planes, moved) - self._heights(planes, qpos)).max() < STAYS)

    def _heights(self, planes: NDArray[np.int64], qpos: Array) -> Array:
        """Each geom's position and axes along the normals of planes, (ngeom, 4, planes)."""
        self._place(qpos)
        normals = self._data.geom_xmat[planes].reshape(-1, 3, 3)[..., 2]
        axes = self._data.geom_xmat.reshape(-1, 3, 3).transpose(0, 2, 1)
        return np.concatenate([self._data.geom_xpos[:, None], axes], axis=1) @ normals.T

    def _point_names(self) -> list[str]:
        kinds = {"site": mujoco.mjtObj.mjOBJ_SITE, "body": mujoco.mjtObj.mjOBJ_BODY}
        return [mujoco.mj_id2name(self._model, kinds[kind], i) for kind, i in self._points]


def _point(robot: Robot, model: mujoco.MjModel, name: str) -> tuple[str, int]:
    """The kind and the number of a site, or else of a body."""
    for kind, objects in (("site", mujoco.mjtObj.mjOBJ_SITE), ("body", mujoco.mjtObj.mjOBJ_BODY)):
        found = mujoco.mj_name2id(model, objects, name)
        if found >= 0:
            return kind, found
    known = [*(model.site(i).name for i in range(model.nsite)), *(model.body(i).name for i in range(1, model.nbody))]
    raise ConfigError(f"unknown site or body '{name}' of robot '{robot.name}'; known: {', '.join(filter(None, known))}")


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)
