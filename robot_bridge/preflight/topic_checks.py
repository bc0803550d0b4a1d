"""Checks of topics: do messages come, of the right type, often enough, and with usable stamps?"""

from __future__ import annotations

import difflib

import numpy as np

from adaptive_mbrl.stamp_order import CLOCK_JUMP, which_are_new
from robot_bridge.bridge_config import BridgeConfig, TopicConfig
from robot_bridge.middleware.endpoints import Endpoints
from robot_bridge.preflight.checks import Check, Verdict
from robot_bridge.preflight.listening import InputRecord

MIN_RATE_SHARE = 0.9
"""Least rate of a topic, as a share of one message per control period. It is below 1 because of the error of measurement."""
MAX_OFFSET = 0.1
"""Largest difference between stamps and this machine's clock without a warning [s]."""
MAX_DRIFT = 0.1
"""Largest difference in speed between the sender's clock and this machine's without a warning, as a share."""


def topic_check(topic: TopicConfig, record: InputRecord, graph: Endpoints | None) -> Check:
    """Check that messages of the right type come, from one publisher."""
    name = f"topic {topic.topic}"
    publishers = [e for e in graph or () if e.publishes and e.topic == topic.topic]
    others = sorted({e.type for e in publishers} - {topic.type})
    if others:
        return Check(
            name, Verdict.FAIL, f"published as {', '.join(others)}", f"the bridge file says {topic.type}: correct 'type' there"
        )
    if record.count == 0 and record.joints:
        advice = f"it names {', '.join(record.joints)}: correct the joints, or the topic"
        return Check(name, Verdict.FAIL, "no message names a joint of the bridge file", advice)
    if record.count == 0 and record.refused:
        advice = "larger than max_message_bytes, or not to be decoded, as the log says; raise max_message_bytes if they are right"
        return Check(name, Verdict.FAIL, f"{record.refused} messages were refused", advice)
    if record.count == 0:
        return Check(name, Verdict.FAIL, "no message", _where_it_could_be(topic, bool(publishers), graph))
    if len(publishers) > 1:
        return Check(
            name,
            Verdict.WARN,
            f"{record.count} messages of {len(publishers)} publishers",
            "fine if each of them has channels of its own; of two that send the same channel, the newest message counts",
        )
    return Check(name, Verdict.PASS, f"{record.count} messages, {topic.type}")


def rate_check(config: BridgeConfig, name: str, record: InputRecord, dt: float) -> Check:
    """Check that new values come as often as the controller acts, and that no gap is longer than an age limit."""
    safety, label = config.safety, f"rate of {config.inputs[name].topic}"
    new, held = _is_new(record), record.held
    limits = {c: safety.age_limit(c) for c in record.values}
    # of each channel by itself: drivers that share a topic may differ
    arrivals = {c: record.received[new & held[:, i]] for i, c in enumerate(record.values) if held[:, i].any()}
    fewest = min(map(len, arrivals.values()), default=0)
    if fewest < 2:
        return Check(label, Verdict.FAIL, f"{fewest} new messages", "check its stamps; only new messages are used")
    gaps = {c: max(float(np.diff(r).max()), record.listened - float(r[-1] - r[0])) for c, r in arrivals.items()}
    strictest = max(gaps, key=lambda c: gaps[c] / limits[c])
    received, gap = arrivals[strictest], gaps[strictest]
    rate = (len(received) - 1) / (received[-1] - received[0])
    measured = f"{rate:.1f} Hz, largest gap {gap:.3f} s; control {1 / dt:.1f} Hz"
    allowed = f"{strictest} may be {limits[strictest]:g} s old"
    too_old = gap > limits[strictest]
    if rate < MIN_RATE_SHARE / dt:
        if all(c in safety.max_age_of for c in record.values) and not too_old:
            advice = f"its age limits allow it ({allowed}); the model was trained on a new value every {dt:g} s"
            return Check(label, Verdict.WARN, measured, advice)
        return Check(label, Verdict.FAIL, measured, f"publish at {1 / dt:.0f} Hz or more, best at twice that")
    if too_old:
        return Check(label, Verdict.WARN, measured, f"{allowed}: every longer gap is a hold; find the jitter or raise max_age")
    return Check(label, Verdict.PASS, measured)


def stamp_check(topic: TopicConfig, record: InputRecord) -> Check:
    """Check that stamps change, increase, pass as fast as time on this machine, and agree with its clock."""
    name, stamps = f"stamps of {topic.topic}", record.stamps
    if stamps is None:
        return Check(name, Verdict.INFO, f"{topic.type} has none", "without stamps, an overtaken message looks like a new one")
    offset = float(np.median(stamps - record.clock))
    if len(stamps) > 1 and np.ptp(stamps) == 0:
        what = "all zero" if stamps[0] == 0 else "frozen"
        return Check(name, Verdict.FAIL, what, "the driver must stamp every message; repeated stamps are taken for old messages")
    held = record.held
    steps = np.concatenate([np.diff(stamps[(held == which).all(1)]) for which in np.unique(held, axis=0)])
    jumps, repeated = int((steps <= -CLOCK_JUMP).sum()), int(((steps <= 0) & (steps > -CLOCK_JUMP)).sum())
    if jumps or repeated:
        measured = f"{repeated} of {len(steps)} not later than the one before, {jumps} jumps back"
        advice = "messages not later are ignored; stamp each with its time of measurement, by a clock that is not set back"
        return Check(name, Verdict.WARN, measured, advice)
    drift = _drift(record)
    if abs(drift) > MAX_DRIFT:
        measured = f"{1 + drift:.2f} s pass in them for every second here"
        return Check(name, Verdict.WARN, measured, "stamp with measured time, not with the nominal rate or simulated time")
    if abs(offset) > MAX_OFFSET:
        advice = "synchronise the clocks (chrony, ptp); ages count from the shortest delay that is seen"
        return Check(name, Verdict.WARN, f"{offset:+.3f} s from this machine's clock", advice)
    return Check(name, Verdict.PASS, f"{1e3 * offset:+.1f} ms from this machine's clock")


def output_checks(config: BridgeConfig, graph: Endpoints | None) -> list[Check]:
    """Check that somebody subscribes to the commands, and that nobody else publishes any."""
    if graph is None:
        return []
    output, name = config.output, f"output {config.output.topic}"
    here = [e for e in graph if e.topic == output.topic]
    other_publishers = sum(e.publishes for e in here)
    types = sorted({e.type for e in here if not e.publishes})
    checks = []
    if output.type in types:
        checks.append(Check(name, Verdict.PASS, f"{sum(not e.publishes for e in here)} subscriber(s), {output.type}"))
    elif types:
        checks.append(
            Check(name, Verdict.FAIL, f"subscribed as {', '.join(types)}", f"commands are {output.type}: see output.type")
        )
    else:
        near = _nearest(output.topic, {e.topic for e in graph if not e.publishes})
        checks.append(Check(name, Verdict.FAIL, "no subscriber", f"start the robot's controller{near}"))
    if other_publishers:
        advice = "stop the other controller: two controllers of one robot work against each other"
        checks.append(Check(f"{name}, others", Verdict.WARN, f"{other_publishers} other publisher(s)", advice))
    return checks


def goal_checks(config: BridgeConfig, goals: int, graph: Endpoints | None) -> list[Check]:
    """Report whether a goal came; until then the initial goal holds."""
    if config.goal is None:
        return []
    name = f"goal {config.goal.topic}"
    publishers = [e for e in graph or () if e.publishes and e.topic == config.goal.topic]
    if publishers and not any(e.reliable for e in publishers):
        return [
            Check(
                name,
                Verdict.WARN,
                "its publisher is best effort",
                "publish goals with reliable delivery: a best-effort publisher is not received",
            )
        ]
    initial = ", ".join(f"{value:g}" for value in config.goal.initial)
    return [Check(name, Verdict.INFO, f"{goals} message(s)" if goals else f"none yet; {initial} until one comes")]


def _is_new(record: InputRecord) -> np.ndarray:
    """Whether each message is new by its stamp, (n,): that is later than all before, or the clock was set back."""
    if record.stamps is None:
        return np.ones(record.count, dtype=bool)
    return which_are_new(record.stamps.tolist(), record.held)


def _drift(record: InputRecord) -> float:
    """How much faster time passes in the stamps than on this machine, as a share; 0 if there are too few messages."""
    passed = record.received[-1] - record.received[0]
    if record.stamps is None or record.count < 10 or passed <= 0:
        return 0.0
    return float((record.stamps[-1] - record.stamps[0]) / passed - 1.0)


def _where_it_could_be(topic: TopicConfig, published: bool, graph: Endpoints | None) -> str:
    if published:
        return "there is a publisher, but no message comes: is its driver active, does the network lose messages?"
    if graph is None:
        return "is the driver running, on this domain and interface?"
    topics = {e.topic for e in graph if e.publishes}
    if not topics:
        return "nobody publishes anything here: is the robot on, on this --domain and --interface?"
    return f"start its publisher, or correct the topic{_nearest(topic.topic, topics)}"


def _nearest(wanted: str, known: set[str]) -> str:
    near = difflib.get_close_matches(wanted, sorted(known), 1, 0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(sorted(known)[:5])}" if known else ""
