"""Recordings and streams for Rerun, read back by Rerun's own reader and tools."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import (
    DiagnosticArray,
    DiagnosticStatus,
    Float64MultiArray,
    JointState,
    Message,
    String,
)
from robot_bridge.node.diagnostics import ERROR, OK
from robot_bridge.node.telemetry import BELIEF, labelled
from robot_bridge.streams.rerun_stream import RerunStream
from robot_bridge.streams.watched import Watched
from tests.bridge.waiting import PATIENCE, wait_until
from tests.bridge.watched_robot import DIAGNOSED, STANDING, write_bridge

DOMAIN = 20 + os.getpid() % 40
WALL = 1.7e9
PLAN = np.linspace(-1, 1, 5)[:, None]


@pytest.fixture(scope="module", autouse=True)
def _rerun() -> None:
    """Loading it takes a second, which only the process that runs these tests is to spend."""
    pytest.importorskip("rerun")


@pytest.fixture
def watched(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Watched:
    return Watched.load(write_bridge(tmp_path, make_checkpoint(tmp_path / "checkpoint")))


def record(bag: Path) -> None:
    """Two seconds at 10 Hz, by a clock of their own: the robot stands, is stopped half-way, and one message is no command."""
    now = [0.0]
    recorder = BagRecorder(bag, clock=lambda: now[0], wall=lambda: WALL + now[0])
    put: dict[str, Callable[[Message, float], None]] = {
        topic: recorder.topic(topic, kind, reliable=True)
        for topic, kind in {
            "/joint_states": JointState,
            "/commands": Float64MultiArray,
            "/adaptive_mpc/state": String,
            "/adaptive_mpc/reaction": String,
            "/adaptive_mpc/plan": Float64MultiArray,
            "/adaptive_mpc/belief": Float64MultiArray,
            "/adaptive_mpc/diagnosis": Float64MultiArray,
            "/diagnostics": DiagnosticArray,
            "/something/else": String,
        }.items()
    }
    for step in range(20):
        at = 0.1 * step
        put["/joint_states"](dataclasses.replace(STANDING, position=[at, 0.5]), at)
        put["/commands"](Float64MultiArray(data=[at] if step else [at, at]), at)
        put["/adaptive_mpc/state"](String("running" if step < 10 else "estop"), at)
        put["/adaptive_mpc/reaction"](String("none" if step < 10 else "hold under_way" if step < 15 else "zero failed"), at)
        put["/adaptive_mpc/plan"](labelled(("step", "slide"), PLAN), at)
        put["/adaptive_mpc/belief"](labelled((",".join(BELIEF),), np.array([np.nan, at, 0, step, 1, 0, 0])), at)
        put["/adaptive_mpc/diagnosis"](Float64MultiArray(data=[0.5, 1.0, 0.1, 0.2]), at)
        level, says = (OK, "running") if step < 10 else (ERROR, "estop")
        status = [DiagnosticStatus(level, "adaptive_mpc: safety", says), DiagnosticStatus(ERROR, "another: safety", "broken")]
        put["/diagnostics"](DiagnosticArray(status=status), at)
        put["/something/else"](String("?"), at)
    recorder.close()
    assert recorder.failure == ""


def table(path: Path, entity: str, component: str) -> tuple[np.ndarray, list[Any]]:
    """Times since the epoch [s] and values of one component of an entity, by Rerun's own reader."""
    from rerun.chunk import RrdReader

    times, values = [], []
    for chunk in RrdReader(path).stream().collect().stream().to_chunks():
        if str(chunk.entity_path) == entity:
            batch = chunk.to_record_batch()
            times += batch.column("time").cast("int64").to_pylist()
            values += [cell[0] for cell in batch.column(component).to_pylist()]
    order = np.argsort(times, kind="stable")
    return np.array(times)[order] * 1e-9, [values[i] for i in order]


def test_a_recording_holds_all_that_was_recorded(watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    record(tmp_path / "bag")
    out = tmp_path / "new" / "robot.rrd"

    assert cli.main(["rerun", "export", str(tmp_path / "bag"), "--bridge", str(tmp_path / "bridge.yaml"), "--out", str(out)]) == 0

    assert capsys.readouterr().out.startswith(f"{out}: 160 messages, ")
    times, positions = table(out, "/observations/cart_position", "Scalars:scalars")
    np.testing.assert_allclose(times - WALL, 0.1 * np.arange(20), atol=1e-6)
    np.testing.assert_allclose(positions, 0.1 * np.arange(20))
    assert table(out, "/observations/pole_velocity", "Scalars:scalars")[1] == [2.0] * 20
    times, commands = table(out, "/commands/slide", "Scalars:scalars")
    np.testing.assert_allclose(commands, times - WALL, atol=1e-6)
    assert len(commands) == 19
    assert table(out, "/belief/prior_error", "Scalars:scalars")[1] == []
    assert len(table(out, "/belief/adapted_error", "Scalars:scalars")[1]) == 20
    assert table(out, "/state", "TextLog:text")[1] == ["running", "estop"]
    assert table(out, "/state", "TextLog:level")[1] == ["INFO", "ERROR"]
    assert table(out, "/reaction", "TextLog:text")[1] == ["none", "hold under_way", "zero failed: cut the power"]
    assert table(out, "/reaction", "TextLog:level")[1] == ["INFO", "ERROR", "ERROR"]
    assert table(out, "/diagnostics/safety", "TextLog:text")[1] == ["safety: running", "safety: estop"]
    parameter = r"/diagnosis/actuator_gain\ slide"
    bounds = [table(out, f"{parameter}/{what}", "Scalars:scalars")[1][0] for what in ("low", "mean", "high")]
    assert bounds == pytest.approx([0.3, 0.5, 0.7])
    _, plans = table(out, "/plan/slide", "BarChart:values")
    assert plans[0]["buffer"] == pytest.approx(PLAN[:, 0])


def test_the_blueprint_comes_along(watched: Watched, tmp_path: Path):
    from rerun.chunk import RrdReader

    record(tmp_path / "bag")
    out = tmp_path / "robot.rrd"
    assert cli.main(["rerun", "export", str(tmp_path / "bag"), "--bridge", str(tmp_path / "bridge.yaml"), "--out", str(out)]) == 0

    reader = RrdReader(out)
    (arrangement,) = reader.blueprints()
    batches = [chunk.to_record_batch() for chunk in reader.stream(store=arrangement).to_chunks()]
    # not its times, which Python cannot represent
    shown = str([b.column(name).to_pylist() for b in batches for name in b.schema.names if ":" in name])
    for name in ("observations [rad/s]", "commands", "model error [target stds]", *DIAGNOSED, "plan: slide, by control period"):
        assert f"'{name}'" in shown
    # what the views show is in the file
    assert r"/diagnosis/actuator_gain\\ slide/high" in shown
    assert "/observations/pole_velocity" in shown


# a stream that was cut off by its viewer's end has no index
@pytest.mark.filterwarnings("ignore:RRD file has no footer")
def test_a_viewer_gets_what_the_robot_says_now(watched: Watched, tmp_path: Path):
    """The viewer is Rerun's own program, without a window: it writes down what it receives."""
    out, port = tmp_path / "live.rrd", free_port()
    command = [sys.executable, "-m", "rerun", "--save", str(out), "--bind", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as viewer:
        wait_until(lambda: is_listening(port))
        stream, transport = RerunStream(watched, f"rerun+http://127.0.0.1:{port}/proxy"), DdsTransport(DOMAIN)
        try:
            stream.listen(transport)
            publish = transport.publisher("/joint_states", JointState, reliable=False)
            state = transport.publisher("/adaptive_mpc/state", String)

            def is_sent() -> bool:
                publish(STANDING)
                state(String("running"))
                return stream.report().count("/joint_states") == 0 and "/adaptive_mpc/state" not in stream.report()

            wait_until(is_sent)
        finally:
            transport.close()
            stream.close()
        wait_until(lambda: is_written(out))
        viewer.send_signal(signal.SIGINT)
        viewer.wait(PATIENCE)

    assert set(table(out, "/observations/pole_angle", "Scalars:scalars")[1]) == {0.125}
    assert table(out, "/state", "TextLog:text")[1] == ["running"]


def test_mistakes_are_one_line(watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bridge, taken = str(tmp_path / "bridge.yaml"), tmp_path / "taken.rrd"
    taken.write_text("mine")
    other = BagRecorder(tmp_path / "other")
    other.topic("/something/else", String, reliable=True)(String("?"), 0.0)
    other.close()
    export = ["rerun", "export", str(tmp_path / "other"), "--bridge", bridge, "--out"]
    viewer = f"rerun+http://127.0.0.1:{free_port()}/proxy"
    for arguments, expected in (
        ([*export, str(taken)], "taken.rrd: exists already; a recording is never overwritten"),
        ([*export, "x.mcap"], "--out: x.mcap is no .rrd file; allowed: a name that ends in .rrd"),
        ([*export, str(tmp_path / "x.rrd")], "no topic of the bridge file"),
        (["rerun", "stream", "--bridge", bridge, "--viewer", viewer], "no viewer of Rerun at"),
        (["rerun", "stream", "--bridge", bridge, "--viewer", "localhost"], "--viewer: got 'localhost'; allowed: an address like"),
        (["rerun", "stream", "--bridge", bridge, "--domain", "999"], "--domain: 999 is out of range"),
    ):
        assert cli.main(arguments) == 2
        said = capsys.readouterr().err
        assert expected in said
        assert said.count("\n") == 1
    assert taken.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.glob("*.rrd*")) == ["taken.rrd"]


def test_without_the_package_the_line_names_the_extra(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r"package 'rerun' is not installed; pip install 'adaptive-mbrl\[rerun\]'"):
        RerunStream(watched, "rerun+http://127.0.0.1:9876/proxy")


def is_written(path: Path) -> bool:
    """Whether the file holds a state; while it is being written, its end may be missing."""
    try:
        return bool(table(path, "/state", "TextLog:text")[1])
    except (OSError, RuntimeError, ValueError):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
