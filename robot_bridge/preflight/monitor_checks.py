"""Does every monitor of a bridge file have a number, and is it within its limits?"""

from __future__ import annotations

import math

from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.preflight.checks import Check, Verdict
from robot_bridge.preflight.listening import ListeningResult
from robot_bridge.safety.monitor_config import MonitorConfig


def monitor_checks(config: BridgeConfig, listening: ListeningResult) -> list[Check]:
    """A check of each monitor that has a topic; channels are checked as such.

    Args:
        config: the bridge file.
        listening: what was heard.
    """
    return [
        monitor_check(name, monitor, listening.monitors.get(name, math.nan), listening.seconds)
        for name, monitor in config.monitors.items()
        if monitor.topic
    ]


def monitor_check(name: str, monitor: MonitorConfig, value: float, seconds: float) -> Check:
    """The check of one monitor.

    Args:
        name: its name.
        monitor: its limits.
        value: the newest number; NaN without one.
        seconds: how long was listened [s].
    """
    what = f"monitor {name}"
    if math.isnan(value):
        verdict = Verdict.FAIL if seconds >= monitor.max_age else Verdict.WARN
        measured = f"no number '{monitor.field}' on {monitor.topic}"
        return Check(what, verdict, measured, "start its driver; without it the monitor is lost, by default a held robot")
    for limits, verdict in ((monitor.fault, Verdict.FAIL), (monitor.warn, Verdict.WARN)):
        if limits is not None and not limits.contains(value):
            return Check(
                what, verdict, f"{value:.4g}; allowed: {limits}", "bring it within its limits before the robot is started"
            )
    return Check(what, Verdict.PASS, f"{value:.4g}")
