"""The control period of a robot, from its physics step and its fastest actuator."""

from __future__ import annotations

import copy
import math

import mujoco
import numpy as np

from sim.init.actuators import Actuator, largest_force
from sim.init.anatomy import Anatomy
from sim.init.draft import Timing

_SHORTEST, _LONGEST = 0.02, 0.05
_LOOK_AHEAD = 0.8
"""How far a planner looks ahead [s]."""
_FEWEST_STEPS, _MOST_STEPS = 12, 30
_SHARE_OF_FALL = 0.2
"""The longest control period, as a share of the time in which a fall grows by the factor e."""


def timing(anatomy: Anatomy, actuators: tuple[Actuator, ...], *, balances: bool) -> Timing:
    """The control period.

    Args:
        anatomy: what is known of the model.
        actuators: its actuators.
        balances: whether the robot is to be held where it would fall.
    """
    step = float(anatomy.model.opt.timestep)
    fastest, name = min(((_seconds(anatomy, a), a.name) for a in actuators), default=(math.inf, ""))
    period = min(max(fastest, _SHORTEST), _LONGEST)
    reason = f"the fastest actuator, {name}, moves its part by 1 rad or 1 m in {fastest:.2g} s"
    if balances:
        fall = _seconds_of_fall(anatomy)
        if _SHARE_OF_FALL * fall < period:
            period = max(_SHARE_OF_FALL * fall, _SHORTEST)
            reason = f"a fall grows by the factor e in {fall:.2g} s"
    return with_period(period, step, reason)


def with_period(period: float, step: float, reason: str) -> Timing:
    """A control period of about `period` [s] that is a whole number of physics steps of `step` [s]."""
    substeps = max(round(period / step), 1)
    dt = float(f"{substeps * step:.9g}")
    horizon = min(max(round(_LOOK_AHEAD / dt), _FEWEST_STEPS), _MOST_STEPS)
    return Timing(dt, step, f"{substeps} physics step{'s' if substeps > 1 else ''} of {step:g} s: {reason}", horizon)


def _seconds(anatomy: Anatomy, actuator: Actuator) -> float:
    """How long the actuator takes to move its part by 1 rad or 1 m, from rest and with all its force [s]."""
    model, arms = anatomy.model, anatomy.driven[actuator.index]
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, anatomy.data, inertia)
    acceleration = np.linalg.solve(inertia, arms * largest_force(anatomy, actuator))
    fastest = float(np.abs(acceleration[arms != 0]).max(initial=0.0))
    return math.sqrt(2 / fastest) if fastest > 0 else math.inf


def _seconds_of_fall(anatomy: Anatomy) -> float:
    """The time in which a deviation from the start grows by the factor e where nothing holds the robot [s]."""
    model = copy.copy(anatomy.model)
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    data = mujoco.MjData(model)
    data.qpos[:] = anatomy.data.qpos
    size = 2 * model.nv + model.na
    transition = np.zeros((size, size))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, transition, None, None, None)
    growth = math.log(max(float(np.abs(np.linalg.eigvals(transition)).max()), 1e-9)) / model.opt.timestep
    return 1 / growth if growth > 1e-3 else math.inf
