"""Several bridges and one robot, each in a process of its own: one commands, one stands by, others are refused."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Float64MultiArray
from tests.bridge.waiting import PATIENCE, wait_until
from tests.cartpole_bridge import CARTPOLE

RATE, DT = 5.0, 0.04
BRIDGE = f"""{CARTPOLE}
ownership: {{{{mode: refuse, takeover_periods: 25}}}}
safety:
  rate_limits: {{{{slide: {RATE}}}}}
  max_age: 5.0
  max_missed_deadlines: 1000
  ramp_seconds: 0.4
  recovery_seconds: 0.05
"""
"""Ages, deadlines and the patience of a node that stands by are for a busy machine."""
SCENARIO = "robot: cartpole\nsteps: 100000\n"


class Heard:
    """The commands that the actuators get, and from which process each came."""

    def __init__(self, domain: int) -> None:
        self.commands: list[tuple[str, float]] = []
        self._sender, self._changed = "", threading.Condition()
        self.transport = DdsTransport(domain, name="listener")
        self.transport.subscribe("/commands", Float64MultiArray, self._hear, reliable=True, accept=self._from)

    def _from(self, sender: Sender) -> bool:
        # the first part of a GUID is that of the process
        self._sender = sender.guid[:24]
        return True

    def _hear(self, message: Float64MultiArray, received: float) -> None:
        with self._changed:
            self.commands.append((self._sender, message.data[0]))
            self._changed.notify_all()

    @property
    def owners(self) -> list[str]:
        """From which processes commands came, in order."""
        return [sender for sender, _ in itertools.groupby(self.commands, lambda command: command[0])]

    def wait_for_owners(self, number: int, commands: int = 10) -> None:
        """Until commands have come from so many processes, several of them from the last one."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.owners) >= number and len({s for s, _ in self.commands[-commands:]}) == 1, 3 * PATIENCE
            ), self.owners

    def wait_for(self, more: int) -> None:
        """Until so many more commands have come."""
        with self._changed:
            begin = len(self.commands)
            assert self._changed.wait_for(lambda: len(self.commands) >= begin + more, PATIENCE)

    @property
    def jumps(self) -> list[float]:
        """Changes from one command to the next that the rate limit does not allow."""
        values = [value for _, value in self.commands]
        return [b - a for a, b in itertools.pairwise(values) if abs(b - a) > RATE * DT + 1e-6]


class Scene:
    """A robot, its bridges, and who listens."""

    def __init__(self, folder: Path, checkpoint: Path) -> None:
        self.domain, self._bridge, self._processes = 60 + os.getpid() % 100, folder / "bridge.yaml", []
        self._bridge.write_text(BRIDGE.format(checkpoint=checkpoint))
        (folder / "scenario.yaml").write_text(SCENARIO)
        self.heard = Heard(self.domain)
        self.start("simulated-robot", "--scenario", str(folder / "scenario.yaml"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "adaptive_mbrl", *arguments, "--bridge", str(self._bridge), "--domain", str(self.domain)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.heard.transport.close()


@pytest.fixture
def scene(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Iterator[Scene]:
    made = Scene(tmp_path, make_checkpoint(tmp_path / "checkpoint"))
    yield made
    made.close()


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> str:
    """The first line of a process that has this in it."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"'{pattern}' was not said: {lines}")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_node_that_stands_by_goes_on_without_a_jump_and_the_first_one_does_not_fight(scene: Scene, end: signal.Signals):
    first = scene.start("bridge")
    wait_for_line(first, "^running: ")
    second = scene.start("bridge", "--standby")
    wait_for_line(second, "^dry_run: .*owner: another node, 'adaptive_mpc'")
    scene.heard.wait_for(25)
    assert len(scene.heard.owners) == 1

    first.send_signal(end)
    wait_for_line(second, "^(ramp|running): .*owner: planner")
    scene.heard.wait_for_owners(2)
    if end is signal.SIGKILL:
        third = scene.start("bridge", "--standby")
        wait_for_line(third, "^dry_run: .*owner: another node, 'adaptive_mpc'")
    else:
        first.send_signal(signal.SIGCONT)
        wait_for_line(first, "^inactive: .*owner: another node, 'adaptive_mpc'")
    scene.heard.wait_for(25)

    # commands came from the first process and then from the second one, and nothing else
    assert len(scene.heard.owners) == 2
    assert scene.heard.jumps == []


@pytest.mark.slow
def test_of_two_bridges_that_start_at_once_one_runs_and_one_is_refused(scene: Scene):
    bridges = [scene.start("bridge"), scene.start("bridge")]

    ended: list[int] = []

    def watch(index: int) -> None:
        bridges[index].wait()
        ended.append(index)

    for index in range(2):
        threading.Thread(target=watch, args=(index,), daemon=True).start()
    wait_until(lambda: bool(ended))
    (loser,) = ended
    scene.heard.wait_for_owners(1, 50)
    said, _ = bridges[loser].communicate()
    assert bridges[loser].returncode == 2
    assert re.search(r"error: node 'adaptive_mpc' (has the robot already; stop it|starts at the same time)", said)
    assert len(scene.heard.owners) == 1


@pytest.mark.slow
def test_a_stranger_who_commands_the_robot_brings_it_to_rest_and_is_named(scene: Scene):
    bridge = scene.start("bridge")
    wait_for_line(bridge, "^running: ")

    stranger = DdsTransport(scene.domain, name="joystick")
    # without the reference there would be no publisher any more
    publish = stranger.publisher("/commands", Float64MultiArray)
    wait_for_line(bridge, r"^inactive: .*owner: nobody; 1 other publisher\(s\)")
    again = subprocess.run(
        [sys.executable, "-m", "adaptive_mbrl", "call", "activate", "--domain", str(scene.domain), "--timeout", str(PATIENCE)],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )
    del publish
    stranger.close()

    assert "joystick publishes commands to this robot, too; stop it, or list it under 'ownership.publishers'" in again.stderr
    assert scene.heard.commands[-1][1] == 0.0
    assert scene.heard.jumps == []
