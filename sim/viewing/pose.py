"""Where the parts of a robot are: its model under the change in force, and a point of it along observations."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.robot.poses import PoseReader
from sim.robot.robot import Robot
from sim.scenarios.change import Change, scale_vector
from sim.scenarios.size import sized_fields

Array = NDArray[np.float64]


class PosedModel:
    """A model that is only looked at: its lengths follow the change in force, and its state is set, not simulated.

    Args:
        robot: the robot.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.model = copy.deepcopy(robot.model)
        self.data = mujoco.MjData(self.model)

    def apply(self, change: Change) -> bool:
        """Take over the lengths of the robot under a change, and say whether any differs from before."""
        size = scale_vector(change.body_size, self.model.nbody, self._robot.elements.bodies)
        fields = sized_fields(self._robot.model, size)
        differs = any(not np.array_equal(getattr(self.model, name), value) for name, value in fields.items())
        for name, value in fields.items():
            getattr(self.model, name)[:] = value
        return differs

    def place(self, qpos: Array) -> None:
        """Move all parts to where they are at joint positions (nq,)."""
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self.data)


class PointReader:
    """Follows one point of the robot through observations, (x, y, z) in the world [m].

    The point is a site whose position is observed, if there is one: the hand of an arm. For a robot that moves about it is the
    first body, and for one that is fixed the last one. The joint positions for that are read from the observations. A position
    that is not observed, such as the place of a runner along its track, is integrated from its observed velocity.

    Args:
        robot: the robot.
        posed: its model.

    Raises:
        ConfigError: the observations do not tell where the robot is.
    """

    def __init__(self, robot: Robot, posed: PosedModel) -> None:
        self._posed, self._poses = posed, PoseReader(robot)
        self._site = _observed_site(robot)
        self._body = _followed_body(robot.model)
        if self._site is None and not self._poses.is_complete:
            raise ConfigError(f"robot '{robot.name}': its observations do not tell where it is")

    def here(self) -> Array:
        """The point where the model is placed now, (3,)."""
        data = self._posed.data
        return np.array(data.xipos[self._body] if self._site is None else data.site_xpos[self._site[0]])

    def points(self, qpos: Array, obs: NDArray[np.floating]) -> Array:
        """The point along futures.

        Args:
            qpos: joint positions from which the futures begin, (nq,).
            obs: the observations after each of their steps, (R, H, obs_dim).

        Returns:
            The point now and after each step, (R, H + 1, 3).
        """
        self._posed.place(qpos)
        found = np.empty((obs.shape[0], obs.shape[1] + 1, 3))
        found[:, 0] = self.here()
        if self._site is not None:
            found[:, 1:] = obs[..., self._site[1]]
            return found
        poses = self._poses.poses(qpos, obs.astype(np.float64))
        for index in np.ndindex(obs.shape[:2]):
            self._posed.place(poses[index])
            found[index[0], index[1] + 1] = self.here()
        return found


def _observed_site(robot: Robot) -> tuple[int, list[int]] | None:
    """The first site whose whole position is observed, and its three channels."""
    model = robot.model
    channels = {column: i for i, (array, column) in enumerate(robot.observer.origins) if array == "sensordata"}
    for sensor in range(model.nsensor):
        is_site = model.sensor_objtype[sensor] == mujoco.mjtObj.mjOBJ_SITE
        columns = [int(model.sensor_adr[sensor]) + k for k in range(3)]
        if is_site and model.sensor_type[sensor] == mujoco.mjtSensor.mjSENS_FRAMEPOS and set(columns) <= set(channels):
            return int(model.sensor_objid[sensor]), [channels[c] for c in columns]
    return None


def moves_about(model: mujoco.MjModel) -> bool:
    """Whether the first body can go anywhere in a plane or in space, unlike that of an arm or of a cart on its rail."""
    kinds = model.jnt_type[model.jnt_bodyid == 1]
    return bool((kinds == mujoco.mjtJoint.mjJNT_FREE).any() or (kinds == mujoco.mjtJoint.mjJNT_SLIDE).sum() > 1)


def _followed_body(model: mujoco.MjModel) -> int:
    return 1 if moves_about(model) else model.nbody - 1
