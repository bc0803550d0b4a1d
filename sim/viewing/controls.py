"""The left column of the page: who acts, the clock, the dynamics, the goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptive_mbrl.config import MAX_SEED
from adaptive_mbrl.diagnosis import GAIN
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.viewing.inbox import Inbox
from sim.evaluation.report import describe
from sim.scenarios.change import Change
from sim.scenarios.parameters import parameter_values
from sim.viewing.choices import Preset, Range
from sim.viewing.session import Session

if TYPE_CHECKING:
    import viser

Tell = Callable[[str], None]
"""Shows the user a sentence about what has just been done."""
_REACH = 1.5
"""A goal can be moved so many times as far as the robot's own goals go."""

SWITCHED = {
    "adaptive": "adaptive acts: it begins with the prior, no transitions and no plan",
    "frozen": "frozen acts: it keeps the prior, and begins without a plan",
    "multitask": "the multi-task model acts: it does not adapt, and begins without a plan",
    "oracle": "the oracle acts: it plans in the simulator under the true dynamics, and begins without a plan",
}


class Controls:
    """What the user can do.

    The elements' callbacks only leave events in the inbox, which the loop works off between two control steps.

    Args:
        gui: viser's elements of the page.
        session: what is controlled.
        inbox: where the events go.
        ranges: the parameters that get a slider.
        presets: the changes that get a button.
        tell: is told what has been done.
    """

    def __init__(
        self, gui: viser.GuiApi, session: Session, inbox: Inbox, ranges: Sequence[Range], presets: Sequence[Preset], tell: Tell
    ) -> None:
        self._gui, self._session, self._inbox, self._tell = gui, session, inbox, tell
        self.paused, self._steps_to_go = False, 0
        self._shown: Change | None = Change()
        self._sliders: dict[str, viser.GuiSliderHandle[Any]] = {}
        self._add_clock()
        self._add_dynamics(ranges)
        self._add_presets(presets)
        if session.robot.goal is not None:
            self._add_goal()

    @property
    def lines(self) -> bool:
        """Whether planned futures are to be drawn."""
        return bool(self._lines.value)

    def may_step(self) -> bool:
        """Whether the next control step is to be made; it uses up a step that was asked for one by one."""
        if self.paused and self._steps_to_go:
            self._steps_to_go -= 1
            return True
        return not self.paused

    def follow(self) -> None:
        """Bring the sliders to the change in force, which may have been made by a preset or by the scenario."""
        change = self._session.change
        if change == self._shown:
            return
        self._shown = change
        for name, slider in self._sliders.items():
            value = float(np.nan_to_num(parameter_values(change, [name])[0], nan=parameter_values(Change(), [name])[0]))
            value = min(max(value, slider.min), slider.max)
            if slider.value != value:
                slider.value = value  # type: ignore[misc]

    def _add_clock(self) -> None:
        gui, post = self._gui, self._inbox.callback
        acts = gui.add_dropdown("Who acts", tuple(self._session.actors), initial_value=self._session.arm)

        @acts.on_update
        def _(event: viser.GuiEvent[Any]) -> None:
            arm = str(acts.value)
            self._inbox.post(lambda: self._switch(arm))

        self._pause = gui.add_button("Pause")
        self._pause.on_click(post(self._toggle_pause))
        gui.add_button("One step").on_click(post(self._one_step))
        reset = gui.add_button("Reset", hint="The robot starts anew; the dynamics stay, or the scenario begins anew.")
        reset.on_click(post(self._reset))
        self._seed = gui.add_number("Seed", self._session.scenario.seed, min=0, max=MAX_SEED, step=1, hint="Used by Reset.")
        self._lines = gui.add_checkbox("Planned futures", initial_value=True)

    def _add_dynamics(self, ranges: Sequence[Range]) -> None:
        motors = [r for r in ranges if r.name.partition(" ")[0] == GAIN]
        with self._gui.add_folder("Motors: gain (0 dead, -1 reversed)"):
            self._add_sliders(motors)
        with self._gui.add_folder("Body and surroundings"):
            self._add_sliders([r for r in ranges if r not in motors])
            nominal = self._gui.add_button("Back to the nominal robot")
            nominal.on_click(self._inbox.callback(lambda: self._change(Change())))

    def _add_sliders(self, ranges: Sequence[Range]) -> None:
        for shown in ranges:
            slider = self._gui.add_slider(shown.label, shown.low, shown.high, shown.step, shown.nominal)
            self._sliders[shown.name] = slider
            slider.on_update(self._moved(shown.name, slider))

    def _moved(self, name: str, slider: viser.GuiSliderHandle[Any]) -> Callable[[viser.GuiEvent[Any]], None]:
        def moved(event: viser.GuiEvent[Any]) -> None:
            # what the page itself did has no client
            if event.client is not None:
                value = float(slider.value)
                self._inbox.post(lambda: self._set(name, value))

        return moved

    def _add_presets(self, presets: Sequence[Preset]) -> None:
        with self._gui.add_folder("Presets", expand_by_default=False):
            for preset in presets:
                button = self._gui.add_button(preset.label, color="gray", hint=f"from {preset.origin}")
                button.on_click(self._inbox.callback(partial(self._change, preset.change)))

    def _add_goal(self) -> None:
        goal = self._session.robot.goal
        assert goal is not None
        low, high = np.array(goal.low), np.array(goal.high or goal.low)
        ends = (low - _REACH * np.abs(high), low + _REACH * np.abs(high)) if goal.is_path else (low, high)
        with self._gui.add_folder("Goal"):
            self._own = self._gui.add_checkbox("Hold it here", initial_value=False, hint="Else it moves by itself.")
            self._entries = [
                self._gui.add_slider(name, float(a), float(max(b, a + 1e-3)), 0.01, float(np.clip(x, a, max(b, a + 1e-3))))
                for name, a, b, x in zip(goal.names, *ends, self._session.goal, strict=True)
            ]
        self._own.on_update(self._goal_moved)
        for entry in self._entries:
            entry.on_update(self._goal_moved)

    def _goal_moved(self, event: viser.GuiEvent[Any]) -> None:
        if event.client is not None:
            held = np.array([entry.value for entry in self._entries], dtype=np.float32) if self._own.value else None
            self._inbox.post(lambda: setattr(self._session, "own_goal", held))

    def _switch(self, arm: str) -> None:
        self._session.switch(arm)
        self._tell(SWITCHED[arm])

    def _toggle_pause(self) -> None:
        self.paused = not self.paused
        self._pause.label = "Continue" if self.paused else "Pause"

    def _one_step(self) -> None:
        if not self.paused:
            self._toggle_pause()
        self._steps_to_go += 1

    def _reset(self) -> None:
        self._session.reset(int(self._seed.value))
        self._tell(f"reset with seed {self._session.scenario.seed}")

    def _set(self, name: str, value: float) -> None:
        done = self._try(lambda: self._session.set_parameter(name, value), f"{name.replace('_', ' ')} {value:g}")
        if done and not self._moves_others(name):
            # it shows its number already, and setting it again would pull at it while it is dragged on
            self._shown = self._session.change

    def _moves_others(self, name: str) -> bool:
        """Whether other sliders show something else when this one is moved: those of a whole and of its parts."""
        key = name.partition(" ")[0]
        same = [other for other in self._sliders if other != name and other.partition(" ")[0] == key]
        return key in (name, *same)

    def _change(self, change: Change) -> None:
        self._try(lambda: self._session.set_change(change), describe(change))

    def _try(self, action: Callable[[], None], words: str) -> bool:
        """Do something and tell it, or why it could not be done, which is False."""
        try:
            action()
        except AdaptiveMBRLError as error:
            # the sliders go back to what is in force
            self._shown = None
            self._tell(str(error))
            return False
        self._tell(words)
        return True
