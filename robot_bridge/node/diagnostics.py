"""The messages on `/diagnostics`: once a second, a status of each part of the node."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from robot_bridge.control.inputs import GoalReader
from robot_bridge.control.loop import ControlLoop
from robot_bridge.machine.judgement import ERROR, OK, STALE, WARN, Judgement
from robot_bridge.middleware.messages import DiagnosticArray, DiagnosticStatus, Header, KeyValue, Time
from robot_bridge.middleware.reception import Reception
from robot_bridge.node.growth import Growth, in_words
from robot_bridge.safety.monitor_config import FAULTS_OF
from robot_bridge.safety.monitors import Monitors
from robot_bridge.safety.states import State

FINE_TUNE_RATIO = 3.0
"""A model that errs so many times more than it did on held-out training episodes is one of another robot."""
Values = Mapping[str, object]


class Diagnostics:
    """Makes the diagnostics of a control loop. A count of errors that grew since the last message is a warning.

    Args:
        loop: the control loop.
        name: the node's name.
        goals: the reader of the goal; None for an objective without a goal.
        monitors: the monitors of the bridge file.
        turns: how often the belief has turned lately; None where it is not watched.
        reception: which messages the transport has taken and refused.
        machine: makes the parts about the machine; each gets its level, its words and its values.
    """

    def __init__(
        self,
        loop: ControlLoop,
        name: str,
        goals: GoalReader | None = None,
        monitors: Monitors | None = None,
        turns: Callable[[], int | None] = lambda: None,
        reception: Reception | None = None,
        machine: Callable[[], Mapping[str, Judgement]] = dict,
    ) -> None:
        self.loop, self.name, self.goals, self.monitors, self._turns = loop, name, goals, monitors, turns
        self._reception, self._machine = reception or Reception(), machine
        self._growth: defaultdict[str, Growth] = defaultdict(Growth)

    def __call__(
        self, now: float, other_publishers: int | None = 0, senders: Mapping[str, int] = MappingProxyType({})
    ) -> DiagnosticArray:
        """The present diagnosis.

        Args:
            now: the stamp since the epoch [s].
            other_publishers: number of other publishers of commands to this robot; None where it is not known.
            senders: number of publishers of each topic that is observed.
        """
        parts = [self._safety(), self._inputs(senders), self._loop(), self._planner(), self._output(other_publishers)]
        parts += [self._status(part, judged.level, judged.words, judged.values) for part, judged in self._machine().items()]
        parts += [] if self.goals is None else [self._goal(self.goals)]
        parts += [] if self.monitors is None or not self.monitors.readings else [self._monitors(self.monitors)]
        return DiagnosticArray(Header(Time.of(now)), parts)

    def _monitors(self, monitors: Monitors) -> DiagnosticStatus:
        kinds = {fault.kind for fault in monitors.faults}
        warnings = {warning for warning, _ in FAULTS_OF.values()}
        level = OK if not kinds else WARN if kinds <= warnings else STALE if kinds == {"monitor_lost"} else ERROR
        message = "; ".join(fault.words for fault in monitors.faults) or "within their limits"
        return self._status("monitors", level, message, {name: reading.value for name, reading in monitors.readings.items()})

    def _output(self, other_publishers: int | None) -> DiagnosticStatus:
        if other_publishers is None:
            words = "who else publishes commands cannot be seen"
            return self._status("output", WARN, words, {"other publishers": "unknown"})
        message = (
            f"{other_publishers} other publisher(s) of commands: they work against this node" if other_publishers else "alone"
        )
        return self._status("output", WARN if other_publishers else OK, message, {"other publishers": other_publishers})

    def _goal(self, goals: GoalReader) -> DiagnosticStatus:
        goal = goals(time.monotonic())
        present = goal.reshape(-1, goal.shape[-1])[0]
        values = {"goal": ", ".join(f"{value:g}" for value in present), "refused": goals.refused}
        return self._counts("goal", {"refused": goals.refused}, ("refused",), values, "followed")

    def _safety(self) -> DiagnosticStatus:
        safety, faults = self.loop.supervisor, self.loop.faults
        state = safety.state
        decision = self.loop.decision
        values = {
            "state": state.value,
            "holds": safety.holds,
            "newest hold": "; ".join(safety.hold_reasons),
            "reaction": (decision.reaction if decision is not None else None) or "none",
            "stop": decision.outcome if decision is not None else "",
            "waiting for a decision": ", ".join(" ".join(filter(None, key)) for key in safety.waiting),
        }
        level = ERROR if state in (State.HOLD, State.ESTOP) else WARN if faults and state is not State.INACTIVE else OK
        return self._status("safety", level, "; ".join((state.value, *faults)), values)

    def _inputs(self, senders: Mapping[str, int]) -> DiagnosticStatus:
        supervisor, inputs = self.loop.supervisor, self.loop.inputs
        observed, by_topic = inputs.snapshot(), self._reception.counts()
        refused = {"refused_stamps": inputs.refused_stamps, "refused_messages": sum(by_topic.values())}
        ages = dict(zip(supervisor.spec.obs_names, time.monotonic() - observed.received, strict=True))
        stale = [name for name, age, limit in zip(ages, ages.values(), supervisor.max_age, strict=True) if age > limit]
        several = [f"{number} publishers on {topic}" for topic, number in senders.items() if number > 1]
        values = {f"age of {k} [s]": v for k, v in ages.items()} | refused | {f"publishers on {k}": v for k, v in senders.items()}
        dropped = {name: pinned.words for name, pinned in inputs.pinned.items()}
        values |= {f"dropped on {name}": words or "none" for name, words in dropped.items()}
        values |= {f"taken from {topic}": self._reception.taken[topic] for topic in senders}
        values |= {f"refused from {topic}": number for topic, number in by_topic.items()}
        status = self._counts("inputs", refused, tuple(refused), values, "fresh")
        if any(dropped.values()) and status.level == OK:
            status.level = WARN
            status.message = "; ".join(
                f"messages of others dropped on {name}: {words}" for name, words in dropped.items() if words
            )
        if several and status.level == OK:
            # they may be drivers of different joints; if they are not, one of them is not this robot's
            status.level, status.message = WARN, ", ".join(several)
        if stale:
            status.level, status.message = STALE, f"stale: {', '.join(stale)}"
        return status

    def _loop(self) -> DiagnosticStatus:
        counts = dict(vars(self.loop.statistics))
        counts.pop("begins")
        # the loop's thread appends at the same time, so this copies the deque before using it
        late = np.array(counts.pop("lateness").copy() or [0.0])
        values = {
            **counts,
            "lead [control periods]": self.loop.planning.lead,
            "late, median [ms]": 1e3 * np.median(late),
            "late, largest [ms]": 1e3 * late.max(),
        }
        return self._counts("control loop", counts, ("missed_deadlines", "overruns", "stalls", "failures"), values)

    def _planner(self) -> DiagnosticStatus:
        planning = self.loop.planning
        counts = vars(planning.statistics)
        values = {
            **counts,
            "num_samples": planning.budget.num_samples,
            "device": planning.controller.device,
            "precision": planning.controller.settings.precision,
            "model error [target stds]": planning.model_error,
            "model error, mean of many plans [target stds]": planning.mean_error,
            "model error in training [target stds]": planning.controller.expected_error,
            "belief is frozen": planning.is_frozen,
            "adaptation is paused": planning.pause.reason or "no",
            "turns of the belief": "not watched" if (turns := self._turns()) is None else turns,
        }
        status = self._counts("planner", counts, ("failures",), values)
        if planning.budget.is_cut and status.level == OK:
            status.level, status.message = WARN, f"cut to {planning.budget.num_samples} of {planning.budget.full} samples"
        if planning.pause.reason and status.level == OK:
            status.message = f"adaptation is paused: {planning.pause.reason}"
        ratio = planning.mean_error / planning.controller.expected_error
        if ratio > FINE_TUNE_RATIO and status.level == OK:
            status.level, status.message = WARN, f"the model errs {ratio:.1f} times more than in training: fine-tune it"
        return status

    def _counts(
        self, part: str, counts: Values, warned: tuple[str, ...], values: Values, fine: str = "in time"
    ) -> DiagnosticStatus:
        grown = self._growth[part]({name: int(str(counts[name])) for name in warned})
        return self._status(part, WARN if grown else OK, ", ".join(in_words(grown)) or fine, values)

    def _status(self, part: str, level: int, message: str, values: Values) -> DiagnosticStatus:
        pairs = [KeyValue(key, _text(value)) for key, value in values.items()]
        return DiagnosticStatus(level, f"{self.name}: {part}", message, self.loop.supervisor.spec.name, pairs)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return str(value)
