"""Turns a recording of a bridge into one of Rerun, with the blueprint in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.storage import temporary_name
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recorder import absolute_topic
from robot_bridge.middleware.messages import Message
from robot_bridge.streams.rerun_blueprint import blueprint
from robot_bridge.streams.rerun_log import TIMELINE, RerunLog, entity, new_recording
from robot_bridge.streams.watched import Watched

if TYPE_CHECKING:
    from rerun import RecordingStream

Columns = dict[str, tuple[list[int], list[float]]]
"""By the name of a number: its times since the epoch [ns], and its values."""


def export(watched: Watched, bag: Path, out: Path) -> str:
    """Write a file for Rerun.

    Args:
        watched: the robot and its node.
        bag: the recording, a rosbag2 or one of its files.
        out: the new file, which must not exist yet.

    Returns:
        A line about the result, for the user.

    Raises:
        ConfigError: the bag cannot be read or is not about this robot, the file exists, or the extra `rerun` is not installed.
    """
    if out.exists():
        raise ConfigError(f"{out}: exists already; a recording is never overwritten")
    recording, arrangement = new_recording(), blueprint(watched)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(out)
    try:
        recording.save(temporary, default_blueprint=arrangement)
        found, num_messages = _read(RerunLog(watched, recording), bag)
        _send(recording, found)
        recording.flush()
        recording.disconnect()
        temporary.replace(out)
    finally:
        recording.disconnect()
        temporary.unlink(missing_ok=True)
    return f"{out}: {num_messages} messages, {len(found)} numbers over time; open it with 'rerun {out}'"


def _read(log: RerunLog, path: Path) -> tuple[Columns, int]:
    """Log what is no number, and collect the numbers: thousands of them at once are written much faster than one by one."""
    found: Columns = {}
    num_messages = 0
    with Bag(path) as bag:
        wanted = {topic: kind for topic, kind in log.watched.topics.items() if absolute_topic(topic) in bag.topics}
        _require_any(path, bag, wanted, log.watched)
        for topic, at, message in bag.messages(wanted):
            num_messages += 1
            for name, value in log.readings.numbers(topic, message).items():
                times, values = found.setdefault(name, ([], []))
                times.append(at)
                values.append(value)
            log.log_events(topic, message, at)
    return found, num_messages


def _require_any(path: Path, bag: Bag, wanted: dict[str, type[Message]], watched: Watched) -> None:
    if not wanted:
        asked, has = ", ".join(watched.topics), ", ".join(sorted(bag.topics)) or "none"
        raise ConfigError(f"{path}: no topic of the bridge file; it has {asked}; topics in the bag: {has}")


def _send(recording: RecordingStream, found: Columns) -> None:
    rr = extra_package("rerun", "rerun")
    for name, (times, values) in found.items():
        index = rr.TimeColumn(TIMELINE, timestamp=np.array(times, dtype="datetime64[ns]"))
        recording.send_columns(entity(name), [index], rr.Scalars.columns(scalars=np.array(values)))
