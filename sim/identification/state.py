"""From an observation back to the simulator's state, for robots whose channels determine it."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.robot.poses import quaternions
from sim.robot.robot import Robot
from sim.simulation.physics import Physics

Array = NDArray[np.float64]

_SHIFT = 3.0
_STATES, _STEPS = 8, 20
_TOLERANCE = 1e-3


class StateReader:
    """Reads joint positions and velocities from observations.

    A velocity must be a channel of its own (`qvel`): a mean speed over a control step (`displacement_rate`) is not the speed at
    its end. A position may be missing if it has no influence on what is observed, such as the place of a runner along its track;
    this is tried in simulation.

    Args:
        robot: the robot.

    Raises:
        ConfigError: the channels do not determine the state.
    """

    def __init__(self, robot: Robot) -> None:
        model, origins = robot.model, robot.observer.origins
        if model.na:
            raise ConfigError(
                f"robot '{robot.name}': physics needs the whole state, and no channel tells its actuators' activation"
            )
        self._qpos0, self._nv = model.qpos0.copy(), model.nv
        self._qpos, self._qvel = ([(i, c) for i, (a, c) in enumerate(origins) if a == name] for name in ("qpos", "qvel"))
        angles = {column: i for i, (array, column) in enumerate(origins) if array == "euler"}
        triples = {start: [angles.get(3 * start + axis, -1) for axis in range(3)] for start in {c // 3 for c in angles}}
        self._euler = [(start, columns) for start, columns in triples.items() if min(columns) >= 0]
        self._quaternions = [
            int(start) + offset
            for start, kind in zip(model.jnt_qposadr, model.jnt_type, strict=True)
            if (offset := {mujoco.mjtJoint.mjJNT_FREE: 3, mujoco.mjtJoint.mjJNT_BALL: 0}.get(mujoco.mjtJoint(kind))) is not None
        ]
        missing = sorted(set(range(model.nv)) - {c for _, c in self._qvel})
        if missing:
            raise _unknown(robot, f"velocity of joint '{model.joint(int(model.dof_jntid[missing[0]])).name}'")
        read = {c for _, c in self._qpos} | {start + i for start, _ in self._euler for i in range(4)}
        for column in sorted(set(range(model.nq)) - read):
            turns = any(start <= column < start + 4 for start in self._quaternions)
            if turns or not _is_invisible(robot, column):
                joint = model.joint(int(np.searchsorted(model.jnt_qposadr, column, side="right")) - 1).name
                raise _unknown(robot, f"position of joint '{joint}'")

    def state_from_obs(self, obs: np.ndarray) -> tuple[Array, Array]:
        """Joint positions (R, nq) and velocities (R, nv) of observations (R, obs_dim); what has no influence is as in `qpos0`."""
        qpos, qvel = np.tile(self._qpos0, (len(obs), 1)), np.zeros((len(obs), self._nv))
        for target, pairs in ((qpos, self._qpos), (qvel, self._qvel)):
            target[:, [c for _, c in pairs]] = obs[:, [i for i, _ in pairs]]
        for start, columns in self._euler:
            qpos[:, start : start + 4] = quaternions(*(obs[:, c].astype(np.float64) for c in columns))
        for start in self._quaternions:
            length = np.linalg.norm(qpos[:, start : start + 4], axis=1, keepdims=True)
            qpos[:, start : start + 4] /= np.maximum(length, 1e-9)
        return qpos, qvel


def _unknown(robot: Robot, what: str) -> ConfigError:
    return ConfigError(f"robot '{robot.name}': physics needs the whole state, and no channel tells the {what}")


def _is_invisible(robot: Robot, column: int) -> bool:
    """Whether simulations that differ in one joint position alone look the same."""
    physics = Physics(robot, 2 * _STATES)
    states = [robot.initial.sample(seed) for seed in range(_STATES)]
    qpos, qvel = (np.tile(np.stack([s[i] for s in states]), (2, 1)) for i in (0, 1))
    qpos[_STATES:, column] += _SHIFT
    physics.place(qpos, qvel)
    rng = np.random.default_rng(0)
    for _ in range(_STEPS):
        previous = physics.arrays["qpos"].copy()
        physics.step(np.tile(rng.uniform(robot.action_low, robot.action_high, (_STATES, len(robot.action_low))), (2, 1)))
        obs = physics.observe(previous)
        if not np.allclose(obs[:_STATES], obs[_STATES:], atol=_TOLERANCE):
            return False
    return True
