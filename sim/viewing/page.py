"""The page of a live simulation: a loop that makes control steps in real time and shows them."""

from __future__ import annotations

import time

from adaptive_mbrl.viewing.inbox import Inbox
from adaptive_mbrl.viewing.serving import Page, served_page
from sim.viewing.choices import Preset, Range
from sim.viewing.controls import Controls
from sim.viewing.futures import Futures
from sim.viewing.motors import Gains, MotorReader
from sim.viewing.pace import Pace
from sim.viewing.readings import Readings
from sim.viewing.scene import Scene
from sim.viewing.session import Session

READINGS_EVERY = 5
LINES_EVERY = 2
"""Control steps between two updates of the right column, and of the planned futures: they cost time that planning needs."""
_IDLE_SECONDS = 0.03


class View:
    """Session and page together.

    Args:
        page: what is served.
        session: what is simulated.
        ranges: the parameters that get a slider.
        presets: the changes that get a button.
        names: the parameters that the diagnosis of the checkpoint names.
    """

    def __init__(
        self, page: Page, session: Session, ranges: tuple[Range, ...], presets: tuple[Preset, ...], names: tuple[str, ...]
    ) -> None:
        self.session, self._inbox, gui = session, Inbox(), page.server.gui
        with page.readings:
            self._readings = Readings(gui, session, ranges, names)
        self._controls = Controls(gui, session, self._inbox, ranges, presets, self._readings.tell)
        self._scene = Scene(page.server, session.robot, session.simulation.physics.arrays["qpos"][0])
        self._futures, self._pace, self._count = Futures(session), Pace(session.robot.spec.dt), 0
        self._motors = MotorReader(session)
        self._gains: Gains | None = None
        self._readings.tell(f"{session.arm} acts")

    def run(self, seconds: float | None) -> None:
        """Make control steps in real time.

        Args:
            seconds: how long [s]; None for ever.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            changed = self._inbox.work_off() > 0
            if self._controls.may_step() and not self.session.ended:
                self._pace.wait()
                self.advance()
            else:
                self._pace.pause()
                if changed:
                    self._stand_still()
                time.sleep(_IDLE_SECONDS)

    def advance(self) -> None:
        """Make one control step and show it."""
        self._futures.remember()
        self._motors.remember()
        moment = self.session.step()
        if moment is None:
            return
        self._readings.add(moment)
        self._scene.show(moment.qpos, moment.change, moment.goal)
        if self._count % LINES_EVERY == 0 or self._controls.paused:
            self._scene.draw(self._futures.lines(moment) if self._controls.lines else None)
        if self._count % READINGS_EVERY == 0 or self._controls.paused or self.session.ended:
            self._controls.follow()
            self._gains = self._motors.read(moment)
            self._readings.show(self._pace.factor, self._controls.paused, self._gains)
        self._count += 1

    def _stand_still(self) -> None:
        """Show what the user did while nothing moves."""
        session = self.session
        self._scene.show(session.simulation.physics.arrays["qpos"][0], session.change, session.goal)
        self._controls.follow()
        self._readings.show(self._pace.factor, self._controls.paused, self._gains)


def run_page(
    session: Session,
    ranges: tuple[Range, ...],
    presets: tuple[Preset, ...],
    names: tuple[str, ...],
    *,
    host: str,
    port: int,
    seconds: float | None = None,
) -> None:
    """Serve the page until the time is over, or for ever.

    Args:
        session: what is simulated.
        ranges: the parameters that get a slider.
        presets: the changes that get a button.
        names: the parameters that the diagnosis of the checkpoint names.
        host: address that the page is served on.
        port: its port.
        seconds: how long [s]; None for ever.
    """
    with served_page(session.robot.name, host, port) as page:
        View(page, session, ranges, presets, names).run(seconds)
