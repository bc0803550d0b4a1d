"""States of the safety supervisor and the one table of transitions between them; docs/robot_safety.md shows it."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """States of the supervisor, which decide what is sent to the robot."""

    INACTIVE = "inactive"
    """Nothing is sent."""
    DRY_RUN = "dry_run"
    """Plans are made and can be looked at, but nothing is sent."""
    RAMP = "ramp"
    """The soft start: the plan's share of the command grows from 0 to 1."""
    RUNNING = "running"
    """The plan is sent, within limits."""
    HOLD = "hold"
    """A fault: the safe action is sent until the fault has been gone for a while."""
    ESTOP = "estop"
    """Emergency stop, until `clear_estop`: the safe action is sent, or nothing if nothing was sent before."""


CONTROLLED = (State.RAMP, State.RUNNING, State.HOLD)
"""States in which the robot is controlled, and a command is sent in every control period."""


class Event(Enum):
    """What can happen to the supervisor."""

    ACTIVATE = "activate"
    ACTIVATE_DRY_RUN = "activate_dry_run"
    DEACTIVATE = "deactivate"
    RAMPED = "ramped"
    FAULT = "fault"
    RECOVERED = "recovered"
    ESTOP = "estop"
    CLEAR_ESTOP = "clear_estop"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.INACTIVE, Event.ACTIVATE): State.RAMP,
    (State.INACTIVE, Event.ACTIVATE_DRY_RUN): State.DRY_RUN,
    (State.DRY_RUN, Event.DEACTIVATE): State.INACTIVE,
    (State.RAMP, Event.RAMPED): State.RUNNING,
    (State.RAMP, Event.FAULT): State.HOLD,
    (State.RAMP, Event.DEACTIVATE): State.INACTIVE,
    (State.RUNNING, Event.FAULT): State.HOLD,
    (State.RUNNING, Event.DEACTIVATE): State.INACTIVE,
    (State.HOLD, Event.RECOVERED): State.RAMP,
    (State.HOLD, Event.DEACTIVATE): State.INACTIVE,
    **{(state, Event.ESTOP): State.ESTOP for state in State},
    (State.ESTOP, Event.CLEAR_ESTOP): State.INACTIVE,
}
"""An event that is not listed for a state changes nothing. Deactivating, for example, does not end an emergency stop."""


def after(state: State, event: Event) -> State:
    """The state that follows an event."""
    return TRANSITIONS.get((state, event), state)
