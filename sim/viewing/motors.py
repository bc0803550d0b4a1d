r"""What a belief says of each motor, without any training: how strongly it expects the motor to act, beside the nominal robot.

Let e_b be the change of the predicted next observation when motor i is commanded more or less, and e_n the change in the
simulator of the nominal robot, from the same state. If the belief is that the motor's force is scaled by g, then e_b = g e_n, and

    g = <e_b, e_n> / <e_n, e_n>             summed over the last control steps, in stds of the model's targets

for each particle of the belief. How far the particles differ is the interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sim.robot.robot import Robot
from sim.simulation.physics import Physics
from sim.viewing.session import Moment, Session, controller_of

Array = NDArray[np.float64]
_SHARE = 0.5
"""How far a motor is commanded up and down, in half ranges."""
_FORGET = 0.75
"""What is left of a readout's weight at the next one."""


class Gains(NamedTuple):
    """The gain of each of A motors as a belief expects it: the mean over its P particles, the lowest, the highest; (A,) each."""

    mean: Array
    low: Array
    high: Array


class MotorReader:
    """Reads the gains out of beliefs.

    Args:
        session: whose beliefs.
    """

    def __init__(self, session: Session) -> None:
        robot: Robot = session.robot
        self._session, self._number = session, robot.spec.action_dim
        self._physics = Physics(robot, 2 * self._number, num_threads=1)
        self._state, self._qpos = session.simulation.physics.state.copy(), session.simulation.physics.arrays["qpos"].copy()
        self._arm, self._time = "", 0.0
        self._matched: Array | None = None
        self._nominal = np.zeros(self._number)

    def remember(self) -> None:
        """Take over the state from which the next step begins."""
        self._state[:] = self._session.simulation.physics.state
        self._qpos[:] = self._session.simulation.physics.arrays["qpos"]

    @torch.no_grad()
    def read(self, moment: Moment) -> Gains | None:
        """The gains after one more moment, whose state was remembered; None for an actor without a belief.

        Whoever did not act at the last call begins anew, and so does everybody in a new episode.
        """
        acting = controller_of(self._session, moment)
        if moment.arm != self._arm or moment.time < self._time:
            self._matched, self._nominal = None, np.zeros(self._number)
        self._arm, self._time = moment.arm, moment.time
        if acting is None:
            return None
        controller, predictor = acting
        robot, number = self._session.robot, self._number
        step = _SHARE * (robot.action_high - robot.action_low) / 2
        actions = np.repeat(moment.plan[:1].astype(np.float64), 2 * number, axis=0)
        actions[np.arange(number), np.arange(number)] += step
        actions[number + np.arange(number), np.arange(number)] -= step
        actions = np.clip(actions, robot.action_low, robot.action_high).astype(np.float32)
        obs, sent = (torch.from_numpy(x).to(controller.device) for x in (moment.obs[None], actions[None, :, None]))
        believed = predictor.roll_out(obs, sent).next_obs[:, 0, :, 0]
        self._physics.state[:] = self._state
        self._physics.step(actions.astype(np.float64))
        nominal = torch.from_numpy(self._physics.observe(np.repeat(self._qpos, 2 * number, axis=0))).to(controller.device)
        of_belief = predictor.error(believed[:, :number], believed[:, number:]).double().cpu().numpy()
        of_nominal = predictor.error(nominal[:number], nominal[number:]).double().cpu().numpy()
        matched = np.einsum("pio,io->pi", of_belief, of_nominal)
        self._matched = matched if self._matched is None else _FORGET * self._matched + matched
        self._nominal = _FORGET * self._nominal + np.square(of_nominal).sum(1)
        gains = self._matched / np.maximum(self._nominal, 1e-9)
        return Gains(gains.mean(0), gains.min(0), gains.max(0))
