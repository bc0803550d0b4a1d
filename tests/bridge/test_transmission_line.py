"""A line delays and loses as it is told, and nothing overtakes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.simulated.imperfections import TransmissionLineConfig
from robot_bridge.simulated.transmission_line import TransmissionLine

lines = st.builds(TransmissionLineConfig, latency=st.floats(0, 0.1), jitter=st.floats(0, 0.1), loss=st.floats(0, 0.9))


@given(lines, st.lists(st.floats(0, 0.05), max_size=40), st.integers(0, 1000))
def test_messages_arrive_in_order_and_not_before_the_latency(config: TransmissionLineConfig, gaps: list[float], seed: int):
    line: TransmissionLine[int] = TransmissionLine(config, np.random.default_rng(seed))
    sent = np.cumsum([0.0, *gaps])
    for number, time in enumerate(sent):
        line.send(number, float(time))

    arrived = list(line.arrived(math.inf))

    assert len(arrived) + line.lost == len(sent)
    assert [number for _, number in arrived] == sorted(number for _, number in arrived)
    assert [time for time, _ in arrived] == sorted(time for time, _ in arrived)
    for time, number in arrived:
        # jitter adds to the own latency, or to that of a message in front
        assert sent[number] + config.latency <= time <= sent[number] + config.latency + config.jitter
    assert line.due == math.inf


def test_without_imperfections_a_message_is_there_at_once():
    line: TransmissionLine[str] = TransmissionLine(TransmissionLineConfig(), np.random.default_rng(0))
    line.send("a", 1.0)

    assert line.due == 1.0
    assert list(line.arrived(0.999)) == []
    assert list(line.arrived(1.0)) == [(1.0, "a")]


def test_loss_and_jitter_are_as_frequent_and_as_wide_as_they_should_be():
    line: TransmissionLine[int] = TransmissionLine(
        TransmissionLineConfig(latency=0.005, jitter=0.002, loss=0.25), np.random.default_rng(0)
    )
    for number in range(4000):
        line.send(number, float(number))

    delays = np.array([time - number for time, number in line.arrived(math.inf)])

    assert line.lost == pytest.approx(1000, abs=100)
    assert delays.mean() == pytest.approx(0.006, abs=1e-4)
    assert delays.std() == pytest.approx(0.002 / math.sqrt(12), rel=0.1)


def test_the_same_seed_gives_the_same_fate():
    def fate(seed: int) -> list[tuple[float, int]]:
        line: TransmissionLine[int] = TransmissionLine(TransmissionLineConfig(jitter=0.01, loss=0.5), np.random.default_rng(seed))
        for number in range(20):
            line.send(number, number * 0.01)
        return list(line.arrived(math.inf))

    assert fate(1) == fate(1)
    assert fate(1) != fate(2)
