"""Checks before the first command whether this robot is the one that its bridge file and its checkpoint describe.

The checks look at messages that were received elsewhere, and print nothing. So the node uses them, too, when it is configured.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np

from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.spec import Channel
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.preflight.checks import Check, Verdict
from robot_bridge.preflight.listening import EMPTY, NO_JOINT, InputRecord, ListeningResult
from robot_bridge.preflight.monitor_checks import monitor_checks
from robot_bridge.preflight.plausibility import WARN_STDS, distance, mistaken_unit
from robot_bridge.preflight.topic_checks import goal_checks, output_checks, rate_check, stamp_check, topic_check
from robot_bridge.safety.supervisor import SafetySupervisor


class Expected(NamedTuple):
    """The values that are expected of a channel, in its unit.

    Attributes:
        mean: mean in the training data.
        std: standard deviation in the training data.
        low: smallest value that the supervisor allows.
        high: largest value that the supervisor allows.
    """

    mean: float
    std: float
    low: float
    high: float


def check_inputs(
    config: BridgeConfig,
    supervisor: SafetySupervisor,
    normalizer: Normalizer,
    listening: ListeningResult,
) -> list[Check]:
    """All checks that need no command.

    Args:
        config: the bridge file.
        supervisor: the safety supervisor that the bridge file describes.
        normalizer: the checkpoint's normalizer.
        listening: the messages that `listen` received.
    """
    records, graph, spec = listening.records, listening.endpoints, supervisor.spec
    checks = []
    for name, topic in config.inputs.items():
        checks.append(topic_check(topic, records[name], graph))
        if records[name].count:
            checks += [rate_check(config, name, records[name], spec.dt), stamp_check(topic, records[name])]
    ranges = (normalizer.obs_mean.tolist(), normalizer.obs_std.tolist(), *supervisor.obs_range)
    for channel, mean, std, low, high in zip(spec.obs, *ranges, strict=True):
        record = records[config.obs[channel.name].input]
        if record.count or record.joints:
            checks.append(channel_check(config, channel, record, Expected(mean, std, low, high)))
    checks += monitor_checks(config, listening)
    return [*checks, *output_checks(config, graph), *goal_checks(config, listening.goals, graph)]


def channel_check(config: BridgeConfig, channel: Channel, record: InputRecord, expected: Expected) -> Check:
    """Check that a channel is in every message that could hold it, finite, plausible in its unit and within its limits."""
    name, values, absent = f"channel {channel.name}", record.values[channel.name], record.absent.get(channel.name, {})
    # drivers that share a topic have joints of their own
    elsewhere = absent.get(NO_JOINT, 0)
    if elsewhere == record.count or sum(absent.values()) > elsewhere:
        return _absent(config, channel.name, record)
    finite = np.isfinite(values)
    if finite.sum() < record.count - elsewhere:
        measured = f"not finite in {record.count - elsewhere - int(finite.sum())} of {record.count - elsewhere} messages"
        return Check(name, Verdict.FAIL, measured, "find out why the driver sends NaN or infinity: a sensor that is not ready?")
    values = values[finite]
    here = f"{_span(values)} {channel.unit}"
    far = distance(values, expected.mean, expected.std)
    measured = f"{here}; training {expected.mean:.3g} ± {expected.std:.2g}"
    if far > WARN_STDS:
        limit = config.safety.max_training_stds
        verdict = Verdict.FAIL if 0 < limit < far else Verdict.WARN
        return Check(name, verdict, f"{measured}, {far:.0f} stds away", _unit_advice(channel, values, expected))
    if not (expected.low <= values.min() and values.max() <= expected.high):
        measured = f"{here}; safety.obs_limits let pass {expected.low:g} to {expected.high:g}"
        return Check(name, Verdict.FAIL, measured, "bring the robot within its limits: outside of them it is not started")
    return Check(name, Verdict.PASS, measured)


def _absent(config: BridgeConfig, channel: str, record: InputRecord) -> Check:
    source, reasons = config.obs[channel], record.absent.get(channel, {NO_JOINT: 0})
    topic, count = config.inputs[source.input].topic, sum(reasons.values())
    reason = max(reasons, key=lambda r: (r != NO_JOINT, reasons[r]))
    often = "" if count == record.count else f" in {count} of {record.count} messages: two publishers on one topic?"
    if reason == NO_JOINT:
        near = difflib.get_close_matches(source.joint, record.joints, 1, 0.4)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        advice = f"{topic} names {', '.join(record.joints) or 'no joints'}{hint}"
        return Check(f"channel {channel}", Verdict.FAIL, f"no joint '{source.joint}'{often}", advice)
    # `data.3` is the fourth entry of `data`
    array = source.field.rpartition(".")[0] if source.field.rpartition(".")[2].isdigit() else source.field
    advice = f"{topic} has to send it: switch on this state interface in the driver, or read another field"
    if reason == EMPTY:
        return Check(f"channel {channel}", Verdict.FAIL, f"'{array}' is empty{often}", advice)
    where = f"joint '{source.joint}'" if source.joint else f"'{source.field}'"
    return Check(f"channel {channel}", Verdict.FAIL, f"'{array}' is too short for {where}{often}", advice)


def _unit_advice(channel: Channel, values: np.ndarray, expected: Expected) -> str:
    unit = mistaken_unit(values, expected.mean, expected.std, channel.unit)
    if unit:
        return f"in {unit}? the model takes {channel.unit}"
    if channel.kind == "angle":
        return f"is its zero where the model's is, and its unit {channel.unit}?"
    return f"check unit ({channel.unit}), sign and zero; the model knows nothing of such values"


def _span(values: np.ndarray) -> str:
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"
