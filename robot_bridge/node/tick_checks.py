"""All that is looked at in every control period beside the supervisor's own checks."""

from __future__ import annotations

from adaptive_mbrl.controller import Command
from robot_bridge.control.adaptation_pause import AdaptationPause
from robot_bridge.control.belief_watch import BeliefWatch
from robot_bridge.control.loop import ControlLoop
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.model_checks import ModelChecks
from robot_bridge.safety.monitors import Monitors
from robot_bridge.safety.supervisor import Observed


class TickChecks:
    """Finds faults, and decides whether adapting pauses; for the control loop's thread.

    Args:
        of_model: faults found by the model, the belief's diagnosis and silence.
        monitors: numbers that must stay within limits.
        pause: decides whether adapting pauses.
        watch: looks at the belief after each plan.
    """

    def __init__(self, of_model: ModelChecks, monitors: Monitors, pause: AdaptationPause, watch: BeliefWatch) -> None:
        self._of_model, self._monitors, self._pause, self._watch = of_model, monitors, pause, watch
        self._loop: ControlLoop | None = None

    def attach(self, loop: ControlLoop) -> None:
        """From now on it is this loop that is looked at; to be called before it runs."""
        self._loop = loop

    def look(self, now: float, observed: Observed, command: Command | None) -> tuple[Fault, ...]:
        """The faults at a tick, as `ModelChecks.look` takes its arguments."""
        if self._loop is None:
            return (*self._of_model.look(now, observed, command), *self._monitors.look(now, observed), *self._watch.faults)
        planning = self._loop.planning
        of_model = self._of_model.look(
            now, observed, command, is_timely=planning.is_timely, is_handled=planning.pause.is_other_dynamics
        )
        faults = (*of_model, *self._monitors.look(now, observed), *self._watch.faults)
        planning.pause = self._pause.look(now, observed, self._loop.supervisor.sent)
        faults = (*faults, *planning.faults)
        seen = self._loop.inputs.contradictions
        return faults if seen is None else (*faults, *seen.look(now))
