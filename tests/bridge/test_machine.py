"""What the diagnostics say of the machine: the control loop's period, clocks that are set, throttling, memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.machine.clock_steps import REMEMBERED, ClockSteps
from robot_bridge.machine.control_group import ControlGroup, GroupMemory
from robot_bridge.machine.judgement import ERROR, OK, WARN
from robot_bridge.machine.memory import MemoryWatch
from robot_bridge.machine.periodicity import PeriodicityConfig, Thresholds, judged
from robot_bridge.machine.slowness import LOOKS, Slowness
from robot_bridge.node.diagnostics import Diagnostics
from robot_bridge.node.machine_watch import MachineWatch
from tests.bridge.loop_parts import Parts
from tests.cartpole_bridge import BRIDGE

DT = 0.02
CONFIG = PeriodicityConfig()
MEBI = 1 << 20


# --- the period ---------------------------------------------------------------------------------------------------------------


def test_a_regular_loop_is_in_order_and_says_its_rate():
    begins = 5.0 + DT * np.arange(200) + 1e-4 * np.resize([0.0, 1.0], 200)

    seen = judged(begins, [1e-4] * 200, DT, CONFIG)

    assert (seen.level, seen.words) == (OK, "50.0 Hz")
    assert seen.values["periodicity.average [Hz]"] == pytest.approx(50.0, rel=1e-3)
    assert seen.values["period, standard deviation [ms]"] == pytest.approx(0.1, rel=0.01)
    assert seen.values["late, largest [ms]"] == pytest.approx(0.1)
    assert seen.values["overruns in these periods"] == 0


def test_a_rate_that_is_off_is_warned_of_and_then_an_error():
    levels = [judged(slower * DT * np.arange(100), [0.0], DT, CONFIG).level for slower in (1.04, 1.07, 1.2)]

    assert levels == [OK, WARN, ERROR]


def test_periods_that_were_left_out_are_counted():
    begins = np.delete(DT * np.arange(200), [50, 51, 120])

    seen = judged(begins, [0.0, 0.9 * DT], DT, CONFIG)

    assert seen.values["overruns in these periods"] == 3
    assert "3 periods were left out" in seen.words
    assert "a period began 18.0 ms late" in seen.words
    assert seen.level == WARN


def test_before_there_are_enough_periods_nothing_is_judged():
    assert judged([0.0, 1.0], [1.0], DT, CONFIG).level == OK
    assert judged([], [], DT, CONFIG).words == "too few periods yet"


def test_thresholds_are_keys_of_the_bridge_file(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint="c") + "periodicity: {lateness: {warn: 0.5, error: 2}}\n")
    assert load_bridge_config(path).periodicity == dataclasses.replace(CONFIG, lateness=Thresholds(0.5, 2.0))

    path.write_text(BRIDGE.format(checkpoint="c") + "periodicity: {lateness: {warn: 0.5, error: 0.2}}\n")
    with pytest.raises(ConfigError, match=r"key 'error': got 0.2; allowed: from 'warn', 0.5, on"):
        load_bridge_config(path)


# --- the wall clock -----------------------------------------------------------------------------------------------------------


class Clocks:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.at, self.offset = 100.0, 1_700_000_000.0
        self.steps = ClockSteps(lambda: self.at + self.offset, lambda: self.at)

    def pass_time(self, seconds: float) -> str:
        self.at += seconds
        return self.steps.look()


@pytest.mark.parametrize(("step", "way"), [(3600.0, "forth by 3.6e+03"), (-0.9, "back by 0.9")])
def test_a_wall_clock_that_was_set_is_called_so_for_a_minute(step: float, way: str):
    clocks = Clocks()
    assert [clocks.pass_time(1.0) for _ in range(3)] == [""] * 3

    clocks.offset += step

    assert clocks.pass_time(1.0) == f"the wall clock was set {way} s, 0 s ago"
    assert clocks.pass_time(5.0) == f"the wall clock was set {way} s, 5 s ago"
    assert clocks.pass_time(REMEMBERED) == ""
    assert clocks.steps.steps == 1


def test_a_clock_that_ntp_slews_was_not_set():
    clocks = Clocks()
    for _ in range(1000):
        clocks.offset += 5e-4
        assert clocks.pass_time(1.0) == ""


def test_a_process_that_is_interrupted_between_two_looks_sees_no_step():
    times = iter([0.0, 0.0, *np.arange(1.0, 40.0, 1.0)])
    steps = ClockSteps(lambda: 1e9, lambda: float(next(times)))

    assert steps.look() == ""
    assert steps.steps == 0


# --- the control group --------------------------------------------------------------------------------------------------------


def group(folder: Path, own: str, **files: str) -> ControlGroup:
    for name, text in files.items():
        path = folder / "cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return ControlGroup(folder / "cgroup", folder / "own")


def test_a_control_group_of_version_2_tells_of_throttling_and_memory(tmp_path: Path):
    made = group(
        tmp_path,
        "0::/robot.service\n",
        robot_dot_service__cpu_dot_stat="usage_usec 5\nnr_periods 9\nnr_throttled 4\n",
        robot_dot_service__memory_dot_max="1000\n",
        robot_dot_service__memory_dot_current="900\n",
        robot_dot_service__memory_dot_stat="anon 500\ninactive_file 300\n",
    )

    assert made.throttled() == 4
    assert made.memory() == GroupMemory(600, 1000)


def test_a_control_group_of_version_1_does_too(tmp_path: Path):
    made = group(
        tmp_path,
        "3:cpu,cpuacct:/\n2:memory:/docker/abc\n",
        cpu__cpu_dot_stat="nr_throttled 7\n",
        **{"memory__memory_dot_limit_in_bytes": "2000\n", "memory__memory_dot_usage_in_bytes": "500\n"},
    )

    assert made.throttled() == 7
    # in a container the group's own folder is what is mounted
    assert made.memory() == GroupMemory(500, 2000)


def test_without_limits_nothing_is_known(tmp_path: Path):
    made = group(tmp_path, "0::/\n", memory_dot_max="max\n", memory_dot_current="5\n")

    assert (made.throttled(), made.memory()) == (None, None)


# --- memory and speed ---------------------------------------------------------------------------------------------------------


def memory(tmp_path: Path, limit: float, resident: int, swapped: int = 0, available: int = 900) -> tuple[int, str]:
    files = {
        "/proc/self/status": {"VmRSS": resident * MEBI, "VmSwap": swapped * MEBI},
        "/proc/meminfo": {"MemTotal": 1000 * MEBI, "MemAvailable": available * MEBI},
    }
    seen = MemoryWatch(limit, group(tmp_path, ""), files.__getitem__).look()
    return seen.level, seen.words


def test_memory_is_warned_of_before_the_limit_is_reached(tmp_path: Path):
    assert memory(tmp_path, 500, 300) == (OK, "300 MiB")
    assert memory(tmp_path, 500, 420) == (WARN, "memory is at 84% of its --memory-limit, at which it is ended")
    assert memory(tmp_path, 500, 490)[0] == ERROR
    assert memory(tmp_path, 0, 490) == (OK, "490 MiB")
    assert memory(tmp_path, 0, 490, swapped=12) == (WARN, "12 MiB of this process are swapped out")
    assert memory(tmp_path, 0, 490, available=20) == (WARN, "the machine has 20 MiB of memory left")


def test_this_process_has_memory_and_it_is_read(tmp_path: Path):
    seen = MemoryWatch(1.0, ControlGroup()).look()

    assert seen.level == ERROR
    assert int(str(seen.values["resident [MiB]"])) > 10


def test_plans_that_take_longer_than_at_configure_say_that_the_machine_is_slower():
    slowness = Slowness()
    assert [slowness.look_at_plan(k, 0.01, 0.01) for k in range(1, LOOKS + 1)] == [""] * LOOKS
    # the same plan, looked at again, is no further evidence
    assert [slowness.look_at_plan(LOOKS, 0.03, 0.01) for _ in range(50)] == [""] * 50

    said = [slowness.look_at_plan(LOOKS + k, 0.02, 0.01) for k in range(1, LOOKS + 1)]

    assert said[0] == ""
    assert said[-1] == "the machine is slower than at configure: a plan takes 2.0 times as long"


def test_throttling_is_told_when_it_happens():
    slowness = Slowness()

    said = [slowness.look_at_group(count) for count in (None, 5, 5, 9, 9)]

    assert said == ["", "", "", "the control group was throttled 4 times: its cpu.max is too small", ""]


def test_the_diagnostics_have_a_part_for_each_of_these(parts: Parts):
    parts.loop.planning.budget.full = parts.loop.planning.budget.num_samples
    parts.loop.statistics.begins.extend(2 * parts.loop.dt * k for k in range(30))
    parts.loop.statistics.lateness.append(0.0)
    watch = MachineWatch(parts.loop, CONFIG, 1.0, lambda: ["realtime: memory locked"])

    status = {each.name: each for each in Diagnostics(parts.loop, "node", machine=watch.look)(0.0).status}

    assert (status["node: periodicity"].level, status["node: memory"].level) == (ERROR, ERROR)
    machine = {pair.key: pair.value for pair in status["node: machine"].values}
    assert machine["realtime"] == "realtime: memory locked"
    assert machine["steps of the wall clock"] == "0"


def test_a_machine_that_cannot_be_looked_at_does_not_silence_the_rest(parts: Parts):
    def fail() -> list[str]:
        raise OSError("no such file")

    watch = MachineWatch(parts.loop, CONFIG, 0.0, fail)
    status = {each.name: each for each in Diagnostics(parts.loop, "node", machine=watch.look)(0.0).status}

    assert status["node: machine"].message == "cannot be looked at: OSError: no such file"
    assert "node: control loop" in status
