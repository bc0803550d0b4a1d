"""The page of a bridge: buttons and the state on the left; limits, belief, plan and faults on the right."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from adaptive_mbrl.viewing.bars import BarPanel
from adaptive_mbrl.viewing.colours import ESTIMATE, GOOD, TRUTH, WARNING
from adaptive_mbrl.viewing.plots import Line, LivePlot
from adaptive_mbrl.viewing.serving import Page
from adaptive_mbrl.viewing.status import StatusTable
from robot_bridge.streams.readings import Readings
from robot_bridge.streams.watched import Watched
from robot_bridge.viewing.banner import Banner
from robot_bridge.viewing.calls import Calls
from robot_bridge.viewing.heard import Snapshot
from robot_bridge.viewing.limit_bars import Limits, belief_bars
from robot_bridge.viewing.rows import age_rows, belief_rows, diagnostics_rows, log_rows
from robot_bridge.viewing.state import Shown, shown_state, silent_after

if TYPE_CHECKING:
    import viser

PLOTS_WIDTH = 520
"""Width of the column with the plots [pixels]."""
PALETTE = (ESTIMATE, TRUTH, GOOD, WARNING, "#CC79A7", "#56B4E9", "#8C564B", "#7F7F7F")
NO_DIAGNOSIS = (
    "This checkpoint has no diagnosis, which would say what is believed of each motor; 'adaptive-mbrl diagnose' makes one."
)
UNCERTAINTY = "The mark is the mean, the band two standard deviations on either side."
BUTTON_STYLE = (
    "<style>div:has(> div > #estop-below) + div button, div:has(> #estop-below) + div button "
    '{height:72px!important;font-size:22px;font-weight:700}</style><div id="estop-below"></div>'
)
"""Makes the button that follows it a large one."""


class BridgePage:
    """What is on the page of a bridge.

    Args:
        page: the page, which is served already.
        watched: the robot and its node.
        calls: what the buttons do.
        where: domain and interface, in words.
    """

    def __init__(self, page: Page, watched: Watched, calls: Calls, where: str) -> None:
        self._watched, self._calls, self._where = watched, calls, where
        self._readings, self._limits = Readings(watched), Limits(watched)
        # times in the plots count from the first drawing
        self._began = math.inf
        gui = page.server.gui
        page.server.scene.world_axes.visible = False
        self._add_controls(gui)
        with page.readings:
            self._add_readings(gui)
        column = gui.add_panel()
        column.dock_right()
        column.set_width(PLOTS_WIDTH)
        with column.add_tab("Plan and course"):
            self._add_plots(gui)

    def _add_controls(self, gui: viser.GuiApi) -> None:
        self._banner = Banner(gui, Shown("nothing heard yet", "", "bad"))
        gui.add_html(BUTTON_STYLE)
        # viser runs each click on a thread of its own, so a stop waits neither for the drawing nor for another service
        buttons = {
            "estop": gui.add_button(
                "EMERGENCY STOP", color="red", hint="Latches the bridge's emergency stop, without asking again."
            ),
            "clear_estop": gui.add_button("Clear emergency stop", color="gray", hint="Nothing moves before 'Activate'."),
            "activate": gui.add_button("Activate", color="green", hint="The robot moves: the soft start begins."),
            "deactivate": gui.add_button("Deactivate", color="gray", hint="Brings the actuators to rest, then sends nothing."),
            "override": gui.add_button(
                "Override", color="gray", hint="Goes on in spite of the faults that wait for a decision, until they are gone."
            ),
        }
        for service, button in buttons.items():
            button.on_click(partial(self._click, service))
        self._answers = StatusTable(gui)
        gui.add_markdown("**Observations**")
        self._ages = StatusTable(gui)
        gui.add_markdown("**What happened**")
        self._log = StatusTable(gui)

    def _add_readings(self, gui: viser.GuiApi) -> None:
        gui.add_markdown("**Commands within their limits**")
        self._commands = BarPanel(gui)
        gui.add_markdown("**Observations within their limits**")
        self._observations = BarPanel(gui)
        gui.add_markdown("**Belief**")
        self._belief_bars = BarPanel(gui)
        self._belief = StatusTable(gui)
        gui.add_markdown("**Diagnostics**")
        self._diagnostics = StatusTable(gui)

    def _add_plots(self, gui: viser.GuiApi) -> None:
        actions = [Line(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(self._watched.spec.action_names)]
        self._plan = LivePlot(gui, "planned commands, over the seconds ahead", actions, seconds=math.inf)
        self._sent = LivePlot(gui, "sent commands", actions)
        errors = [Line("adapted", ESTIMATE), Line("prior", TRUTH, dashed=True)]
        self._errors = LivePlot(gui, "model error [target stds]", errors)

    def draw(self, heard: Snapshot) -> None:
        """Show what was heard."""
        self._banner.show(shown_state(self._watched, heard, self._where))
        self._answers.show(self._calls.rows())
        self._ages.show(age_rows(self._watched, heard))
        self._log.show(log_rows(heard))
        commands, observations = self._limits.command_bars(heard), self._limits.observation_bars(heard)
        self._commands.show(commands, "" if any(math.isfinite(bar.value) for bar in commands) else "No command is heard.")
        self._observations.show(observations, "" if observations else "The bridge file has no obs_limits.")
        self._belief_bars.show(
            belief_bars(self._watched, heard, self._readings), UNCERTAINTY if self._watched.diagnosis_names else NO_DIAGNOSIS
        )
        self._belief.show(belief_rows(self._watched, heard, self._readings))
        self._diagnostics.show(diagnostics_rows(self._watched, heard))
        self._draw_plan(heard)
        self._began = min(self._began, heard.now)
        self._sent.append(heard.now - self._began, [bar.value for bar in commands])
        self._errors.append(heard.now - self._began, self._model_errors(heard))
        self._sent.draw()
        self._errors.draw()

    def _draw_plan(self, heard: Snapshot) -> None:
        """The commands of the newest plan; none if it is too old to be followed."""
        topic = self._watched.own_topic("plan")
        self._plan.clear()
        if heard.age(topic) <= silent_after(self._watched):
            for step, action in enumerate(self._readings.plan(heard.messages[topic][0])):
                self._plan.append(step * self._watched.spec.dt, action.tolist())
        self._plan.draw()

    def _model_errors(self, heard: Snapshot) -> tuple[float, float]:
        topic = self._watched.own_topic("belief")
        is_fresh = heard.age(topic) <= silent_after(self._watched)
        says = self._readings.numbers(topic, heard.messages[topic][0]) if is_fresh else {}
        return says.get("belief/adapted_error", math.nan), says.get("belief/prior_error", math.nan)

    def _click(self, service: str, _: Any) -> None:
        self._calls.call(service)
        # the answer is worth more than the next time of drawing
        self._answers.show(self._calls.rows())
