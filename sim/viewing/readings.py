"""The right column of the page: the state of things, the belief beside the truth, error and speed over time."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from adaptive_mbrl.viewing.bars import Bar, BarPanel
from adaptive_mbrl.viewing.colours import ESTIMATE, GOOD, NEUTRAL
from adaptive_mbrl.viewing.plots import Line, LivePlot
from adaptive_mbrl.viewing.status import Row, StatusTable
from sim.evaluation.performance import performance_label, rewarded_velocity
from sim.evaluation.report import describe
from sim.scenarios.parameters import motor_gains, parameter_values
from sim.viewing.choices import Range
from sim.viewing.motors import Gains
from sim.viewing.session import Moment, Session

if TYPE_CHECKING:
    import viser

BAND_STDS = 2.0
_SLOW = 0.95
"""Below this share of real time the page says that the machine is too slow."""
_LAST_EVENTS = 4
MOTORS = (
    "How strongly the belief expects each motor to act: 1 as built, 0 dead, -1 reversed. Band: from the lowest to the highest "
    "member of the ensemble. Dashed: the truth, which only the simulator knows."
)
DIAGNOSIS = "Band: the estimate, plus and minus two standard deviations. Dashed: the truth."
ORACLE = "The oracle has no belief: it plans under the truth (dashed)."
GAIN_AXIS = (-1.5, 1.5)


class Readings:
    """What the user can read.

    Args:
        gui: viser's elements of the page.
        session: what is shown.
        ranges: the parameters that can be changed, whose ranges are the axes of the bars.
        names: the parameters that the diagnosis of the checkpoint names.
    """

    def __init__(self, gui: viser.GuiApi, session: Session, ranges: tuple[Range, ...], names: tuple[str, ...]) -> None:
        self._ranges = {r.name: r for r in ranges}
        order = [*self._ranges, *names]
        self._session, self._names = session, names
        self._in_order = sorted(range(len(names)), key=lambda i: order.index(names[i]))
        self._events: deque[str] = deque(maxlen=_LAST_EVENTS)
        self._return = 0.0
        self._velocity = rewarded_velocity(session.robot)
        self._status = StatusTable(gui)
        with gui.add_folder("What the belief expects of the motors"):
            self._motors = BarPanel(gui)
        label = performance_label(session.robot)[1]
        self._performance = LivePlot(gui, label, [Line("performance", GOOD)])
        self._error = LivePlot(
            gui, "one-step error of the model [target stds]", [Line("belief", ESTIMATE), Line("prior", NEUTRAL, dashed=True)]
        )
        self._diagnosis: BarPanel | None = None
        if names:
            with gui.add_folder("Diagnosis: parameters that are read out of the belief"):
                self._diagnosis = BarPanel(gui)
        self._moment: Moment | None = None

    def tell(self, words: str) -> None:
        """Show a sentence about what has just been done."""
        self._events.appendleft(f"{self._session.steps * self._session.robot.spec.dt:.1f} s: {words}")

    def add(self, moment: Moment) -> None:
        """Take up one control step; nothing is sent yet."""
        if self._moment is not None and moment.time < self._moment.time:
            self._return = 0.0
            self._performance.clear()
            self._error.clear()
        self._moment = moment
        self._return += moment.reward
        spec = self._session.robot.spec
        value = moment.reward if self._velocity is None else float(moment.next_obs[spec.obs_index(self._velocity)])
        self._performance.append(moment.time, [value])
        info = moment.info
        errors = (math.nan, math.nan) if info is None else (float(info.adapted_error[0]), float(info.prior_error[0]))
        self._error.append(moment.time, errors)

    def show(self, factor: float, paused: bool, gains: Gains | None = None) -> None:
        """Send everything to the browsers; a few times a second is enough.

        Args:
            factor: simulated seconds per real second.
            paused: whether the simulation stands still because the user wants it.
            gains: what the belief expects of the motors; None for an actor without a belief.
        """
        self._status.show(self._rows(factor, paused))
        self._performance.draw()
        self._error.draw()
        if self._moment is not None:
            has_belief = self._moment.info is not None
            self._motors.show(self._motor_bars(self._moment, gains), MOTORS if has_belief else ORACLE)
            if self._diagnosis is not None:
                self._diagnosis.show(self._diagnosis_bars(self._moment), DIAGNOSIS if has_belief else ORACLE)

    def _rows(self, factor: float, paused: bool) -> list[Row]:
        session, moment = self._session, self._moment
        rows = [self._clock(factor, paused), Row("acting", session.arm), Row("dynamics", describe(session.change))]
        if moment is not None:
            rows.append(Row("return", f"{self._return:.1f}"))
            if moment.info is not None:
                milliseconds = 1e3 * (moment.info.adapt_seconds + moment.info.plan_seconds)
                rows.append(Row("control step", f"{milliseconds:.0f} ms of {1e3 * session.robot.spec.dt:.0f} ms"))
                rows.append(self._learning(moment))
                if turned := moment.info.reversed_actions(session.robot.spec.action_names):
                    rows.append(Row("motors", f"taken to be wired backwards: {', '.join(turned)}", "warning"))
        if session.ended:
            rows.append(Row("episode", f"over: {session.ended}; press Reset", "bad"))
        return rows + [Row("" if i else "events", event) for i, event in enumerate(self._events)]

    def _clock(self, factor: float, paused: bool) -> Row:
        time = f"{self._session.steps * self._session.robot.spec.dt:.1f} s"
        if paused:
            return Row("clock", f"{time}, paused", "warning")
        if math.isnan(factor) or self._session.ended:
            return Row("clock", time)
        if factor < _SLOW:
            return Row("clock", f"{time}, at {factor:.2f} of real time: this machine is too slow", "warning")
        return Row("clock", f"{time}, in real time (factor {factor:.2f})", "good")

    def _learning(self, moment: Moment) -> Row:
        assert moment.info is not None
        if moment.arm != "adaptive":
            return Row("belief", "the prior, always")
        if moment.info.fell_back[0]:
            return Row("belief", "the prior, because adapting predicted worse", "warning")
        return Row("belief", f"learning for {int(moment.info.run_length[0])} steps")

    def _motor_bars(self, moment: Moment, gains: Gains | None) -> list[Bar]:
        robot = self._session.robot
        truth = motor_gains(moment.change, robot)
        nothing = np.full(len(truth), math.nan)
        mean, low, high = (nothing, nothing, nothing) if gains is None else gains
        return [
            Bar(name, float(mean[i]), *GAIN_AXIS, (float(low[i]), float(high[i])), float(truth[i]))
            for i, name in enumerate(robot.spec.action_names)
        ]

    def _diagnosis_bars(self, moment: Moment) -> list[Bar]:
        truth = parameter_values(moment.change, self._names)
        diagnosis = None if moment.info is None or not moment.info.diagnosis.shape[-1] else moment.info.diagnosis[0]
        bars = []
        for i in self._in_order:
            name = self._names[i]
            mean, std = (math.nan, math.nan) if diagnosis is None else (float(diagnosis[0, i]), float(diagnosis[1, i]))
            shown = self._ranges.get(name) or Range(name, *GAIN_AXIS, 0.1, 0.0)
            bars.append(
                Bar(shown.label, mean, shown.low, shown.high, (mean - BAND_STDS * std, mean + BAND_STDS * std), float(truth[i]))
            )
        return bars
