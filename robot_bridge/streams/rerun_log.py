"""Writes what a bridge says into a recording of Rerun: scalars over time, bars of plan and belief, and a log of what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptive_mbrl.extras import extra_package
from robot_bridge.machine.judgement import ERROR, OK
from robot_bridge.middleware.messages import DiagnosticArray, Message, String
from robot_bridge.safety.states import State
from robot_bridge.streams.reactions import CUT_POWER, reacting
from robot_bridge.streams.readings import Readings
from robot_bridge.streams.watched import Watched

if TYPE_CHECKING:
    from rerun import RecordingStream

APPLICATION = "adaptive_mbrl"
TIMELINE = "time"
BAR_PERIOD = 100_000_000
"""Shortest time between two updates of the same bars [ns]; more than ten a second nobody can see."""
_FAULTS = (State.HOLD.value, State.ESTOP.value)
Event = tuple[str, Any]
"""An entity's path, and what is shown there from now on."""


def new_recording() -> RecordingStream:
    """A recording without a place to go to yet, whose only timeline is `TIMELINE`.

    Raises:
        ConfigError: the extra `rerun` is not installed.
    """
    recording: RecordingStream = extra_package("rerun", "rerun").RecordingStream(APPLICATION)
    recording.set_log_tick_enabled(False)
    recording.set_log_time_enabled(False)
    return recording


def entity(name: str) -> str:
    """The path of the entity for the name of a number; `diagnosis/actuator_gain rotor_1/mean` has a blank, which is escaped."""
    path: str = extra_package("rerun", "rerun").new_entity_path(name.split("/"))
    return path


class RerunLog:
    """What the messages of one robot mean to Rerun.

    Args:
        watched: the robot and its node.
        recording: the recording that is written to.
    """

    def __init__(self, watched: Watched, recording: RecordingStream) -> None:
        self._rr = extra_package("rerun", "rerun")
        self.watched, self.recording, self.readings = watched, recording, Readings(watched)
        self._state = self._reaction = ""
        self._parts: dict[str, tuple[int, str]] = {}
        self._bars_at: dict[str, int] = {}

    def log(self, topic: str, message: Message, at: int) -> None:
        """Write all that a message says, at its time since the epoch [ns]."""
        self.recording.set_time(TIMELINE, timestamp=np.datetime64(at, "ns"))
        for name, value in self.readings.numbers(topic, message).items():
            self.recording.log(entity(name), self._rr.Scalars(value))
        self.log_events(topic, message, at)

    def log_events(self, topic: str, message: Message, at: int) -> None:
        """Write what a message says beside numbers, at its time since the epoch [ns]."""
        self.recording.set_time(TIMELINE, timestamp=np.datetime64(at, "ns"))
        for path, shown in self._events(topic, message, at):
            self.recording.log(path, shown)

    def _events(self, topic: str, message: Message, at: int) -> Iterator[Event]:
        own = self.watched.own_topic
        if topic == own("state") and isinstance(message, String):
            yield from self._state_events(message.data)
        elif topic == own("reaction") and isinstance(message, String):
            yield from self._reaction_events(message.data)
        elif isinstance(message, DiagnosticArray):
            yield from self._diagnostics_events(message)
        elif topic in (own("plan"), own("diagnosis")) and at - self._bars_at.get(topic, -BAR_PERIOD) >= BAR_PERIOD:
            self._bars_at[topic] = at
            yield from self._plan_bars(message) if topic == own("plan") else self._diagnosis_bars(message)

    def _state_events(self, state: str) -> Iterator[Event]:
        if state != self._state:
            self._state = state
            levels = self._rr.TextLogLevel
            yield "state", self._rr.TextLog(state, level=levels.ERROR if state in _FAULTS else levels.INFO)

    def _reaction_events(self, said: str) -> Iterator[Event]:
        if said != self._reaction:
            self._reaction = said
            levels, shown = self._rr.TextLogLevel, reacting(said)
            level = {"bad": levels.ERROR, "warning": levels.WARN}.get(shown.level, levels.INFO)
            yield "reaction", self._rr.TextLog(f"{said}: {CUT_POWER}" if shown.failed else said, level=level)

    def _diagnostics_events(self, message: DiagnosticArray) -> Iterator[Event]:
        """A line for each part of the node whose level or message changed; those of other nodes are left out."""
        for status in message.status:
            node, _, part = status.name.partition(": ")
            if node.strip("/") == self.watched.node and self._parts.get(part) != (status.level, status.message):
                self._parts[part] = status.level, status.message
                levels = self._rr.TextLogLevel
                level = levels.INFO if status.level == OK else levels.ERROR if status.level == ERROR else levels.WARN
                yield f"diagnostics/{part.replace(' ', '_')}", self._rr.TextLog(f"{part}: {status.message}", level=level)

    def _plan_bars(self, message: Message) -> Iterator[Event]:
        for name, course in zip(self.watched.spec.action_names, self.readings.plan(message).T, strict=True):
            if len(course):
                yield entity(f"plan/{name}"), self._rr.BarChart(course)

    def _diagnosis_bars(self, message: Message) -> Iterator[Event]:
        means = [mean for mean, _ in self.readings.diagnosis(message).values()]
        if means:
            yield "diagnosis/bars", self._rr.BarChart(np.array(means))
