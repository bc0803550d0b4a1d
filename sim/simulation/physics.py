"""Many copies of one robot in MuJoCo, each with its own state and its own model fields."""

from __future__ import annotations

import mjbatch
import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.runtime import num_threads as usable_threads
from sim.robot.robot import Robot
from sim.scenarios.change import Change, force_array, model_fields

Array = NDArray[np.float64]

# MuJoCo derives constants from these fields (mj_setConst), which have to be computed again after a change
CONST_INPUTS = ("body_mass", "body_inertia", "body_pos", "body_ipos", "jnt_pos", "dof_armature")
_UNSTABLE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)  # BADQVEL lies between


class Physics:
    """Many simulations of one robot, each with its own change: a `mjbatch.Batch`, whose rows are the simulations.

    Args:
        robot: the nominal robot.
        num_sims: number of simulations.
        num_threads: number of worker threads; 0 follows `adaptive_mbrl.runtime.num_threads`.
    """

    def __init__(self, robot: Robot, num_sims: int, num_threads: int = 0) -> None:
        self.robot = robot
        self.num_sims = num_sims
        self.num_threads = min(num_threads or usable_threads(), num_sims)
        self._batch = mjbatch.Batch(robot.model, num_sims, self.num_threads, forward=robot.observer.needs_sensors)
        self.state = self._batch.bind("state")
        self.arrays: dict[str, Array] = {"qpos": self._batch.bind("qpos"), "qvel": self._batch.bind("qvel")}
        if robot.observer.needs_sensors:
            self.arrays["sensordata"] = self._batch.bind("sensordata")
        self._ctrl = self._batch.bind("ctrl")
        self._force = self._batch.bind("xfrc_applied")
        self._warnings = self._batch.bind("warning")
        self._nominal = model_fields(Change(), robot.model, robot.elements)
        self._fields: dict[str, Array] = {}
        self._at_rest = self.state[0].copy()

    def set_change(self, rows: NDArray[np.int64], change: Change) -> None:
        """Put this change in force on `rows`, in place of their earlier one; the state is untouched."""
        values = model_fields(change, self.robot.model, self.robot.elements)
        stale = np.zeros(len(rows), dtype=bool)
        for name, value in values.items():
            # a field that differs between rows costs time at every step, so it is only made when the first row differs
            if name not in self._fields and np.array_equal(value, self._nominal[name]):
                continue
            field = self.field(name)
            if name in CONST_INPUTS:
                stale |= (field[rows] != value).reshape(len(rows), -1).any(axis=1)
            field[rows] = value
        if stale.any():
            self._batch.set_const(np.sort(rows[stale]))
        self._force[rows] = force_array(change, self.robot.model, self.robot.elements)

    def field(self, name: str) -> Array:
        """A model field with one value per row, (num_sims, ...); `gravity` counts as a model field, too."""
        if name not in self._fields:
            self._fields[name] = self._batch.expand(name)
        return self._fields[name]

    def reset(self, qpos: Array, qvel: Array) -> None:
        """Start every row anew at qpos (num_sims, nq) and qvel (num_sims, nv); applied forces stay."""
        force = self._force.copy()
        self._batch.reset()
        self.arrays["qpos"][:], self.arrays["qvel"][:], self._force[:] = qpos, qvel, force
        self._batch.forward()

    def place(self, qpos: Array, qvel: Array) -> None:
        """Like `reset`, but what depends on the state is only computed by the next step."""
        force = self._force.copy()
        self.state[:] = self._at_rest
        self.arrays["qpos"][:], self.arrays["qvel"][:], self._force[:] = qpos, qvel, force

    def restart(self, rows: NDArray[np.int64], qpos: Array, qvel: Array) -> None:
        """Start `rows` (R,) anew at qpos (R, nq) and qvel (R, nv); applied forces stay, and the other rows are not touched."""
        force, ids = self._force[rows].copy(), rows.astype(np.int32)
        self._batch.reset(ids)
        self.arrays["qpos"][rows], self.arrays["qvel"][rows], self._force[rows] = qpos, qvel, force
        self._batch.forward(ids)

    def reset_rows(self, rows: NDArray[np.int64]) -> None:
        """Put `rows` into the model's initial state, without forces; the other rows are not touched."""
        self._batch.reset(rows.astype(np.int32))

    def step(self, action: Array, num_steps: int | None = None, rows: NDArray[np.bool_] | None = None) -> None:
        """Simulate with an action that is held.

        Args:
            action: the actuators' inputs, (num_sims, action_dim).
            num_steps: number of physics steps; a control step by default.
            rows: which simulations advance, (num_sims,); all by default.
        """
        self._ctrl[:, self.robot.actuators] = action
        self._batch.step(ids=rows, nstep=num_steps or self.robot.substeps)

    def unstable(self) -> NDArray[np.bool_]:
        """Which rows became unstable since the last call, (num_sims,). MuJoCo has reset them in the middle of the step."""
        rows = np.any(self._warnings[:, _UNSTABLE, 1], axis=1)
        if rows.any():
            self._warnings[:] = 0
        return rows

    def observe(self, previous_qpos: Array | None) -> NDArray[np.float32]:
        """The observations without noise, (num_sims, obs_dim); `previous_qpos` (num_sims, nq) is one control step earlier."""
        return self.robot.observer.read(self.arrays, previous_qpos)
