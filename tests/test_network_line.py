"""The network line in user space that benchmarks/two_machines.py puts between two namespaces."""

from __future__ import annotations

import itertools
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
# the scripts find one another in their own folder
sys.path.insert(0, str(BENCHMARKS))
try:
    import two_namespaces
    from network_line import FrameQueue, Line
finally:
    sys.path.remove(str(BENCHMARKS))


def arrivals(line, count: int = 4000, every: float = 0.01) -> list[tuple[float, int]]:
    """Send numbered frames at equal distances; when each arrives [s], and which one it is."""
    queue = FrameQueue(line, random.Random(0))
    found = []
    for number in range(count):
        now = number * every
        found += [(now, frame) for frame in queue.due(now)]
        queue.put(number.to_bytes(4, "big"), now)
    found += [(count * every + 10, frame) for frame in queue.due(count * every + 10)]
    return [(moment, int.from_bytes(frame, "big")) for moment, frame in found]


def test_a_perfect_line_passes_everything_in_order():
    assert [number for _, number in arrivals(Line())] == list(range(4000))


def test_frames_come_as_late_as_the_line_is_long():
    queue = FrameQueue(Line(delay=0.05), random.Random(0))
    queue.put(b"frame", 1.0)

    assert queue.next_time == pytest.approx(1.05)
    assert queue.due(1.049) == []
    assert queue.due(1.051) == [b"frame"]


def test_the_share_that_is_lost_is_the_one_asked_for():
    assert len(arrivals(Line(loss=0.05))) / 4000 == pytest.approx(0.95, abs=0.01)


def test_a_share_overtakes_the_frames_before_it():
    numbers = [number for _, number in arrivals(Line(delay=0.035, reorder=0.1))]

    early = np.mean([later < earlier for earlier, later in itertools.pairwise(numbers)])
    assert sorted(numbers) == list(range(4000))
    assert 0.05 < early < 0.12


ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
    end.bind(("10.77.0.2", 5000))
    print("ready", flush=True)
    while True:
        end.sendto(*end.recvfrom(100))
"""
ASK = """
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
    end.settimeout(20.0)
    for _ in range(3):
        begin = time.monotonic()
        end.sendto(b"frame", ("10.77.0.2", 5000))
        end.recv(100)
        print(time.monotonic() - begin)
"""


def test_two_namespaces_are_joined_by_the_line():
    """Real packets, with real checksums, through real interfaces: the round trip is twice the delay."""
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip (iproute2)")
    try:
        with two_namespaces.Machines(Line(delay=0.05)).connected() as machines:
            echo = machines.start("controller", "-c", ECHO)
            assert echo.stdout.readline() == "ready\n"
            said, mistakes = machines.start("robot", "-c", ASK).communicate(timeout=60)
            echo.kill()
            echo.communicate()
    except RuntimeError as error:
        pytest.skip(f"network namespaces cannot be made here: {error}")

    assert mistakes == ""
    assert min(float(trip) for trip in said.split()) >= 0.1
