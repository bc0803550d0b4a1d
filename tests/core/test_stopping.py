"""A training that is asked to stop saves first; outside a fit it stops at once."""

from __future__ import annotations

import os
import signal

import pytest

from adaptive_mbrl.process import Process
from adaptive_mbrl.training.stopping import Stopped, StopRequest


def send(number: signal.Signals) -> None:
    """A signal to this process, which Python hears at the next opportunity."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Stopped), (signal.SIGINT, KeyboardInterrupt)])
def test_where_nothing_would_be_lost_it_stops_at_once(number: signal.Signals, raised: type[BaseException]):
    with StopRequest().on_signals(), pytest.raises(raised):
        send(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_where_something_would_be_lost_it_waits_until_somebody_looks(number: signal.Signals):
    stop = StopRequest()
    with stop.on_signals(), stop.deferred():
        assert not stop.is_made(Process())
        send(number)

        assert stop.is_made(Process())
        with pytest.raises(Stopped) as caught:
            stop.obey()
    assert caught.value.number == number


def test_a_second_ctrl_c_does_not_wait():
    stop = StopRequest()
    with stop.on_signals(), stop.deferred():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_afterwards_signals_mean_what_they_meant_before():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopRequest().on_signals():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
