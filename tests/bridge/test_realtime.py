"""Real-time priority, locked memory and cores: what the system grants is used, what it refuses is said in one line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from adaptive_mbrl.errors import BridgeError, ConfigError
from adaptive_mbrl.options import BridgeOptions
from adaptive_mbrl.realtime_limits import describe, highest_priority, may_lock_memory
from robot_bridge.machine.cores import divided, parse_cores
from robot_bridge.machine.realtime import make_punctual
from robot_bridge.node.parameters import NodeParameters

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_RIGHTS = """
import ctypes, os, resource, sys, threading
for which in (resource.RLIMIT_RTPRIO, resource.RLIMIT_MEMLOCK):
    resource.setrlimit(which, (0, 0))
class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
# no capability is left, as for an ordinary user
assert ctypes.CDLL(None).capset(ctypes.byref(Header(0x20080522, 0)), (ctypes.c_uint32 * 6)()) == 0
from adaptive_mbrl.errors import BridgeError
from robot_bridge.machine.realtime import make_punctual
try:
    print(*make_punctual(sys.argv[1], "", {threading.get_native_id(): 50}), sep="\\n")
except BridgeError as error:
    print("refused", error)
"""
WITH_RIGHTS = """
import os, threading
from robot_bridge.machine.realtime import make_punctual
stop = threading.Event()
control, other = (threading.Thread(target=stop.wait) for _ in range(2))
control.start(), other.start()
lines = make_punctual("require", "0", {control.native_id: 50})
print(lines[0])
mask = 0x40000000
print(os.sched_getscheduler(control.native_id) & ~mask == os.SCHED_FIFO, os.sched_getparam(control.native_id).sched_priority)
print(os.sched_getscheduler(other.native_id) == os.SCHED_OTHER, os.sched_getaffinity(control.native_id))
print(0 in os.sched_getaffinity(other.native_id))
print([line.split()[1] != "0" for line in open("/proc/self/status") if line.startswith("VmLck")])
stop.set()
"""


def run(script: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", script, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT).stdout.splitlines()


def test_what_is_refused_is_said_with_what_has_to_be_written_where():
    granted, priority, memory = sorted(
        run(WITHOUT_RIGHTS, "try"), key=lambda line: (line.startswith("warning"), "memory" in line)
    )

    assert granted.startswith("realtime: ")
    assert priority == (
        "warning: realtime: no SCHED_FIFO (Operation not permitted): needs CAP_SYS_NICE, or RLIMIT_RTPRIO 50 (it is 0): write "
        "'USER - rtprio 50' into /etc/security/limits.d/adaptive-mbrl.conf, or LimitRTPRIO=50 into the systemd unit"
    )
    assert memory.startswith("warning: realtime: memory is not locked: needs CAP_IPC_LOCK, or RLIMIT_MEMLOCK unlimited (it is 0")
    assert memory.endswith("or LimitMEMLOCK=infinity into the systemd unit")


def test_what_is_refused_and_required_is_an_error():
    (line,) = run(WITHOUT_RIGHTS, "require")

    assert line.startswith("refused realtime: no SCHED_FIFO (Operation not permitted): needs CAP_SYS_NICE")


@pytest.mark.skipif(
    highest_priority() < 50 or not may_lock_memory() or len(os.sched_getaffinity(0)) < 2, reason="the system does not grant it"
)
def test_what_is_granted_is_in_force_for_the_control_thread_alone():
    line, priority, other, apart, locked = run(WITH_RIGHTS)

    assert line.startswith("realtime: SCHED_FIFO 50, memory locked, control loop on core 0, everything else on ")
    assert (priority, other, apart, locked) == ("True 50", "True {0}", "False", "[True]")


def test_nothing_is_asked_for_by_default():
    assert NodeParameters("b.yaml").realtime == "off"
    assert make_punctual("off", "", {0: 50}) == ()


def test_cores_are_divided_where_there_are_enough():
    assert divided((), {0, 1}) == ({0, 1}, {0, 1})
    assert divided((), {0, 1, 2, 5}) == ({5}, {0, 1, 2})
    assert divided({1, 2}, {0, 1, 2, 3}) == ({1, 2}, {0, 3})
    # with all of them given away nothing is left for the planner, which then shares them
    assert divided({0, 1}, {0, 1}) == ({0, 1}, {0, 1})
    with pytest.raises(ConfigError, match=r"cpus: core 7 cannot be used; usable: 0, 1 \(CPUAffinity= of the service\?\)"):
        divided({7}, {0, 1})


@pytest.mark.parametrize(("text", "cores"), [("", set()), ("2", {2}), ("2, 3", {2, 3})])
def test_a_list_of_cores_is_read(text: str, cores: set[int]):
    assert parse_cores(text) == cores


@pytest.mark.parametrize("text", ["2-3", "two", "-1", "1,,2"])
def test_what_is_no_list_of_cores_is_one_line(text: str):
    with pytest.raises(ConfigError, match=r"cpus: got '.*'; allowed: numbers of cores, such as 2,3, or nothing"):
        NodeParameters("b.yaml", realtime="try", cpus=text)


def test_cores_without_realtime_are_a_mistake():
    with pytest.raises(ConfigError, match=r"--cpus: got 2; allowed with --realtime try or require"):
        BridgeOptions(Path("b.yaml"), cpus="2")


def test_info_says_what_is_permitted_here():
    report = describe()

    assert set(report) == {"kernel", "real time", "locked memory", "cpu governor", "usable cores"}
    assert str(resource.getrlimit(resource.RLIMIT_RTPRIO)[0]) in report["real time"]


def test_a_core_that_is_not_there_is_an_error_whatever_is_permitted():
    with pytest.raises((ConfigError, BridgeError), match="core 4000 cannot be used"):
        make_punctual("try", "4000", {})
