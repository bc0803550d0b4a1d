"""Planned futures as lines: what the belief expects of a plan, and what the plan would really do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.simulation.oracle import OraclePredictor
from sim.viewing.pose import PointReader, PosedModel
from sim.viewing.session import Moment, Session, controller_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lines:
    """Futures of one point of the robot over the horizon, (any number, H + 1, 3) each; none where they are not known.

    Attributes:
        believed: of the chosen plan under the belief, one for each particle of the model.
        candidates: of other sequences that were tried, under the belief, by its first particle.
        real: of the chosen plan in a copy of the simulation, under the true dynamics.
    """

    believed: Array
    candidates: Array
    real: Array


class Futures:
    """Predicts and simulates the plans of a session.

    Args:
        session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._posed = session, PosedModel(session.robot)
        try:
            self._reader: PointReader | None = PointReader(session.robot, self._posed)
        except ConfigError:
            self._reader = None
        self._oracle = OraclePredictor(session.simulation, num_samples=1, num_threads=1)

    @property
    def are_known(self) -> bool:
        """Whether the observations tell where the robot is, so that predicted ones can be drawn."""
        return self._reader is not None

    def remember(self) -> None:
        """Take over the state of the simulation, from which the plans of the next step begin."""
        self._oracle.sync()

    @torch.no_grad()
    def lines(self, moment: Moment) -> Lines:
        """The futures that a moment's plan was chosen among, from the state of the last `remember`."""
        nothing = np.zeros((0, len(moment.plan) + 1, 3))
        if self._reader is None:
            return Lines(nothing, nothing, nothing)
        self._posed.apply(moment.change)
        simulated = self._oracle.roll_out(torch.empty(0), torch.from_numpy(moment.plan[None, None]))
        real = self._points(moment, simulated.next_obs[0, 0].numpy())
        acting = controller_of(self._session, moment)
        if acting is None:
            return Lines(nothing, nothing, real)
        controller, predictor = acting
        sequences = np.concatenate([moment.plan[None], moment.candidates])
        begin, actions = (torch.from_numpy(x[None]).to(controller.device) for x in (moment.obs, sequences))
        predicted = predictor.roll_out(begin, controller.acting(actions)).next_obs[:, 0].cpu().numpy()
        return Lines(self._points(moment, predicted[:, 0]), self._points(moment, predicted[0, 1:]), real)

    def _points(self, moment: Moment, obs: NDArray[np.float32]) -> Array:
        assert self._reader is not None
        return self._reader.points(moment.qpos, obs)
