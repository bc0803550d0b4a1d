"""Joint positions read out of observations: the inverse of the observer, as far as the channels tell them."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.robot.robot import Robot

Array = NDArray[np.float64]


class PoseReader:
    """Reads joint positions along trajectories of observations.

    A position that is not observed, such as the place of a runner along its track, is integrated from its observed velocity.

    Args:
        robot: the robot.

    Attributes:
        is_complete: whether the observations tell all joint positions, some of them perhaps up to where they began.
        is_absolute: whether they tell all of them as they are.
        integrated: which positions are known up to where they began, as columns of qpos.
    """

    def __init__(self, robot: Robot) -> None:
        self._dt, origins = robot.spec.dt, robot.observer.origins
        self._read = [(column, i) for i, (array, column) in enumerate(origins) if array == "qpos"]
        axes = {column: i for i, (array, column) in enumerate(origins) if array == "euler"}
        self._turned = [(start, [axes.get(3 * start + k, -1) for k in range(3)]) for start in sorted({c // 3 for c in axes})]
        known = {column for column, _ in self._read} | {start + k for start, _ in self._turned for k in range(4)}
        self._integrated = _integrated(robot, known)
        self.integrated = [column for column, _ in self._integrated]
        missing = set(range(robot.model.nq)) - known - set(self.integrated)
        self.is_complete = not missing and all(min(columns) >= 0 for _, columns in self._turned)
        self.is_absolute = self.is_complete and not self._integrated

    def poses(self, qpos: Array, obs: Array, seconds: Array | None = None) -> Array:
        """Joint positions along trajectories.

        Args:
            qpos: joint positions from which the trajectories begin, (nq,); what is integrated begins there.
            obs: the observations after each of their steps, (R, H, obs_dim).
            seconds: how long each of these steps takes, (H,) [s]; a control period each by default.

        Returns:
            Joint positions, (R, H, nq).
        """
        seconds = np.full(obs.shape[1], self._dt) if seconds is None else seconds
        poses = np.broadcast_to(qpos, (*obs.shape[:2], len(qpos))).copy()
        for column, channel in self._read:
            poses[..., column] = obs[..., channel]
        for start, channels in self._turned:
            flat = obs.reshape(-1, obs.shape[-1])
            poses[..., start : start + 4] = quaternions(*(flat[:, c] for c in channels)).reshape(*obs.shape[:2], 4)
        for column, channel in self._integrated:
            # a prediction that is not finite stays that
            with np.errstate(invalid="ignore"):
                poses[..., column] = qpos[column] + np.cumsum(seconds * obs[..., channel], axis=1)
        return poses


def quaternions(roll: Array, pitch: Array, yaw: Array) -> Array:
    """Unit quaternions, (R, 4), scalar first, of rotations about z, then y, then x: the inverse of what the observer reads."""
    cr, sr, cp, sp, cy, sy = (f(x / 2) for x in (roll, pitch, yaw) for f in (np.cos, np.sin))
    return np.stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ],
        axis=1,
    )


def _integrated(robot: Robot, known: set[int]) -> list[tuple[int, int]]:
    """Positions that are not observed, each with the channel of its velocity."""
    model, found = robot.model, {}
    for channel, (array, column) in enumerate(robot.observer.origins):
        if array == "displacement_rate":
            found[column] = channel
        elif array == "qvel":
            joint = int(model.dof_jntid[column])
            offset = column - int(model.jnt_dofadr[joint])
            turns = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_BALL
            # the first three velocities of a free joint are those of its position
            if not turns and offset < 3:
                found.setdefault(int(model.jnt_qposadr[joint]) + offset, channel)
    return [(column, channel) for column, channel in sorted(found.items()) if column not in known]
