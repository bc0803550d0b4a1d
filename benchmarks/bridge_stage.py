"""A bridge beside a simulated cart-pole, each in a process of its own, and somebody outside who watches what it commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.planning import ICEMConfig
from robot_bridge.safety.states import CONTROLLED
from sim.paths import find_config
from sim.robot.robot import load_robot
from tests.cartpole_bridge import CARTPOLE

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.0
"""Largest command of the cart-pole's motor."""
BRIDGE = f"""{CARTPOLE.format(checkpoint="CHECKPOINT")}safety:
  rate_limits: {{slide: RATE}}
  max_age: AGE
  max_missed_deadlines: MISSED
  ramp_seconds: 0.2
  recovery_seconds: 0.2
"""
PATIENCE = 120.0
CONTROLS = tuple(state.value for state in CONTROLLED)
"""States in which a command is sent in every control period."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Setting:
    """How the cart-pole is controlled.

    Attributes:
        dt: control period [s].
        rate_limit: fastest change of a command [1/s].
        max_age: oldest observation that is followed [s].
        max_missed_deadlines: control periods without a plan before it is a fault.
        is_trained: whether the shipped checkpoint is in control; otherwise a small one, whose plans take almost no time.
    """

    dt: float
    rate_limit: float
    max_age: float
    max_missed_deadlines: int
    is_trained: bool

    @property
    def step(self) -> float:
        """Largest change from one command to the next."""
        return self.rate_limit * self.dt


USUAL = Setting(0.04, 10.0, 0.2, 10, is_trained=True)
BUSY = Setting(0.2, 2.0, 2.0, 1000, is_trained=False)
"""For a machine that others use as well, where only the messages are to matter."""


@dataclass(frozen=True)
class Watched:
    """What was seen of a bridge in a while.

    Attributes:
        at: when each command was written, by its writer's stamp since the epoch [s], (n,).
        commands: what it was, (n,).
        processor_share: processor time of the bridge's processes, as a share of one core.
        peak_mib: largest resident memory of the bridge's processes so far [MiB].
        holds: number of new holds.
    """

    at: np.ndarray
    commands: np.ndarray
    processor_share: float
    peak_mib: float
    holds: int

    @property
    def longest_gap(self) -> float:
        """Longest time between two commands [s]; infinity if there are not two."""
        return float(np.diff(self.at).max(initial=0.0)) if len(self.at) > 1 else float("inf")


def unsafe(commands: np.ndarray, step: float) -> int:
    """Number of commands that are not finite, beyond the limits, or that change by more than `step` from the one before."""
    is_wrong = ~np.isfinite(commands) | (np.abs(commands) > LIMIT + 1e-9)
    is_wrong[1:] |= ~(np.abs(np.diff(commands)) <= step + 1e-9)
    return int(is_wrong.sum())


def write_files(folder: Path, setting: Setting) -> tuple[Path, Path]:
    """The bridge file and the scenario of a setting."""
    robot, bridge, scenario = folder / "robot.yaml", folder / "bridge.yaml", folder / "scenario.yaml"
    robot.write_text(find_config("robots", "cartpole").read_text().replace("dt: 0.04", f"dt: {setting.dt}"))
    checkpoint = "cartpole" if setting.is_trained else str(write_small_checkpoint(folder / "checkpoint", robot))
    words = {"CHECKPOINT": checkpoint, "RATE": setting.rate_limit, "AGE": setting.max_age, "MISSED": setting.max_missed_deadlines}
    text = BRIDGE
    for word, value in words.items():
        text = text.replace(word, str(value))
    bridge.write_text(text)
    scenario.write_text(f"robot: {robot}\nsteps: 100000\n")
    return bridge, scenario


def write_small_checkpoint(folder: Path, robot: Path) -> Path:
    """A checkpoint of a robot whose plans take almost no time; it was never trained."""
    about = replace(
        load_checkpoint("cartpole").description,
        spec=load_robot(str(robot)).spec,
        model=ModelConfig(hidden=(32,), members=2),
        planner=ICEMConfig(horizon=5, num_samples=16, num_iterations=1, num_elites=4),
        adaptation=(GradientConfig(),),
        window=8,
        diagnosis=None,
        provenance={"made by": "bridge_stage.py"},
    )
    save_checkpoint(folder, Checkpoint(about, about.make_adapter()))
    return folder


class Stage:
    """The processes. They are ended by `close`.

    Args:
        folder: for files.
        domain: ROS 2's domain id.
        tree: the checkout that the bridge is run from.
        flags: more flags of `adaptive-mbrl bridge`.
        setting: how the cart-pole is controlled.
    """

    def __init__(
        self, folder: Path, domain: int, tree: Path = ROOT, flags: tuple[str, ...] = (), *, setting: Setting = USUAL
    ) -> None:
        self.domain, self._lines = domain, folder / "bridge.log"
        bridge, scenario = write_files(folder, setting)
        run = [sys.executable, "-m", "adaptive_mbrl"]
        files = ["--bridge", str(bridge), "--domain", str(domain)]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        play = ["--scenario", str(scenario), "--command-timeout", "1", "--rate", "50"]
        self._robot = subprocess.Popen([*run, "simulated-robot", *files, *play], cwd=ROOT, **quiet)
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bridge_watcher", str(domain)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        with self._lines.open("w") as lines:
            self.bridge = subprocess.Popen(
                [*run, "bridge", *files, *flags],
                stdout=lines,
                stderr=subprocess.STDOUT,
                cwd=tree,
                env=os.environ | {"PYTHONPATH": str(tree)},
                # whoever sends the floods may be in a group of processes that comes last; the bridge is in one of its own
                start_new_session=True,
            )
        self.last_line = ""
        self.wait_for(*CONTROLS)

    def wait_for(self, *states: str, patience: float = PATIENCE) -> float:
        """Wait until the bridge's newest line says that it is in one of these states; returns how long that took [s]."""
        began = time.monotonic()
        while not self._newest_report().startswith(states):
            if self.bridge.poll() is not None or time.monotonic() > began + patience:
                raise SystemExit(f"the bridge is not {' or '.join(states)}: {self._lines.read_text()[-2000:]}")
            time.sleep(0.2)
        return time.monotonic() - began

    @contextmanager
    def watch(self) -> Iterator[list[Watched]]:
        """Watch while the block runs; afterwards the list holds what was seen."""
        seen: list[Watched] = []
        self._asked()
        used, holds, began = self._processor_seconds(), self._holds(), time.monotonic()
        yield seen
        passed, used = time.monotonic() - began, self._processor_seconds() - used
        log = np.array(self._asked(), dtype=np.float64).reshape(-1, 2)
        seen.append(Watched(log[:, 0], log[:, 1], used / passed, self._peak(), self._holds() - holds))

    def log_bytes(self) -> int:
        """How much the bridge has written on its terminal [bytes]."""
        return self._lines.stat().st_size

    def is_alive(self) -> bool:
        """Whether the bridge's process runs."""
        return self.bridge.poll() is None

    def processes(self) -> list[int]:
        """The bridge's process, and that of its controller if it has a guard."""
        children = Path(f"/proc/{self.bridge.pid}/task/{self.bridge.pid}/children").read_text()
        return [self.bridge.pid, *map(int, children.split())]

    def counts(self) -> dict[str, int]:
        """How many messages of observations the bridge has decoded and refused, as its `/diagnostics` say."""
        said = self._asked("counts")
        return {
            what: int(said.get(key, 0)) for what, key in (("taken", "taken from /joint_states"), ("refused", "refused_messages"))
        }

    def close(self) -> None:
        """Ask all processes to end, and end them."""
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        for process in (self.bridge, self._robot):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        if self._watcher.stdout is not None:
            self._watcher.stdout.close()
        for process in (self.bridge, self._robot, self._watcher):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _asked(self, what: str = "log") -> Any:
        assert self._watcher.stdin is not None
        assert self._watcher.stdout is not None
        self._watcher.stdin.write(f"{what}\n")
        self._watcher.stdin.flush()
        return json.loads(self._watcher.stdout.readline())

    def _newest_report(self) -> str:
        with self._lines.open("rb") as lines:
            lines.seek(max(0, self.log_bytes() - 4096))
            found = re.findall(r"^\w+: \d+ steps, .*$", lines.read().decode(errors="replace"), flags=re.M)
        self.last_line = found[-1] if found else ""
        return self.last_line

    def _holds(self) -> int:
        found = re.search(r"(\d+) holds", self._newest_report())
        return int(found.group(1)) if found else 0

    def _processor_seconds(self) -> float:
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.processes())
        return sum((int(each[11]) + int(each[12])) / _TICKS for each in fields)

    def _peak(self) -> float:
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self.processes()]
        return sum(int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) for text in status) / 1024
