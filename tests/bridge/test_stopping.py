"""Signals: asked to end, a process finishes what must be finished, and leaves what may be left."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from robot_bridge.stopping import SIGNALS, interruptible, stop_on_signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """This process's own handlers again at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_only_sets_the_event(number: signal.Signals):
    stop = stop_on_signals()

    signal.raise_signal(number)
    signal.raise_signal(number)

    assert stop.is_set()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_ends_what_may_be_left_and_a_second_one_does_nothing_more(number: signal.Signals):
    stop = stop_on_signals()

    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)

    assert stop.is_set()
    signal.raise_signal(number)


def test_afterwards_a_signal_ends_nothing():
    stop = stop_on_signals()

    with interruptible():
        assert not stop.is_set()
    signal.raise_signal(signal.SIGTERM)

    assert stop.is_set()
