"""Looks at the belief after each plan, whether it swings to and fro."""

from __future__ import annotations

import logging
from pathlib import Path

from adaptive_mbrl.canary import read_canary
from adaptive_mbrl.controller import AdaptiveController
from robot_bridge.control.belief_view import BeliefView
from robot_bridge.safety.belief_swings import BeliefSwings
from robot_bridge.safety.config import BeliefSwingsConfig
from robot_bridge.safety.faults import Fault

_LOG = logging.getLogger(__name__)


class BeliefWatch:
    """Watches the belief of the controller that plans.

    Args:
        config: when a belief that swings is a fault; None watches nothing.
        dt: control period [s].

    Attributes:
        faults: what was found after the newest plan.
    """

    def __init__(self, config: BeliefSwingsConfig | None, dt: float) -> None:
        self._swings = None if config is None else BeliefSwings(config, dt)
        self._view: BeliefView | None = None
        self._begins_anew = False
        self.faults: tuple[Fault, ...] = ()

    def view_of(self, controller: AdaptiveController, folder: Path) -> BeliefView | None:
        """What looks at the beliefs of this controller; None where they are not watched.

        Args:
            controller: the controller.
            folder: its checkpoint, which may have a canary.

        Raises:
            AdaptiveMBRLError: the canary cannot be read.
        """
        if self._swings is None or not controller.settings.adapt:
            return None
        canary = read_canary(folder)
        return None if canary is None else BeliefView(controller.settings.adapter, canary)

    def look_through(self, view: BeliefView | None) -> None:
        """Look at the belief through this view from now on; to be called while nothing is planned."""
        self._view = view
        self.forget()

    def forget(self) -> None:
        """The belief begins anew, or the robot is started anew: how it came there says nothing. For any thread."""
        self._begins_anew, self.faults = True, ()

    @property
    def turns(self) -> int | None:
        """How often the belief has turned lately; None where it is not watched."""
        if self._view is None or self._swings is None:
            return None
        return 0 if self._begins_anew else self._swings.turns

    def after_step(self, controller: AdaptiveController) -> None:
        """Look at the belief that the newest plan was made under. What fails here must not keep the plan from being used."""
        if self._view is None or self._swings is None:
            return
        if self._begins_anew:
            self._begins_anew = False
            self._swings.forget()
        try:
            self.faults = tuple(self._swings.look(self._view(controller.belief)))
        except Exception:
            _LOG.exception("the belief is not watched any more")
            self._view, self.faults = None, ()
