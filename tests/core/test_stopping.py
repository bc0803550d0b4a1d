"""A training that is asked to stop saves first; outside a fit it stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adaptive_mbrl.process import Process
from adaptive_mbrl.training.stopping import PARENT, Stopped, StopRequest
from tests.bridge.waiting import wait_until


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


def test_the_death_of_the_parent_counts_as_sigterm(tmp_path: Path):
    """Also where nothing can be told any more: the parent is killed."""
    child = (
        "import os, time\n"
        "from adaptive_mbrl.training.stopping import Stopped, StopRequest\n"
        "try:\n"
        "    with StopRequest().on_signals():\n"
        "        os.write(1, b'ready\\n')\n"
        "        time.sleep(60)\n"
        "except Stopped as stop:\n"
        f"    open({str(tmp_path / 'stopped')!r}, 'w').write(stop.number.name)\n"
    )
    parent = (
        "import os, subprocess, sys\n"
        f"os.environ[{PARENT!r}] = str(os.getpid())\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print('ready', flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()

    wait_until(lambda: (tmp_path / "stopped").is_file() and (tmp_path / "stopped").read_text() == "SIGTERM")


def test_afterwards_signals_mean_what_they_meant_before():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopRequest().on_signals():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
