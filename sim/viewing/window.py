"""The simulation in MuJoCo's own window, for a computer with a display; the keyboard does what the page's buttons do."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable

from adaptive_mbrl.diagnosis import GAIN
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.viewing.inbox import Inbox
from sim.evaluation.drawing import RED
from sim.evaluation.report import describe
from sim.evaluation.video import changed_geoms
from sim.robot.scenery import goal_marker, make_planes_endless, side_camera
from sim.scenarios.change import Change
from sim.scenarios.parameters import parameter_values
from sim.viewing.pace import Pace
from sim.viewing.pose import PosedModel
from sim.viewing.session import Session

SPACE, ENTER, BACKSPACE, RIGHT, LEFT, DOWN, UP, PAGE_DOWN = 32, 257, 259, 262, 263, 264, 265, 267
"""Key codes of GLFW, which MuJoCo's window has its keys from."""
HELP = (
    ("space", "pause"),
    ("left, right", "choose a motor"),
    ("up, down", "its gain by 0.25"),
    ("backspace", "nominal robot"),
    ("page down", "the next one acts"),
    ("enter", "reset"),
)
_GAIN_STEP = 0.25


class Keyboard:
    """What the keys do.

    Args:
        session: what they act on.

    Attributes:
        paused: whether the time stands still.
        refused: why the last key could not be obeyed, in one line; empty if it was.
    """

    def __init__(self, session: Session) -> None:
        self._session, self.paused, self.refused = session, False, ""
        self._motors, self._chosen = list(session.robot.elements.actuators), 0
        self._actions: dict[int, Callable[[], None]] = {
            SPACE: self._toggle_pause,
            ENTER: session.reset,
            BACKSPACE: lambda: session.set_change(Change()),
            RIGHT: lambda: self._choose(1),
            LEFT: lambda: self._choose(-1),
            UP: lambda: self._turn(_GAIN_STEP),
            DOWN: lambda: self._turn(-_GAIN_STEP),
            PAGE_DOWN: self._next_actor,
        }

    @property
    def motor(self) -> str:
        """The motor that the arrow keys change."""
        return self._motors[self._chosen]

    def press(self, key: int) -> None:
        """Do what a key says, or note why it cannot be done; other keys are MuJoCo's own."""
        self.refused = ""
        try:
            self._actions.get(key, lambda: None)()
        except AdaptiveMBRLError as error:
            # such as a gain beyond what is allowed: no reason to close the window
            self.refused = str(error)

    def _toggle_pause(self) -> None:
        self.paused = not self.paused

    def _choose(self, step: int) -> None:
        self._chosen = (self._chosen + step) % len(self._motors)

    def _turn(self, by: float) -> None:
        name = f"{GAIN} {self.motor}"
        self._session.set_parameter(name, float(parameter_values(self._session.change, [name])[0]) + by)

    def _next_actor(self) -> None:
        arms = list(self._session.actors)
        self._session.switch(arms[(arms.index(self._session.arm) + 1) % len(arms)])


def run_window(session: Session, seconds: float | None) -> None:
    """Show the session until its window is closed or the time is over.

    Args:
        session: what is simulated.
        seconds: how long [s]; None for ever.

    Raises:
        ConfigError: there is no display.
    """
    require_display()
    import mujoco.viewer

    inbox, keyboard, posed = Inbox(), Keyboard(session), PosedModel(session.robot)
    model, data, nominal = posed.model, posed.data, posed.model.geom_rgba.copy()
    make_planes_endless(model)
    marker = goal_marker(model, len(session.goal))
    pace, end = Pace(session.robot.spec.dt), None if seconds is None else time.monotonic() + seconds
    posed.place(session.simulation.physics.arrays["qpos"][0])
    with mujoco.viewer.launch_passive(
        model, data, key_callback=lambda key: inbox.post(lambda: keyboard.press(key)), show_left_ui=False, show_right_ui=False
    ) as viewer:
        camera = side_camera(model, data)
        viewer.cam.type, viewer.cam.trackbodyid, viewer.cam.distance = camera.type, camera.trackbodyid, camera.distance
        viewer.cam.azimuth, viewer.cam.elevation = camera.azimuth, camera.elevation
        while viewer.is_running() and (end is None or time.monotonic() < end):
            inbox.work_off()
            if keyboard.paused or session.ended:
                pace.pause()
                time.sleep(session.robot.spec.dt)
            else:
                pace.wait()
                session.step()
            with viewer.lock():
                posed.apply(session.change)
                model.geom_rgba[:] = nominal
                model.geom_rgba[changed_geoms(session.robot, session.change)] = RED
                posed.place(session.simulation.physics.arrays["qpos"][0])
                mujoco.mj_forward(model, data)
                if marker is not None:
                    data.site_xpos[marker] = session.goal
            viewer.set_texts((None, None, *texts(session, keyboard, pace.factor)))
            viewer.sync()


def texts(session: Session, keyboard: Keyboard, factor: float) -> tuple[str, str]:
    """What stands in the window: names and what is the case, one line each."""
    lines = [
        ("time", f"{session.steps * session.robot.spec.dt:.1f} s{', paused' if keyboard.paused else ''}"),
        ("real-time factor", "" if math.isnan(factor) else f"{factor:.2f}"),
        ("acting", session.arm),
        ("dynamics", describe(session.change)),
        ("motor", keyboard.motor),
        *([("refused", keyboard.refused)] if keyboard.refused else []),
        *([("episode", f"over: {session.ended}; press enter")] if session.ended else []),
        *HELP,
    ]
    return "\n".join(name for name, _ in lines), "\n".join(text for _, text in lines)


def require_display() -> None:
    """Refuse to open a window where there is no display.

    Raises:
        ConfigError: there is none.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ConfigError("--window: there is no display here (DISPLAY is not set); without --window a page is served instead")
