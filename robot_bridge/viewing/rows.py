"""Tables of the page: ages of the observations, diagnostics, the belief in words, what happened."""

from __future__ import annotations

import math

from adaptive_mbrl.viewing.status import Row
from robot_bridge.machine.judgement import ERROR, OK, STALE
from robot_bridge.middleware.messages import LogLevel
from robot_bridge.node.telemetry import BELIEF
from robot_bridge.streams.readings import Readings
from robot_bridge.streams.watched import DIAGNOSTICS, Watched
from robot_bridge.viewing.heard import Snapshot
from robot_bridge.viewing.state import in_words, silent_after, statuses

NEAR = 0.5
"""Share of its age limit from which on the age of an observation is a warning."""
SHOWN_LINES = 8
"""Lines of the log on the page."""


def age_rows(watched: Watched, heard: Snapshot) -> list[Row]:
    """For each input the oldest of its channels, and its age beside the limit.

    Args:
        watched: the robot and its node.
        heard: what was heard.
    """
    rows = []
    for name, topic in watched.config.inputs.items():
        ages = {
            c: heard.now - heard.observed.received[i]
            for i, c in enumerate(watched.spec.obs_names)
            if watched.config.obs[c].input == name
        }
        if ages:
            rows.append(_age_row(watched, f"{name} {topic.topic}", ages))
    return rows


def _age_row(watched: Watched, name: str, ages: dict[str, float]) -> Row:
    limits = {channel: watched.config.safety.age_limit(channel) for channel in ages}
    oldest = max(ages, key=lambda channel: ages[channel] / limits[channel])
    age, limit = ages[oldest], limits[oldest]
    if math.isinf(age):
        never = [channel for channel in ages if math.isinf(ages[channel])]
        return Row(name, f"never received: {', '.join(never)}", "bad")
    level = "bad" if age > limit else "warning" if age > NEAR * limit else "good"
    text = f"{max(age, 0.0):.3f} s" if age < 10 else in_words(age)
    return Row(name, f"{text}, allowed: {limit:g} s ({oldest})", level)


def diagnostics_rows(watched: Watched, heard: Snapshot) -> list[Row]:
    """A row for each part of the node; one that says so if the node is silent."""
    found = statuses(watched, heard)
    if not found:
        age = heard.age(DIAGNOSTICS)
        silence = "nothing heard yet" if math.isinf(age) else f"nothing heard for {in_words(age)}"
        return [Row(DIAGNOSTICS, silence, "bad")]
    levels = {OK: "good", ERROR: "bad", STALE: "bad"}
    return [Row(part, status.message, levels.get(status.level, "warning")) for part, status in found.items()]


def belief_rows(watched: Watched, heard: Snapshot, readings: Readings) -> list[Row]:
    """The belief in words: what it is from, how wrong prior and adapted model are, what the plan promises."""
    topic = watched.own_topic("belief")
    if heard.age(topic) > silent_after(watched):
        return [Row("belief", _silence(heard.age(topic)), "bad")]
    says = {name.partition("/")[2]: value for name, value in readings.numbers(topic, heard.messages[topic][0]).items()}
    prior, adapted = (says.get(name, math.nan) for name in BELIEF[:2])
    adapt, plan = (1e3 * says.get(name, math.nan) for name in ("adapt_seconds", "plan_seconds"))
    fell_back, is_paused = (bool(says.get(name, 0.0)) for name in ("fell_back", "paused"))
    turned = int(says.get("reversed", 0.0))
    steps = f"{says.get('run_length', 0.0):.0f} steps"
    return [
        Row("from", "the prior, because it predicts better" if fell_back else steps, "warning" if fell_back else "normal"),
        Row("model error", f"{adapted:.3g}, of the prior {prior:.3g} [target stds]"),
        Row("predicted return", f"{says.get('predicted_return', math.nan):.3g}"),
        *([Row("adaptation", "paused", "warning")] if is_paused else []),
        *([Row("motors", f"{turned} taken to be wired backwards, see the diagnostics", "warning")] if turned else []),
        Row("times", f"{adapt:.0f} ms to adapt, {plan:.0f} ms to plan"),
    ]


def log_rows(heard: Snapshot) -> list[Row]:
    """The newest lines of the log, the newest first, each with how long ago it was."""
    levels = {LogLevel.ERROR: "bad", LogLevel.WARN: "warning"}
    newest = list(reversed(heard.log))[:SHOWN_LINES]
    rows = [
        Row(f"{in_words(heard.now - at)} ago", line.msg, levels.get(LogLevel(line.level), "normal"))
        for line, at in newest
        if line.level in list(LogLevel)
    ]
    return rows or [Row("log", "nothing heard yet")]


def _silence(age: float) -> str:
    return "nothing heard yet" if math.isinf(age) else f"nothing heard for {in_words(age)}"
