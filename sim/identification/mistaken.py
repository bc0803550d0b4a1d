"""A model that is wrong on purpose, to see what an estimator is worth whose MJCF is not the robot's."""

from __future__ import annotations

import copy
from dataclasses import replace

import mujoco

from sim.robot.robot import Robot

USUAL_ERROR = 0.2
"""Whoever reports an arm that knows the robot's MJCF reports one beside it whose model is wrong by this share."""
_SPRING_RATE = 3.0
"""Frequency [rad/s] of a joint alone on a spring, where a robot has none that could be wrong."""


def mistaken(robot: Robot, error: float) -> Robot:
    """The robot with all masses too large by the share `error`, and with springs that are too weak.

    Every joint that is observed lacks the share `error` of its spring. One without a spring lacks one, too: it has one of
    negative stiffness, so that the real robot has a spring more than its model. No parameter can make up for that.

    Args:
        robot: the robot as it is.
        error: more than 0 and less than 1, for example 0.2 for 20 %.
    """
    model = copy.copy(robot.model)
    model.body_mass[:] *= 1 + error
    model.body_inertia[:] *= 1 + error
    observed = {column for array, column in robot.observer.origins if array == "qpos"}
    for joint in range(model.njnt):
        if int(model.jnt_qposadr[joint]) in observed and model.jnt_type[joint] >= int(mujoco.mjtJoint.mjJNT_SLIDE):
            own = float(model.jnt_stiffness[joint])
            inertia = float(model.dof_M0[model.jnt_dofadr[joint]])
            model.jnt_stiffness[joint] = own - error * max(own, inertia * _SPRING_RATE**2)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return replace(robot, model=model)
