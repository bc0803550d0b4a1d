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
        self.faults: tuple[Fault, ...] = ()

    def look_at(self, controller: AdaptiveController, folder: Path) -> None:
        """Look at the belief of this controller from now on, if the checkpoint in `folder` has a canary."""
        self.faults = ()
        if self._swings is None:
            return
        canary = read_canary(folder) if controller.settings.adapt else None
        self._view = None if canary is None else BeliefView(controller.settings.adapter, canary)
        self._swings.forget()

    @property
    def turns(self) -> int | None:
        """How often the belief has turned lately; None where it is not watched."""
        return None if self._view is None or self._swings is None else self._swings.turns

    def after_step(self, controller: AdaptiveController) -> None:
        """Look at the belief that the newest plan was made under. What fails here must not keep the plan from being used."""
        if self._view is None or self._swings is None:
            return
        try:
            self.faults = tuple(self._swings.look(self._view(controller.belief)))
        except Exception:
            _LOG.exception("the belief is not watched any more")
            self._view, self.faults = None, ()
