"""What state a bridge is in, as far as anybody can know who only listens to it."""

from __future__ import annotations

from dataclasses import dataclass

from robot_bridge.middleware.messages import DiagnosticArray, DiagnosticStatus, String
from robot_bridge.safety.states import State
from robot_bridge.streams.reactions import CUT_POWER, reacting
from robot_bridge.streams.watched import DIAGNOSTICS, Watched
from robot_bridge.viewing.heard import Snapshot

SILENT_SECONDS, SILENT_PERIODS = 1.0, 10.0
"""A bridge that says its state in every control period counts as silent after so long, whichever is longer."""
DIAGNOSTICS_SECONDS = 3.0
"""Diagnostics come once a second; older ones count as silence [s]."""
LEVELS = {State.RUNNING: "good", State.RAMP: "warning", State.HOLD: "bad", State.ESTOP: "bad"}
"""How good a state is; those that are not here are `normal`."""


@dataclass(frozen=True)
class Shown:
    """The state, for a banner.

    Attributes:
        title: a few words in large letters.
        reason: a sentence below them; may be empty.
        level: `normal`, `good`, `warning` or `bad`.
    """

    title: str
    reason: str
    level: str


def silent_after(watched: Watched) -> float:
    """The age from which on a message of every control period counts as silence [s]."""
    return max(SILENT_SECONDS, SILENT_PERIODS * watched.spec.dt)


def shown_state(watched: Watched, heard: Snapshot, where: str) -> Shown:
    """What the banner says. A state that is not confirmed any more is never shown as the present one.

    Args:
        watched: the robot and its node.
        heard: what was heard.
        where: domain and interface, in words.
    """
    topic = watched.own_topic("state")
    entry = heard.messages.get(topic)
    if entry is None or not isinstance(entry[0], String):
        return Shown(
            "nothing heard yet", f"No message on {topic} {where}. Is the bridge running, with this domain and interface?", "bad"
        )
    age = heard.age(topic)
    if age > silent_after(watched):
        last = f"Its last state was '{entry[0].data}'. What the robot does now is not known."
        return Shown(f"nothing heard for {in_words(age)}", last, "bad")
    try:
        level = LEVELS.get(State(entry[0].data), "normal")
    except ValueError:
        level = "normal"
    return _with_reaction(watched, heard, Shown(entry[0].data, _reason(watched, heard, entry[0].data), level))


def statuses(watched: Watched, heard: Snapshot) -> dict[str, DiagnosticStatus]:
    """The parts of the node's newest diagnosis, by name; nothing if it is too old to be true."""
    if heard.age(DIAGNOSTICS) > DIAGNOSTICS_SECONDS:
        return {}
    message = heard.messages[DIAGNOSTICS][0]
    found = message.status if isinstance(message, DiagnosticArray) else []
    named = {tuple(status.name.partition(": ")[::2]): status for status in found}
    return {part: status for (node, part), status in named.items() if node.strip("/") == watched.node}


def _with_reaction(watched: Watched, heard: Snapshot, shown: Shown) -> Shown:
    """The state with what is done about faults, how a stop goes, and what waits for a person's decision."""
    topic = watched.own_topic("reaction")
    message = heard.messages[topic][0] if heard.age(topic) <= silent_after(watched) else None
    found = reacting(message.data if isinstance(message, String) else "")
    safety = statuses(watched, heard).get("safety")
    waiting = {pair.key: pair.value for pair in safety.values}.get("waiting for a decision", "") if safety is not None else ""
    decide = f"waiting for a decision about {waiting}: 'Override' goes on in spite of it" if waiting else ""
    # a stop that has failed is said before its cause
    parts = (found.text, shown.reason, decide) if found.failed else (shown.reason, found.text, decide)
    levels = ("normal", "good", "warning", "bad")
    level = max((shown.level, found.level, "warning" if waiting else "normal"), key=levels.index)
    title = f"{shown.title}: {CUT_POWER}" if found.failed else shown.title
    return Shown(title, "; ".join(filter(None, parts)), level)


def _reason(watched: Watched, heard: Snapshot, state: str) -> str:
    """Why it is in this state: the faults of now, or those that the present hold began with."""
    safety = statuses(watched, heard).get("safety")
    if safety is None:
        return ""
    said, _, faults = safety.message.partition("; ")
    if said != state:
        # the diagnosis is of before the last change of the state
        return ""
    began = {pair.key: pair.value for pair in safety.values}.get("newest hold", "")
    return faults or (f"held because of: {began}" if state == State.HOLD.value and began else "")


def in_words(seconds: float) -> str:
    """A time span, as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
