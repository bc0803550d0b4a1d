"""Changes of the dynamics of a single environment: of its MuJoCo model, of its own parameters, and of commands on their way."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.robot.environment import Env, EnvironmentRobot, mujoco_of
from sim.scenarios.change import Change, force_array, model_fields, scale_vector
from sim.simulation.physics import CONST_INPUTS

Array = NDArray[np.float64]


class EnvironmentChanges:
    """Puts changes in force on one environment, each in place of the one before.

    Of a MuJoCo model only the numbers that a change alters are written, and put back before the next change: a task may set
    others for itself, such as where its target is.

    Args:
        robot: the robot.
        env: its environment.
    """

    def __init__(self, robot: EnvironmentRobot, env: Env) -> None:
        self._robot, self._env = robot, env
        self._low, self._high = robot.action_low, robot.action_high
        self._gain = np.ones(robot.spec.action_dim)
        self._change = Change()
        under = mujoco_of(env)
        self._model = None if under is None else _ChangedModel(robot, *under)

    def put_in_force(self, change: Change) -> None:
        """Change the environment from the next step on."""
        self._change = change
        self._gain = scale_vector(change.action_gain, len(self._gain), self._robot.elements.actions)
        if self._model is not None:
            self._model.put_in_force(change)
        self._set_parameters()

    def begun(self) -> None:
        """Make the present change again where the reset of the environment has taken it back."""
        under = mujoco_of(self._env)
        if self._model is not None and under is not None:
            if self._model.model is not under[0]:
                # the environment has made its model anew
                self._model = _ChangedModel(self._robot, *under)
            # the reset may have written numbers of the model, and it takes forces off
            self._model.put_in_force(self._change)
        self._set_parameters()

    def _set_parameters(self) -> None:
        if self._robot.set_dynamics is not None:
            self._robot.set_dynamics(self._env, {**self._robot.nominal, **self._change.parameters})

    def commanded(self, action: Array) -> Array:
        """What arrives of a command, (action_dim,)."""
        return np.clip(action * self._gain, self._low, self._high)


class _ChangedModel:
    """The model of one environment and what is changed about it."""

    def __init__(self, robot: EnvironmentRobot, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._robot, self.model, self._data = robot, model, data
        self._nominal = copy.copy(model)
        self._usual = self._fields(Change())
        self._changed = {name: np.zeros(value.shape, dtype=bool) for name, value in self._usual.items()}
        self._force = np.zeros((model.nbody, 6))

    def put_in_force(self, change: Change) -> None:
        is_stale = False
        for name, wanted in self._fields(change).items():
            differs = wanted != self._usual[name]
            target = self.model.opt.gravity if name == "gravity" else getattr(self.model, name)
            back = self._changed[name] & ~differs
            is_stale |= name in CONST_INPUTS and bool(np.any(back) or np.any(target[differs] != wanted[differs]))
            target[back] = self._usual[name][back]
            target[differs] = wanted[differs]
            self._changed[name] = differs
        if is_stale:
            # a state of its own, because computing the model's constants moves the state that is given
            mujoco.mj_setConst(self.model, mujoco.MjData(self.model))
        self._force = force_array(change, self._nominal, self._robot.elements)
        self.push()

    def push(self) -> None:
        """Apply the change's forces to the bodies; a reset takes them off."""
        self._data.xfrc_applied[:] = self._force

    def _fields(self, change: Change) -> dict[str, Array]:
        return model_fields(change, self._nominal, self._robot.elements)
